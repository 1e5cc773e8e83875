package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// Go code that is not the program's own: plugins, libraries with a runtime in them,
// and programs that call C without cgo.

func programDir(name string) string {
	return filepath.Join(repositoryRoot(), "tests", "programs", name)
}

// wantHeld: these many blocks of one size are in use below the function, and the
// stacks go on to the root function with files and lines on the way.
func wantHeld(t *testing.T, p *profile.Profile, function string, objects, bytes int64,
	root string) {
	t.Helper()
	f := figures{}
	for _, s := range p.Sample {
		if !contains(s, function) || blockSize(s) != bytes {
			continue
		}
		f.add(s)
		if !contains(s, root) {
			t.Errorf("a stack through %s does not lead to %s: %q", function, root, names(s))
		}
		for _, frame := range frames(s) {
			if frame.function == function &&
				(frame.line == 0 || !strings.HasSuffix(frame.file, ".go")) {
				t.Errorf("%s is at %s:%d", function, frame.file, frame.line)
			}
		}
	}
	if f.inUseObjects != objects || f.inUseBytes != objects*bytes {
		t.Errorf("%s: %d objects of %d bytes, want %d of %d", function, f.inUseObjects,
			f.inUseBytes, objects, objects*bytes)
	}
}

func wantWholeStacks(t *testing.T, h *host) {
	t.Helper()
	if s := h.status(); s.Stacks.Truncated != 0 || s.Stacks.ByEnd["complete_go"] == 0 {
		t.Errorf("stacks end in %v", s.Stacks.ByEnd)
	}
	h.wantNothingDropped()
}

func wantTenant(t *testing.T, p *profile.Profile, function string) {
	t.Helper()
	for _, s := range p.Sample {
		if contains(s, function) && (len(s.Label["tenant"]) != 1 ||
			s.Label["tenant"][0] != "acme") {
			t.Errorf("%s has labels %v", function, s.Label)
		}
	}
}

func TestPlugin(t *testing.T) {
	versions := []string{oneBuild().goVersion}
	if longTests {
		versions = goVersions()
	}
	for _, v := range versions {
		t.Run("go"+v, func(t *testing.T) {
			t.Parallel()
			dir := programDir("go-plugin")
			b := build{v, "plain"}
			library := buildPackage(t, dir, []string{dir}, b, "./p", "-buildmode=plugin")
			h := start(t, buildPackage(t, dir, []string{dir}, b, "."),
				hostOptions{args: []string{library}, sampleBytes: 1})
			p := h.profile("")
			wantHeld(t, p, "cgoheap/tests/plugin/p.keepOne", 100, 7001, "main.main")
			wantHeld(t, p, "main.ownBlock", 1, 5003, "runtime.main")
			wantTenant(t, p, "cgoheap/tests/plugin/p.keepOne")
			wantWholeStacks(t, h)
		})
	}
}

// sharedLibrary builds the Go library of go-shared.
func sharedLibrary(t *testing.T, version string) string {
	t.Helper()
	dir := programDir("go-shared")
	return buildPackage(t, dir, []string{dir}, build{version, "plain"}, ".", "-buildmode=c-shared")
}

func cHost(t *testing.T, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "host")
	args := append([]string{"-O2", "-g", "-o", out, filepath.Join(programDir("go-shared-host"),
		"host.c")}, flags...)
	if text, err := compile(args...).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, text)
	}
	return out
}

// wantShared: what a host holds after it has used that many Go libraries.
func wantShared(t *testing.T, h *host, libraries int64, root string) {
	t.Helper()
	p := h.profile("")
	wantHeld(t, p, "main.keepIn", 100*libraries, 7001, root)
	wantTenant(t, p, "main.keepIn")
	wantWholeStacks(t, h)
	if s := h.status(); s.State != "sampling" || !strings.HasPrefix(s.Host.GoVersion, "go1.") {
		t.Errorf("the state is %s, Go's version %q", s.State, s.Host.GoVersion)
	}
	var inUse int64
	h.fact("heap", &inUse)
	a := h.account()
	if got := a.bytes("go_heap") + a.bytes("go_stacks"); !within(got, inUse, 0.1, 4<<20) {
		t.Errorf("go_heap is %d, the runtimes have %d in use\n%v", got, inUse, a)
	}
	if a.bytes("go_metadata") == 0 {
		t.Errorf("no go_metadata\n%v", a)
	}
}

func TestSharedLibrary(t *testing.T) {
	versions := goVersions()
	if !longTests && len(versions) > 2 {
		versions = []string{"1.21.13", "1.26.8"}
	}
	var all []string
	for _, v := range versions {
		all = append(all, sharedLibrary(t, v))
	}
	dlopen := cHost(t)
	for i, v := range versions {
		t.Run("go"+v, func(t *testing.T) {
			h := start(t, dlopen, hostOptions{args: all[i : i+1], sampleBytes: 1})
			wantShared(t, h, 1, "main")
			wantHeld(t, h.profile(""), "main.GoCallback", 50, 6007, "called_back")
		})
	}
	// Go's note with the build ID is what tells its libraries from C's, but may be left out.
	t.Run("no build ID", func(t *testing.T) {
		dir := programDir("go-shared")
		library := buildPackage(t, dir, []string{dir}, oneBuild(), ".", "-buildmode=c-shared",
			"-ldflags=-buildid=")
		wantShared(t, start(t, dlopen, hostOptions{args: []string{library}, sampleBytes: 1}),
			1, "main")
	})
	t.Run("two runtimes", func(t *testing.T) {
		wantShared(t, start(t, dlopen, hostOptions{args: all, sampleBytes: 1}), int64(len(all)),
			"main")
	})
	t.Run("linked", func(t *testing.T) {
		library := all[len(all)-1]
		linked := cHost(t, "-DLINKED", library)
		wantShared(t, start(t, linked, hostOptions{args: []string{"once"}, sampleBytes: 1}),
			1, "main")
	})
	t.Run("python", func(t *testing.T) {
		python, err := exec.LookPath("python3")
		if err != nil {
			t.Skip("python3 is not installed")
		}
		script := filepath.Join(programDir("go-shared-host"), "host.py")
		h := start(t, python, hostOptions{args: []string{script, all[len(all)-1]}, sampleBytes: 1})
		wantShared(t, h, 1, "main.GoKeep")
	})
}

// The same host before any library is loaded: the shim does nothing there.
func TestHostWithoutItsLibrary(t *testing.T) {
	h := start(t, cHost(t), hostOptions{sampleBytes: 1})
	if _, err := h.dialOnce(); err == nil {
		t.Error("it has a socket")
	}
	if code := h.finish(""); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestPurego(t *testing.T) {
	dir := programDir("go-purego")
	for _, mode := range []string{"nocgo", "nocgo-stripped"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h := start(t, buildPackage(t, dir, []string{dir}, build{"1.26.8", mode}, "."),
				hostOptions{sampleBytes: 1})
			p := h.profile("")
			wantHeld(t, p, "main.keep", 100, 100_001, "main.main")
			// In a call of C that was called from Go.
			for _, s := range p.Sample {
				if contains(s, "main.calledBack") && !contains(s, "main.main") {
					t.Errorf("a callback's stack ends early: %q", names(s))
				}
			}
			if sum(p, "main.calledBack").inUseObjects == 0 {
				t.Error("nothing was called back")
			}
			wantWholeStacks(t, h)
			var heap int64
			h.fact("heap", &heap)
			if a := h.account(); !within(a.bytes("go_heap")+a.bytes("go_stacks"), heap, 0.03,
				2<<20) {
				t.Errorf("Go's heap has %d\n%v", heap, a)
			}
		})
	}
}
