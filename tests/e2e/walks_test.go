package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sharedOracle builds a program that takes its oracle from go-stacks.
func sharedOracle(t *testing.T, name string, b build) string {
	t.Helper()
	programs := filepath.Join(repositoryRoot(), "tests", "programs")
	dir := filepath.Join(programs, name)
	return buildPackage(t, dir, []string{dir, filepath.Join(programs, "go-steps"),
		filepath.Join(programs, "go-stacks")}, b, ".")
}

// compareStacks compares each noted stack with its sample, and returns how many there were. It
// stops after some that differ.
func compareStacks(t *testing.T, path string, b build, h *host) int {
	t.Helper()
	all := h.profile("?frames=all")
	s := shapeTest{build: b, symbols: readSymbols(t, path), all: bySize(all),
		view: bySize(h.profile(""))}
	var shapes []shape
	h.fact("stacks", &shapes)
	differ := 0
	for _, want := range shapes {
		if differ == 5 {
			break
		}
		ok := t.Run(fmt.Sprint(want.Size), func(t *testing.T) {
			sample := s.all[want.Size]
			if sample == nil || s.view[want.Size] == nil {
				t.Fatalf("no sample of %d bytes", want.Size)
			}
			s.checkGo(t, s.view[want.Size], want)
			s.checkC(t, sample, want)
			if label, ok := strings.CutPrefix(want.Shape, "label "); ok {
				if got := strings.Join(sample.Label["walk"], ","); got != label {
					t.Errorf("label %q, want %q", got, label)
				}
			}
			if t.Failed() {
				t.Logf("%s\nframes=all:\n%s", want.Shape, dump(sample))
			}
		})
		if !ok {
			differ++
		}
	}
	wantAllComplete(t, h)
	return len(shapes)
}

// Stacks of goroutines of which one part changes from one block to the next.
func TestWalks(t *testing.T) {
	builds, seeds := everyBuild()[:len(goVersions())], 1
	if longTests {
		builds, seeds = everyBuild(), 8
	}
	for _, b := range builds {
		for seed := 1; seed <= seeds; seed++ {
			t.Run(fmt.Sprintf("%v-%d", b, seed), func(t *testing.T) {
				path := sharedOracle(t, "go-walks", b)
				h := start(t, path, hostOptions{sampleBytes: 1,
					args: []string{fmt.Sprint(seed)}})
				if n := compareStacks(t, path, b, h); n < 1000 {
					t.Errorf("%d stacks", n)
				}
				h.finish()
			})
		}
	}
}

// Stacks through C++ libraries as a distribution compiles them, and their callbacks into Go.
func TestLibraryStacks(t *testing.T) {
	if _, err := os.Stat("/usr/include/rocksdb/c.h"); err != nil {
		t.Skip("librocksdb-dev is not installed")
	}
	builds := everyBuild()[:len(goVersions())]
	if longTests {
		builds = everyBuild()
	}
	for _, b := range builds {
		t.Run(b.String(), func(t *testing.T) {
			path := sharedOracle(t, "go-libraries", b)
			h := start(t, path, hostOptions{sampleBytes: 1, args: []string{t.TempDir()}})
			if n := compareStacks(t, path, b, h); n < 200 {
				t.Errorf("%d stacks", n)
			}
			h.finish()
		})
	}
}
