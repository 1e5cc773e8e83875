package program

import (
	"os"
	"testing"

	"cgoheap.example/cli/internal/fixture"
)

func TestOwnNew(t *testing.T) {
	library := func(name, source string) string {
		return fixture.C(t, name, source, "-shared", "-fPIC")
	}
	const (
		malloc     = "static char m[64]; void *malloc(unsigned long n) { return m; }"
		fromMalloc = "void *malloc(unsigned long); " +
			"void *_Znwm(unsigned long n) { return malloc(n); }"
		callsNew = "void *_Znwm(unsigned long); void *f(void) { return _Znwm(8); }"
	)
	std := library("libstd.so", fromMalloc)
	allocator := library("libown.so", malloc+" void *_Znwm(unsigned long n) { return m; }")
	plain := library("libplain.so", malloc)
	caller := library("libcaller.so", callsNew)
	for _, c := range []struct {
		what  string
		paths []string
		want  string
	}{
		{"an allocator with one", []string{allocator, std, caller}, "libown.so"},
		{"whatever the order", []string{caller, std, allocator}, "libown.so"},
		{"that is not called", []string{allocator, std}, ""},
		{"an allocator without", []string{plain, std, caller}, ""},
		{"no allocator", []string{"/missing", std, caller}, ""},
	} {
		if got := ownNew(os.Open, c.paths); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}
