package program

import (
	"os"
	"slices"
	"strings"
	"testing"

	"cgoheap.example/cli/internal/fixture"
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
	rust := func(before int) string {
		code := strings.Repeat("x", before) + "/rustc/0a1b/library/core"
		return fixture.Written(t, "rust", code, 0o755)
	}
	for _, c := range []struct {
		what, path string
		want       []int
	}{
		{"none", fixture.Go(t, "nocgo", fixture.GoPlain, "0"), nil},
		{"Go's, stripped", fixture.Go(t, "rawmap", goRawMap, "0", "-ldflags=-s -w"), []int{0}},
		{"Go's, position-independent",
			fixture.Go(t, "rawmap-pie", goRawMap, "0", "-buildmode=pie"), []int{0}},
		{"Rust's, where one read ends", rust(scanChunk - 3), []int{2}},
		{"Rust's, later", rust(2 * scanChunk), []int{2}},
	} {
		found := make([]bool, len(rawMappers))
		if err := searchRawMappers(os.Open, c.path, found); err != nil {
			t.Fatal(err)
		}
		for i := range found {
			if found[i] != slices.Contains(c.want, i) {
				t.Errorf("%s: %s: %v", c.what, rawMappers[i].what, found[i])
			}
		}
	}
	if searchRawMappers(os.Open, "/none", nil) == nil {
		t.Error("no file, no error")
	}
}
