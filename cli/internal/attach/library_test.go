package attach

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindLibrary(t *testing.T) {
	lib := filepath.Join(t.TempDir(), LibraryName)
	if _, err := FindLibrary(lib); err == nil {
		t.Error("found what is not there")
	}
	if err := os.WriteFile(lib, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := FindLibrary(lib); err != nil || got != lib {
		t.Error(got, err)
	}
}

// Whatever a file is called, it is the library if it defines what the Go package looks for.
func TestIsLibraryHere(t *testing.T) {
	self, err := OpenProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, c := range map[string]struct {
		source string
		want   bool
	}{
		"prof.so":         {"void cgoheap_bridge_v1(void) {}", true},
		"libcgoheap.so.0": {"void other(void) {}", true},
		"asks.so": {"void cgoheap_bridge_v1(void); void f(void) { cgoheap_bridge_v1(); }",
			false},
		"libcgoheap-like": {"void other(void) {}", false},
	} {
		path := filepath.Join(dir, name)
		cc := exec.Command("cc", "-shared", "-fPIC", "-x", "c", "-o", path, "-")
		cc.Stdin = strings.NewReader(c.source)
		if out, err := cc.CombinedOutput(); err != nil {
			t.Fatalf("%s: %s", err, out)
		}
		if IsLibraryHere(path) != c.want || self.IsLibrary(path) != c.want {
			t.Errorf("%s: %v, want %v", name, !c.want, c.want)
		}
	}
	if IsLibraryHere(dir+"/none") || IsLibraryHere("/dev/null") {
		t.Error("no file is the library")
	}
}
