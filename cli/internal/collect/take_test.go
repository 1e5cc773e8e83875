package collect

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cgoheap.example/cli/internal/fakeshim"
)

func noLibrary(string) ([]byte, error) {
	return nil, errors.New("process 4242 does not have cgoheap loaded")
}

// TestSceneIsWhole: each source of the table is a file, private, and dated in order.
func TestSceneIsWhole(t *testing.T) {
	w := newWorld(t)
	dir, m, err := w.take(w.options())
	if err != nil || !m.Complete || m.Ended == nil {
		t.Fatal(err)
	}
	last := int64(0)
	for _, f := range m.Files {
		info, err := os.Stat(filepath.Join(dir, f.Path))
		if err != nil || f.Bytes == nil || info.Size() != *f.Bytes || info.Mode().Perm() != 0o600 {
			t.Errorf("%+v: %v %v", f, info, err)
		}
		if f.MonoNS <= last || f.Wall.IsZero() || f.Attempts != 1 {
			t.Errorf("%+v", f)
		}
		last = f.MonoNS
	}
	for _, s := range sources {
		if s.path != "" && !m.Has(s.path) {
			t.Errorf("no %s", s.path)
		}
	}
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o700 {
		t.Error(info.Mode())
	}
	var saved Manifest
	if err := json.Unmarshal([]byte(readText(t, dir, "manifest.json")), &saved); err != nil ||
		len(saved.Files) != len(m.Files) || !saved.Complete {
		t.Error(err)
	}
	if text := readText(t, dir, "host/zombies"); text !=
		"pid 77 parent 1 defunct )\n1 zombies among 2 visible processes\n" {
		t.Errorf("%q", text)
	}
	// Memory first, the processor last, and after it nothing.
	if m.Files[0].Path != "cgoheap.pb.gz" || m.Files[len(m.Files)-1].Path != "go/cpu.pb.gz" {
		t.Error(m.Files)
	}
}

// faults are ways in which a page is missing.
var faults = map[string]http.HandlerFunc{
	"404":  http.NotFound,
	"500":  func(w http.ResponseWriter, r *http.Request) { http.Error(w, "on fire", 500) },
	"hang": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	"refused": func(w http.ResponseWriter, r *http.Request) {
		c, _, _ := w.(http.Hijacker).Hijack()
		c.Close()
	},
	"HTML": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<html>sign in</html>")
	},
	"HTML by another name": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		io.WriteString(w, " <!DOCTYPE html><html>sign in</html>")
	},
	"cut": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100000")
		io.WriteString(w, "heap profile: ")
	},
	"nothing": func(w http.ResponseWriter, r *http.Request) {},
}

// TestEachSourceMissing: one source fails, in each way; the others are there, and it is said.
func TestEachSourceMissing(t *testing.T) {
	for _, s := range sources {
		for name, fault := range faults {
			switch {
			case s.path == "" || s.from != fromGo && name != "404":
				continue // a file of /proc is there or not; the library's errors are sentences
			case s.page == zombiesPage || s.page == kernelPage:
				continue // they are put together from what there is
			case s.page == "cmdline" && name == "nothing" || s.page == "cgroup":
				continue // no text is a command line, too; without a cgroup there is more missing
			}
			t.Run(s.path+" "+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				o := w.options()
				if name == "hang" {
					o.Server.limits.Each = 2 * time.Second
				}
				if s.from == fromGo || s.from == fromLibrary {
					w.fail[o.pageOf(s)] = fault
				}
				wantOnlyMissing(t, w, o, s.path)
			})
		}
	}
}

func wantOnlyMissing(t *testing.T, w *world, o *Options, path string) {
	t.Helper()
	removeFile(w, path)
	dir, m, err := w.take(o)
	if err != nil || !m.Complete || !slices.Equal(missing(m), []string{path}) {
		t.Fatalf("%v, missing %v", err, missing(m))
	}
	if _, err := os.Stat(filepath.Join(dir, path)); err == nil {
		t.Errorf("%s is there", path)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", "*.new")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	readme := readText(t, dir, "README.txt")
	_, said, _ := strings.Cut(readme, "\nMISSING, and why\n")
	if !strings.HasPrefix(readme, Question) || !strings.Contains(said, path+":") {
		t.Errorf("%s", readme)
	}
	if strings.Contains(strings.Split(readme, "MISSING")[0], " "+path+"\n") {
		t.Errorf("a command names %s\n%s", path, readme)
	}
}

// removeFile takes a file away from /proc, if it is one.
func removeFile(w *world, path string) {
	from := map[string]string{"proc": "proc/4242/", "host": "proc/", "cgroup": ""}
	group, name, _ := strings.Cut(path, "/")
	below, isFile := from[group]
	if isFile && name != "zombies" && name != "kernel" {
		os.Remove(filepath.Join(w.root, below, strings.ReplaceAll(name, "pressure-", "pressure/")))
	}
}

// TestFilesThatHang: the kernel may not answer while it changes the memory map.
func TestFilesThatHang(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(w.root, "proc/4242/smaps")
	if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	o := w.options()
	o.Limits.Each = time.Second
	wantOnlyMissing(t, w, o, "proc/smaps")
}

// TestAttempts: what may pass is asked for again, what is final is not.
func TestAttempts(t *testing.T) {
	for name, want := range map[string]int{"404": 1, "500": 3, "refused": 3, "cut": 3, "HTML": 1} {
		w := newWorld(t)
		w.fail["allocs"] = faults[name]
		_, m, err := w.take(w.options())
		if f := fileOf(m, "go/allocs.pb.gz"); err != nil || f.Attempts != want || f.Error == nil {
			t.Errorf("%s: %v, %+v", name, err, f)
		}
	}
	w := newWorld(t) // the second attempt succeeds
	failed := false
	w.fail["heap"] = func(rw http.ResponseWriter, r *http.Request) {
		if failed {
			fakeshim.Profile(1, 1).Write(rw)
			return
		}
		failed = true
		faults["refused"](rw, r)
	}
	_, m, err := w.take(w.options())
	if f := fileOf(m, heapProfile); err != nil || f.Attempts != 2 || f.Error != nil {
		t.Errorf("%v, %+v", err, f)
	}
}

// TestServerGone: it is not asked a dozen times for what it does not answer.
func TestServerGone(t *testing.T) {
	for _, name := range []string{"hang", "refused"} {
		w := newWorld(t)
		o := w.options()
		o.Server.limits.Each = 200 * time.Millisecond
		o.CPU, o.Trace = 0, 0
		w.fail["*"] = faults[name]
		if name == "refused" {
			o.Server.client.Transport = http.DefaultTransport
			o.Server.base.Host = "127.0.0.1:1"
		}
		_, m, err := w.take(o)
		asked := 0
		for _, f := range m.Files {
			if f.Source == fromGo && f.Attempts > 0 {
				asked++
			}
		}
		if err != nil || !m.Complete || asked != patience || m.Has(heapProfile) ||
			!m.Has("proc/smaps") {
			t.Errorf("%s: %v, asked for %d", name, err, asked)
		}
	}
}

// TestNothing: where nothing can be had there is no directory, and one line.
func TestNothing(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.Process, o.Library = nil, nil
	w.fail["*"] = faults["HTML"]
	dir, _, err := w.take(o)
	want := "nothing could be collected: http://service:6060/debug/pprof/cgoheap: answers with a " +
		"web page (text/html), not a profile: is net/http/pprof served there?"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory is there")
	}
}

// TestSecrets: neither the password nor a token is in any file, in what is printed, or in errors.
func TestSecrets(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.Server = w.server("http://ada:hush@service:6060/debug/pprof?token=sesame", o.Limits)
	var printed bytes.Buffer
	o.Progress = &printed
	authorized := 0
	for _, page := range []string{"heap?token=sesame", "allocs?token=sesame"} {
		w.fail[page] = func(rw http.ResponseWriter, r *http.Request) {
			if user, password, _ := r.BasicAuth(); user == "ada" && password == "hush" {
				authorized++
			}
			http.Error(rw, "no", http.StatusUnauthorized)
		}
	}
	dir, m, err := w.take(o)
	if err != nil || authorized != 2 {
		t.Fatal(err, authorized)
	}
	if f := fileOf(m,
		heapProfile); *f.Error != "answers 401 Unauthorized: no: it does not accept this "+
		"user and password" || f.From != "http://...@service:6060/debug/pprof?.../heap" {
		t.Errorf("%s %s", f.From, *f.Error)
	}
	text := printed.String()
	filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			text += readText(t, path)
		}
		return err
	})
	for _, secret := range []string{"hush", "sesame"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in the scene, or was printed", secret)
		}
	}
}

func TestRedirects(t *testing.T) {
	for to, want := range map[string]string{
		"http://elsewhere:6060/x?token=1": "redirects to http://elsewhere:6060/x?..., which " +
			"is not " +
			"followed: if that is the service, name it with --url",
		"/debug/pprof/heap": "",
		"/debug/pprof/loop": "redirects in a circle",
	} {
		w := newWorld(t)
		turn := func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, to, 302) }
		w.fail["allocs"], w.fail["loop"] = turn, turn
		_, m, err := w.take(w.options())
		got := ""
		if f := fileOf(m, allocsProfile); f.Error != nil {
			got = *f.Error
		}
		if err != nil || got != want {
			t.Errorf("%s: %v, %q, want %q", to, err, got, want)
		}
	}
}

func TestParseURL(t *testing.T) {
	for given, want := range map[string]string{
		"127.0.0.1:6060":                        "http://127.0.0.1:6060/debug/pprof",
		"http://h:6060/":                        "http://h:6060/debug/pprof",
		"http://h:6060/debug/pprof":             "http://h:6060/debug/pprof",
		"http://h:6060/debug/pprof/":            "http://h:6060/debug/pprof",
		"https://h/debug/pprof/heap?debug=1":    "https://h/debug/pprof",
		"h/debug/pprof/heap?token=x&seconds=9":  "http://h/debug/pprof?...",
		"https://u:p@h/admin/pprof/":            "https://...@h/admin/pprof",
		"http://[::1]:6060/debug/pprof/profile": "http://[::1]:6060/debug/pprof",
		"http://h/debug/pprof/cgoheap":          "http://h/debug/pprof",
		"http://h/debug/pprof/goroutine#x":      "http://h/debug/pprof",
		"http://h/a%2fb/debug/pprof":            "http://h/a/b/debug/pprof",
		"http://h:6060/%1b[2J/debug/pprof/heap": "http://h:6060/%1B%5B2J/debug/pprof",
	} {
		s, err := ParseURL(given, UsualLimits)
		if err != nil || s.String() != want {
			t.Errorf("%s: %v, %v, want %s", given, s, err, want)
		}
	}
	for _, bad := range []string{"", "http://", "ftp://h", "http://:6060", "unix:///x",
		"http://[::1"} {
		if s, err := ParseURL(bad, UsualLimits); err == nil {
			t.Errorf("%q: %s", bad, s)
		}
	}
}

// TestInterrupted: what was saved stays, and the manifest says what is missing.
// A part of a name is plain and short, whatever the service calls itself.
func TestSafeName(t *testing.T) {
	for name, want := range map[string]string{"": "unknown", "../a b\n": ".._a_b_",
		strings.Repeat("n", 300): strings.Repeat("n", mostName)} {
		if got := SafeName(name); got != want {
			t.Errorf("%q: %q", name, got)
		}
	}
}

// More heap in use than is resident explains nothing.
func TestAnswerOfFiguresThatDoNotFit(t *testing.T) {
	f := &Facts{Process: map[string]int64{"VmRSS": 10 << 20},
		MemStats: map[string]int64{"HeapInuse": 50 << 20}}
	if a := f.answer(); a.word != "Unknown." || strings.Contains(a.text, "%") {
		t.Errorf("%+v", a)
	}
}

// A server that repeats what it was asked does not bring the password into the scene.
func TestEchoOfSecrets(t *testing.T) {
	server, err := ParseURL("http://u:s3cr3t@h/?token=abc123", UsualLimits)
	if err != nil {
		t.Fatal(err)
	}
	got := server.hide("no page /heap?token=abc123 Basic dTpzM2NyM3Q= s3cr3t")
	if got != "no page /heap?token=... Basic ... ..." {
		t.Error(got)
	}
}

// endless is a body that never ends.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func TestEndlessPage(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, endless{})
	}))
	defer s.Close()
	server, err := ParseURL(s.URL, UsualLimits)
	if err != nil {
		t.Fatal(err)
	}
	err = server.get(context.Background(), "heap", 0, io.Discard)
	if err == nil || err.Error() != "answers with more than 256.0 MiB" {
		t.Error(err)
	}
}

func TestInterrupted(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(context.Background())
	w.fail["heap?gc=1"] = func(rw http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}
	dir := filepath.Join(t.TempDir(), "scene")
	m, err := Take(ctx, dir, w.options())
	if err == nil || err.Error() != "interrupted" || m.Complete || *m.Stopped != "interrupted" {
		t.Fatalf("%v %+v", err, m)
	}
	if !m.Has(heapProfile) || m.Has(liveProfile) || fileOf(m, "go/cpu.pb.gz").Attempts != 0 {
		t.Error(missing(m))
	}
	var saved Manifest
	if err := json.Unmarshal([]byte(readText(t, dir, "manifest.json")), &saved); err != nil ||
		saved.Complete || len(saved.Files) != len(m.Files) {
		t.Error(err)
	}
	if readme := readText(t, dir, "README.txt"); !strings.HasPrefix(readme, Question+" No.\n") ||
		!strings.Contains(readme, "It is not complete: interrupted.") {
		t.Error(readme)
	}
}

// TestKilled: the manifest is there after each file, for who looks after a kill.
func TestKilled(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(t.TempDir(), "scene")
	var saved Manifest
	w.fail["allocs"] = func(rw http.ResponseWriter, r *http.Request) {
		if err := json.Unmarshal([]byte(readText(t, dir, "manifest.json")), &saved); err != nil {
			t.Error(err)
		}
	}
	if _, err := Take(context.Background(), dir, w.options()); err != nil {
		t.Error(err)
	}
	if saved.Complete || saved.Ended != nil || !saved.Has(liveProfile) || saved.Has(allocsProfile) {
		t.Errorf("%+v", saved)
	}
}

// TestDirectoryExists: nothing in it is touched.
func TestDirectoryExists(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	_, err := Take(context.Background(), dir, w.options())
	if err == nil || !strings.Contains(err.Error(),
		"exists already: name a directory that does not") {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 || len(w.asked) > 0 {
		t.Error(left, w.asked)
	}
}

func TestArchive(t *testing.T) {
	w := newWorld(t)
	dir, m, err := w.take(w.options())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Archive(dir, &b); err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for archive := tar.NewReader(zip); ; {
		h, err := archive.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		name := strings.TrimPrefix(h.Name, "scene/")
		if err != nil || h.Mode&0o077 != 0 || !h.FileInfo().IsDir() && string(text) != readText(t,
			dir, name) {
			t.Errorf("%+v %v", h, err)
		}
		found[name] = true
	}
	for _, f := range m.Files {
		if !found[f.Path] {
			t.Errorf("%s is not in the archive", f.Path)
		}
	}
	if !found["README.txt"] || !found["manifest.json"] {
		t.Error(found)
	}
}

// TestCgroupDirectory: version 1 and 2, with and without a namespace.
func TestCgroupDirectory(t *testing.T) {
	const v1 = "40 25 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	for name, c := range map[string]struct{ groups, mounts, dir string }{
		"v2": {"0::/a/b\n",
			"30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "sys/fs/cgroup/a/b"},
		"v2, a container's": {"0::/\n", "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 c rw\n",
			"sys/fs/cgroup"},
		"v1": {"5:memory:/a\n0::/\n", v1, "sys/fs/cgroup/memory/a"},
		"v1, bound": {"5:cpu,memory:/docker/x\n",
			"40 25 0:30 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
			"sys/fs/cgroup/memory"},
		"outside of what is mounted": {"0::/../../other\n",
			"30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "sys/fs/cgroup"},
		"none": {"5:memory:/a\n", "", ""},
	} {
		w := newWorld(t)
		w.write("proc/4242/cgroup", c.groups)
		w.write("proc/self/mountinfo", c.mounts)
		if c.dir != "" {
			w.write(filepath.Join(c.dir, "memory.stat"), "file 1\n")
			c.dir = filepath.Join(w.root, c.dir)
		}
		if got := w.options().cgroupDir(); got != c.dir {
			t.Errorf("%s: %q, want %q", name, got, c.dir)
		}
	}
}

func TestMain(m *testing.M) {
	flag.Set("test.parallel", "16") // most of them wait
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		os.Setenv("TMPDIR", "/dev/shm") // thousands of small files
	}
	flag.Parse()
	os.Exit(m.Run())
}
