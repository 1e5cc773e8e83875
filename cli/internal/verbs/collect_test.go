package verbs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"cgoheap.example/cli/internal/collect"
)

func collectIn(t *testing.T, dir string, args ...string) result {
	t.Helper()
	c := command(nil, append([]string{"collect"}, args...)...)
	c.Dir = dir
	return finish(t, c)
}

func readManifest(t *testing.T, dir string) *collect.Manifest {
	t.Helper()
	m := &collect.Manifest{}
	if err := json.Unmarshal([]byte(readAll(t, filepath.Join(dir, "manifest.json"))),
		m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCollect(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	r := collectIn(t, dir, s.arg(), "--url", servePprof(t, pprof.Index), "--cpu", "0")
	names := namesIn(t, dir)
	if r.code != 0 || len(names) != 1 ||
		!regexp.MustCompile(`^[\w.-]+-verbs\.test-\d{8}-\d{6}$`).MatchString(names[0]) {
		t.Fatal(r, names)
	}
	m := readManifest(t, filepath.Join(dir, names[0]))
	for _, path := range []string{"cgoheap.pb.gz", "memory.pb.gz", "account.json", "status.json",
		"proc/smaps", "host/kernel", "go/heap.pb.gz", "go/goroutine.txt"} {
		if !m.Has(path) {
			t.Errorf("no %s", path)
		}
	}
	if !m.Complete || *m.PID != s.pid || m.Program != "verbs.test" {
		t.Errorf("%+v", m)
	}
	if !strings.HasPrefix(r.out, "Does the Go heap explain the RSS? No.\n") ||
		!strings.HasSuffix(r.out,
			"\n\n"+names[0]+"/README.txt has the rest, and what to do next\n") {
		t.Errorf("%q", r.out)
	}
	if !strings.Contains(r.err, "\n  cgoheap.pb.gz ") || !strings.Contains(r.err,
		"  go/heap.pb.gz ") {
		t.Errorf("%q", r.err)
	}
	// Not a second time into the same place; the default is another one.
	r = collectIn(t, dir, s.arg(), "-o", names[0])
	if want := "cgoheap: \"" + names[0] +
		"\" exists already: name one that does not with -o, such as "; r.code != 1 ||
		!strings.HasPrefix(r.err, want) {
		t.Errorf("%q", r.err)
	}
}

// TestCollectWithoutLibrary: /proc is there all the same.
func TestCollectWithoutLibrary(t *testing.T) {
	c := sleeper(t)
	dir := t.TempDir()
	r := collectIn(t, dir, c, "-o", "scene")
	m := readManifest(t, filepath.Join(dir, "scene"))
	if r.code != 0 || m.Has("account.json") || !m.Has("proc/smaps_rollup") || !m.Complete {
		t.Errorf("%+v %+v", r, m)
	}
	readme := readAll(t, filepath.Join(dir, "scene", "README.txt"))
	if !strings.Contains(readme, "does not have cgoheap loaded") {
		t.Error(readme)
	}
}

// sleeper is the ID of a process without the library.
func sleeper(t *testing.T) string {
	t.Helper()
	c := exec.Command("sleep", "1000")
	check0(c.Start())
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	return fmt.Sprint(c.Process.Pid)
}

// TestCollectByURL: what cannot be had is one line, and no directory.
func TestCollectByURL(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for _, c := range []struct{ url, want string }{
		{closed.URL, "cgoheap: URL/debug/pprof: no server listens there\n"},
		{servePprof(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "who?", 401) }),
			"cgoheap: URL/debug/pprof: answers 401 Unauthorized: who?: it needs a password: " +
				"--url http://USER:PASSWORD@HOST/debug/pprof (cgoheap neither prints nor " +
				"saves it)\n"},
		{servePprof(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere/", 302)
		}), "cgoheap: URL/debug/pprof: redirects to http://elsewhere/, which is not followed: " +
			"if that is the service, name it with --url\n"},
		{servePprof(t, http.NotFound),
			"cgoheap: nothing could be collected: URL/debug/pprof/cgoheap: " +
				"the service does not serve this: it does not import cgo_bridge\n"},
	} {
		dir := t.TempDir()
		r := collectIn(t, dir, "--url", c.url, "--cpu", "0")
		last := r.err[strings.LastIndex(strings.TrimSpace(r.err), "\n")+1:]
		want := strings.ReplaceAll(strings.ReplaceAll(c.want, "URL/", c.url+"/"), "HOST",
			strings.TrimPrefix(c.url, "http://"))
		if r.code != 1 || last != want || r.out != "" || len(namesIn(t, dir)) != 0 {
			t.Errorf("%d %q\nwant %q %v", r.code, last, want, namesIn(t, dir))
		}
	}
	dir := t.TempDir()
	url := strings.Replace(servePprof(t, pprof.Index), "://", "://ada:hush@", 1)
	r := collectIn(t, dir, "--url", url, "--cpu", "0", "-o", "scene")
	m := readManifest(t, filepath.Join(dir, "scene"))
	if r.code != 0 || m.PID != nil || strings.Contains(r.err+r.out+*m.URL, "hush") {
		t.Errorf("%+v %+v", r, m)
	}
}

// TestCollectInterrupted: what was saved stays.
func TestCollectInterrupted(t *testing.T) {
	s := startShim(t, "serve")
	asked := make(chan bool, 1)
	address := servePprof(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/debug/pprof/profile" {
			asked <- true
			<-r.Context().Done()
		}
		pprof.Index(w, r)
	})
	dir := t.TempDir()
	c := command(nil, "collect", s.arg(), "--url", address, "--cpu", "60s", "-o", "scene")
	c.Dir = dir
	errs, err := c.StderrPipe()
	check0(errors.Join(err, c.Start()))
	<-asked
	c.Process.Signal(syscall.SIGINT)
	text, _ := io.ReadAll(errs)
	c.Wait()
	m := readManifest(t, filepath.Join(dir, "scene"))
	want := "cgoheap: interrupted: what was collected is in scene, and its manifest.json says " +
		"what " +
		"is missing\n"
	if c.ProcessState.ExitCode() != 1 || !strings.HasSuffix(string(text), want) || m.Complete ||
		!m.Has("go/block.pb.gz") || m.Has("go/cpu.pb.gz") {
		t.Errorf("%s\n%+v", text, m)
	}
}

// TestCollectArchive: one file in place of the directory, or on stdout.
func TestCollectArchive(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	for output, want := range map[string]string{"a": "a.tar.gz", "b.tar.gz": "b.tar.gz",
		"c.tgz": "c.tgz"} {
		r := collectIn(t, dir, s.arg(), "--tar", "-o", output)
		if info, err := os.Stat(filepath.Join(dir, want)); r.code != 0 || err != nil ||
			info.Mode().Perm() != 0o600 {
			t.Error(output, r, err)
		}
		if r = collectIn(t, dir, s.arg(), "--tar", "-o", output); r.code != 1 {
			t.Error(output, r)
		}
	}
	if names := namesIn(t, dir); len(names) != 3 {
		t.Error(names)
	}
	c := command([]string{"TMPDIR=" + dir}, "collect", s.arg(), "--tar", "-o", "-")
	r := finish(t, c)
	if r.code != 0 || !strings.HasPrefix(r.out, "\x1f\x8b") || len(namesIn(t, dir)) != 3 ||
		!strings.Contains(r.err, collect.Question) {
		t.Error(r.code, r.err, namesIn(t, dir))
	}
}

// TestCollectFullDisk: what there was room for stays, and one line says it.
func TestCollectFullDisk(t *testing.T) {
	s := startShim(t, "serve")
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("no room of its own:", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	r := collectIn(t, dir, s.arg(), "-o", "scene")
	m := readManifest(t, filepath.Join(dir, "scene"))
	if r.code != 1 || !strings.HasSuffix(r.err,
		"\ncgoheap: cannot write to \"scene\": no space left on device: what was collected is "+
			"in scene, and its manifest.json says what is missing\n") {
		t.Error(r)
	}
	if m.Complete || !m.Has("cgoheap.pb.gz") {
		t.Errorf("%+v", m)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "scene", "*", "*.new")); len(left) > 0 {
		t.Error(left)
	}
}
