package attach

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// What a container may have in its root; each is opened as openat2 opens it.
func TestWalkBelow(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/a/b/c", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"a/up": "../..", "a/absolute": "/a/b", "a/b/file": "../../file", "loop": "loop",
		"outside": "/etc/passwd", "above": "../../../../../../etc/passwd", "twice": "a/absolute/c",
		"a/root": "/", "dangling": "none", "through": "file/x",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := unix.Open(dir, unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	how := unix.OpenHow{Flags: unix.O_PATH,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	identity := func(fd int, err error) any {
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			t.Fatal(err)
		}
		return st.Ino
	}
	for _, name := range []string{"file", "a/b/c", "a/./b//c", "..", "../file", "a/../../file",
		"a/up/file", "a/absolute/c", "a/b/file", "loop", "outside", "above", "twice", "twice/..",
		"a/root/a/root/file", "dangling", "through", "file/x", "none", "a/none/../..", "."} {
		want := identity(unix.Openat2(root, name, &how))
		if got := identity(walkBelow(root, name)); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	before := len(openDescriptors(t))
	if _, err := walkBelow(root, "a/absolute/none"); err == nil {
		t.Error("what is not there was opened")
	}
	if now := len(openDescriptors(t)); now != before {
		t.Errorf("%d descriptors, %d before", now, before)
	}
}

func openDescriptors(t *testing.T) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return entries
}
