package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A cgroup is one of the test's own, for memory, of version 1 or 2.
type cgroup struct {
	path string
	v2   bool
}

// newCgroup makes one below the top of the hierarchy that is mounted here, with
// a limit (0: none); where it may not, the test is skipped.
func newCgroup(t testing.TB, limit int64) *cgroup {
	t.Helper()
	const base = "/sys/fs/cgroup"
	g := &cgroup{path: filepath.Join(base, "memory")}
	if _, err := os.Stat(filepath.Join(g.path, "memory.usage_in_bytes")); err != nil {
		g.path, g.v2 = base, true
		// may be there already
		os.WriteFile(filepath.Join(base, "cgroup.subtree_control"), []byte("+memory"), 0)
	}
	path, err := os.MkdirTemp(g.path, "cgoheap-e2e-")
	if err != nil {
		t.Skipf("no cgroup of its own can be made here: %v", err)
	}
	g.path = path
	t.Cleanup(func() {
		if err := os.Remove(g.path); err != nil {
			t.Errorf("the cgroup stays behind: %v", err)
		}
	})
	if _, err := os.Stat(filepath.Join(g.path, g.name("usage_in_bytes", "current"))); err != nil {
		t.Skipf("a cgroup made here has no memory controller: %v", err)
	}
	if limit != 0 {
		g.write(t, g.name("limit_in_bytes", "max"), limit)
	}
	return g
}

func (g *cgroup) name(v1, v2 string) string {
	if g.v2 {
		return "memory." + v2
	}
	return "memory." + v1
}

func (g *cgroup) write(t testing.TB, file string, value int64) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(g.path, file), []byte(strconv.FormatInt(value, 10)),
		0); err != nil {
		t.Skipf("the cgroup cannot be set up here: %v", err)
	}
}

// add moves a process into it; what it allocates from then on counts there.
func (g *cgroup) add(t testing.TB, pid int) {
	t.Helper()
	g.write(t, "cgroup.procs", int64(pid))
}

// usage is what the kernel counts, memory.current.
func (g *cgroup) usage(t testing.TB) int64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(g.path, g.name("usage_in_bytes", "current")))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
