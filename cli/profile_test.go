package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/pprof/profile"
)

func profileIn(t *testing.T, dir string, args ...string) result {
	t.Helper()
	c := command(nil, append([]string{"profile"}, args...)...)
	c.Dir = dir
	return finish(t, c)
}

func readProfile(t *testing.T, path string) *profile.Profile {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := parseProfile(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func namesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestProfileDefaultName(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	r := profileIn(t, dir, s.arg())
	names := namesIn(t, dir)
	if r.code != 0 || len(names) != 1 || !regexp.MustCompile(`^cgoheap\.cli\.test\.\d+\.\d{8}-\d{6}\.pb\.gz$`).MatchString(names[0]) {
		t.Fatal(r, names)
	}
	want := "cgoheap: wrote NAME: ~812.0 MiB in use in 3 stacks\n" +
		"  go tool pprof NAME             the stacks, as text\n" +
		"  go tool pprof -http=: NAME     a flame graph in the browser\n"
	if r.out != "" || r.err != strings.ReplaceAll(want, "NAME", names[0]) {
		t.Errorf("%q", r.err)
	}
	if p := readProfile(t, filepath.Join(dir, names[0])); len(p.Sample) != 3 {
		t.Error(p)
	}
}

func TestProfileMemory(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	r := profileIn(t, dir, s.arg(), "--memory")
	names := namesIn(t, dir)
	if r.code != 0 || len(names) != 1 || !regexp.MustCompile(`^cgoheap-memory\.cli\.test\.\d+\.\d{8}-\d{6}\.pb\.gz$`).MatchString(names[0]) {
		t.Fatal(r, names)
	}
	if !strings.HasPrefix(r.err, "cgoheap: wrote "+names[0]+": 901.0 MiB resident in 2 stacks\n") {
		t.Errorf("%q", r.err)
	}
	// The other profile is no profile of memory, and is not saved as one.
	s = startShim(t, "wrong profile")
	r = profileIn(t, t.TempDir(), s.arg(), "--memory").normal(s)
	r.want(t, 1, "", "cgoheap: process PID (service) sent a profile that cannot be read: the profile has no memory_space\n")
}

func TestProfileQuery(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	for query, args := range map[string][]string{
		"":                       nil,
		"seconds=1":              {"--seconds", "1"},
		"older=10m0s":            {"--older", "10m"},
		"frames=all":             {"--all-frames"},
		"older=1s&symbols=none":  {"--raw", "--older", "1"},
		"frames=all&older=250ms": {"--older", "250ms", "--all-frames"},
	} {
		path := filepath.Join(dir, "p.pb.gz")
		r := profileIn(t, dir, append([]string{s.arg(), "-o", path}, args...)...)
		if r.code != 0 {
			t.Fatal(r)
		}
		if p := readProfile(t, path); p.Comments[0] != "query "+query {
			t.Errorf("%v asked for %s, want %s", args, p.Comments[0], query)
		}
	}
	if names := namesIn(t, dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func TestProfileToStandardOutput(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	r := profileIn(t, dir, s.arg(), "-o", "-")
	p, err := parseProfile([]byte(r.out))
	if r.code != 0 || r.err != "" || err != nil || len(p.Sample) != 3 {
		t.Errorf("%d %q %v", r.code, r.err, err)
	}
	r = profileIn(t, dir, s.arg(), "--text")
	r.want(t, 0, "heap profile: query debug=1\n", "")
	profileIn(t, dir, s.arg(), "--text", "-o", "a b.txt").want(t, 0, "", "cgoheap: wrote 'a b.txt'\n")
	if names := namesIn(t, dir); len(names) != 1 || names[0] != "a b.txt" {
		t.Errorf("%v", names)
	}
}

func TestProfileFailuresLeaveNoFile(t *testing.T) {
	s := startShim(t, "cut")
	dir := t.TempDir()
	r := profileIn(t, dir, s.arg()).normal(s)
	if r.code != 1 || !strings.HasPrefix(r.err, "cgoheap: process PID (service) sent a profile that cannot be read: ") {
		t.Errorf("%+v", r)
	}
	r = profileIn(t, dir, s.arg(), "-o", "missing/p.pb.gz")
	r.want(t, 1, "", "cgoheap: nothing can be written in \"missing\" (no such file or directory): name another place with -o\n")
	if names := namesIn(t, dir); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

func TestProfileInterrupted(t *testing.T) {
	s := startShim(t, "silent")
	dir := t.TempDir()
	c := command(nil, "profile", s.arg(), "--seconds", "100")
	c.Dir = dir
	errs, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	text := readUntil(t, errs, "\n")
	if s.normal(text) != "cgoheap: watching process PID (service) for 100s\n" {
		t.Errorf("%q", text)
	}
	c.Process.Signal(syscall.SIGINT)
	text = readUntil(t, errs, "\n")
	if err := c.Wait(); err == nil || c.ProcessState.ExitCode() != 1 || text != "cgoheap: interrupted: nothing was saved\n" {
		t.Errorf("%v %q", err, text)
	}
	if names := namesIn(t, dir); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

// What is saved is what go tool pprof reads.
func TestProfileWithGoToolPprof(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	if r := profileIn(t, dir, s.arg(), "-o", "p.pb.gz"); r.code != 0 {
		t.Fatal(r)
	}
	out, err := exec.Command("go", "tool", "pprof", "-top", filepath.Join(dir, "p.pb.gz")).Output()
	if err != nil || !strings.Contains(string(out), "github.com/mattn/go-sqlite3.(*SQLiteConn).prepare") {
		t.Errorf("%v\n%s", err, out)
	}
}
