package verbs

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// named starts a process with a shim whose program has a name of this test's.
func named(t *testing.T, name, part string) *shimmed {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	check0(err)
	dir := t.TempDir()
	path := filepath.Join(dir, name)
	check0(os.WriteFile(path, self, 0o755))
	c := exec.Command(path)
	c.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
	return begin(t, c, part, dir)
}

func TestProcessByName(t *testing.T) {
	name := fmt.Sprintf("ledgerd-%d", os.Getpid())
	s := named(t, name, "serve")
	for _, args := range [][]string{{"sampling", name}, {"top", name}, {"explain", name},
		{"trim", name}, {"doctor", name},
		{"profile", name, "-o", "/dev/null"}, {"sampling", name, "on"}} {
		if r := cgoheap(t, args...); r.code != 0 {
			t.Errorf("%v: %+v", args, r)
		}
	}
	wrong := strings.Replace(name, "ledgerd", "legderd", 1)
	r := cgoheap(t, "top", wrong)
	if !strings.HasPrefix(r.err, fmt.Sprintf("cgoheap: no process of %q has cgoheap "+
		"loaded; is it %q?", wrong, name)) || r.code != 1 {
		t.Error(r)
	}
	other := named(t, name, "serve")
	r = cgoheap(t, "explain", name)
	first, last := min(s.pid, other.pid), max(s.pid, other.pid)
	r.want(t, 2, "", fmt.Sprintf("cgoheap: 2 processes of %q have cgoheap loaded; name one by "+
		"its ID:\n  %-8d %s\n  %-8d %s\n",
		name, first, name, last, name))
	// Also by the verbs that take processes without the library.
	for _, verb := range []string{"watch --once", "collect -o /dev/null/scene", "doctor"} {
		args := append(strings.Fields(verb), name)
		if again := cgoheap(t, args...); again.code != 2 || again.err != r.err {
			t.Errorf("%v: %+v", args, again)
		}
	}
	// The same for machines.
	r = cgoheap(t, "explain", name, "--json")
	var e errorJSON
	if err := json.Unmarshal([]byte(r.out), &e); err != nil || r.code != 2 ||
		len(e.Error.Among) != 2 || e.Error.Among[0].PID != first ||
		e.Error.ExitCode != 2 {
		t.Errorf("%v %+v", err, r)
	}
	// One without the shim, of that name, is told apart.
	plain := filepath.Join(t.TempDir(), "plainsleep")
	check0(exec.Command("cp", "/bin/sleep", plain).Run())
	c := exec.Command(plain, "100")
	check0(c.Start())
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	r = cgoheap(t, "top", "plainsleep")
	if r.code != 1 || !strings.Contains(r.err, "(plainsleep) does not have cgoheap loaded") {
		t.Error(r)
	}
	if r = cgoheap(t, "watch", "--once", "plainsleep"); r.code != 0 {
		t.Error(r)
	}
	second := exec.Command(plain, "100")
	check0(second.Start())
	t.Cleanup(func() { second.Process.Kill(); second.Wait() })
	if r = cgoheap(t, "watch", "--once", "plainsleep"); r.code != 2 || !strings.HasPrefix(r.err,
		"cgoheap: 2 processes are called \"plainsleep\"; name one by its ID:\n") {
		t.Error(r)
	}
}

func TestErrorsInJSON(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
	}{
		{"top 999999999 --json", 1}, {"explain no-such-program-here --json", 1},
		{"top --jsn --json", 2}, {"list 12 --json", 2},
		{"sampling 0 --json", 2}, {"trim 999999999 --json", 1}, {"doctor ./nothing-here --json", 1},
		{"autopsy ./nothing-here --json", 1},
	} {
		r := cgoheap(t, strings.Fields(c.args)...)
		var e struct {
			Schema string
			errorJSON
		}
		if err := json.Unmarshal([]byte(r.out), &e); err != nil || r.code != c.code ||
			e.Error.ExitCode != c.code ||
			e.Schema != "cgoheap.error/1" || r.err != "cgoheap: "+e.Error.Message+"\n" {
			t.Errorf("%s: %v %+v", c.args, err, r)
		}
	}
}
