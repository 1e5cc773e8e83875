package main

import (
	"slices"
	"strings"
	"testing"

	"cgoheap/cli/internal/attach"
)

const goRawMap = `package main

import "syscall"

func main() {
	b, _ := syscall.Mmap(-1, 0, 4096, syscall.PROT_READ, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	println(len(b))
}
`

// Only what the program has is found, stripped and position-independent too.
func TestRawMappers(t *testing.T) {
	for _, c := range []struct {
		what, path string
		want       []int
	}{
		{"none", goFixture(t, "nocgo", goPlain, "0"), nil},
		{"Go's, stripped", goFixture(t, "rawmap", goRawMap, "0", "-ldflags=-s -w"), []int{0}},
		{"Go's, position-independent", goFixture(t, "rawmap-pie", goRawMap, "0", "-buildmode=pie"), []int{0}},
		{"Rust's, where one read ends", written(t, "rust", strings.Repeat("x", scanChunk-3)+"/rustc/0a1b/library/core", 0o755), []int{2}},
		{"Rust's, later", written(t, "rust", strings.Repeat("x", 2*scanChunk)+"/rustc/0a1b/library/core", 0o755), []int{2}},
	} {
		found := make([]bool, len(rawMappers))
		if err := searchRawMappers(c.path, found); err != nil {
			t.Fatal(err)
		}
		for i := range found {
			if found[i] != slices.Contains(c.want, i) {
				t.Errorf("%s: %s: %v", c.what, rawMappers[i].what, found[i])
			}
		}
	}
	if searchRawMappers("/none", nil) == nil {
		t.Error("no file, no error")
	}
	// A process that was not started with the library has one candidate more.
	s := startShim(t, "serve")
	if p := (&attach.Process{PID: s.pid}); !slices.Contains(rawMappersOf(p), preloadedLate) {
		t.Errorf("%q", rawMappersOf(p))
	}
	s = startShim(t, "serve", "LD_PRELOAD=/none/"+attach.LibraryName)
	if p := (&attach.Process{PID: s.pid}); slices.Contains(rawMappersOf(p), preloadedLate) {
		t.Errorf("%q", rawMappersOf(p))
	}
}
