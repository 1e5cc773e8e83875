package verbs

import (
	"os"
	"path/filepath"
	"testing"

	"cgoheap.example/cli/internal/fixture"
)

// Both files are there, as those who run the service may read them; an old one is replaced and not
// written into, and nothing else is left.
func TestInstall(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	library := fixture.EmptyLibrary(t)
	env := []string{"CGOHEAP_LIBRARY=" + library}
	said := "wrote " + dir + "/libcgoheap.so and " + dir + "/cgoheap\n"
	finish(t, command(env, "install", dir)).want(t, 0, said, "")
	old, err := os.Open(filepath.Join(dir, "libcgoheap.so"))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	finish(t, command(nil, "install", "--library", library, dir)).want(t, 0, said, "")
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Fatalf("%v %v", entries, err)
	}
	for name, want := range map[string]struct {
		from string
		mode os.FileMode
	}{"libcgoheap.so": {library, 0o644}, "cgoheap": {os.Args[0], 0o755}} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		from, err := os.Stat(want.from)
		if err != nil || info.Mode() != want.mode || info.Size() != from.Size() {
			t.Errorf("%s: %v, %d bytes: want %v, %d %v", name, info.Mode(), info.Size(), want.mode,
				from.Size(), err)
		}
		if was, err := old.Stat(); err != nil || os.SameFile(was, info) {
			t.Errorf("%s is the old file %v", name, err)
		}
	}
}

func TestInstallFails(t *testing.T) {
	file := fixture.EmptyLibrary(t)
	env := []string{"CGOHEAP_LIBRARY=" + file}
	finish(t, command(env, "install", file)).want(t, 1, "", "cgoheap: cannot write \""+file+
		"\": not a directory; name another directory, or one that this user may write to\n")
	finish(t, command(env, "install")).want(t, 2, "",
		"cgoheap: install: DIR is missing; see cgoheap install --help\n")
	finish(t, command([]string{"CGOHEAP_LIBRARY=/none"}, "install", t.TempDir())).want(t, 1, "",
		"cgoheap: library \"/none\" (from --library or CGOHEAP_LIBRARY) does not exist\n")
}
