package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"cgoheap/cli/internal/termtext"
)

// The test binary plays three parts: the tests, the command itself (so that a
// test sees real exit codes and real streams), and a process with a shim in
// it: a file called libcgoheap.so mapped, and a server on the socket.

const partVariable = "CLI_TEST_PART"

func TestMain(m *testing.M) {
	switch part := os.Getenv(partVariable); part {
	case "":
		os.Exit(runTests(m))
	case "command":
		os.Unsetenv(partVariable)
		main()
	default:
		playShim(part)
	}
}

// testDir is readable by every user, unlike t.TempDir.
var testDir string

func runTests(m *testing.M) int {
	time.Local = time.UTC
	var err error
	testDir, err = os.MkdirTemp("", "cgoheap-cli")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(testDir)
	if err := os.Chmod(testDir, 0o755); err != nil {
		panic(err)
	}
	for _, name := range []string{"LD_PRELOAD", "CGOHEAP_LIBRARY", "CGOHEAP_SOCKET", "XDG_RUNTIME_DIR", "CGOHEAP_ANY"} {
		os.Unsetenv(name)
	}
	return m.Run()
}

// ---- the command -----------------------------------------------------------

type result struct {
	out, err string
	code     int
}

func command(env []string, args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	c := exec.Command(self, args...)
	c.Env = append(append(os.Environ(), partVariable+"=command", "TZ=UTC"), env...)
	return c
}

func finish(t *testing.T, c *exec.Cmd) result {
	t.Helper()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	if _, isExit := err.(*exec.ExitError); err != nil && !isExit {
		t.Fatal(err)
	}
	return result{out.String(), errs.String(), c.ProcessState.ExitCode()}
}

func cgoheap(t *testing.T, args ...string) result {
	t.Helper()
	return finish(t, command(nil, args...))
}

func (r result) want(t *testing.T, code int, out, err string) {
	t.Helper()
	if r.code != code || r.out != out || r.err != err {
		t.Errorf("exit code %d, want %d\nstdout:\n%s\nwant:\n%s\nstderr:\n%s\nwant:\n%s", r.code, code, r.out, out, r.err, err)
	}
}

// ---- the process with a shim -------------------------------------------------

type shimmed struct {
	cmd *exec.Cmd
	pid int
	dir string // what it was given as XDG_RUNTIME_DIR
}

// startShim starts this binary as a process with a shim that behaves as part says.
func startShim(t *testing.T, part string, env ...string) *shimmed {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := exec.Command(self)
	c.Env = append(append(os.Environ(), "XDG_RUNTIME_DIR="+dir), env...)
	return begin(t, c, part, dir)
}

func begin(t *testing.T, c *exec.Cmd, part, dir string) *shimmed {
	t.Helper()
	c.Env = append(c.Env, partVariable+"="+part)
	c.Stderr = os.Stderr
	ready, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	line := make([]byte, 6)
	if _, err := io.ReadFull(ready, line); err != nil || string(line) != "ready\n" {
		t.Fatalf("the process with a shim did not start: %q, %v", line, err)
	}
	return &shimmed{c, c.Process.Pid, dir}
}

func (s *shimmed) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func (s *shimmed) arg() string { return fmt.Sprint(s.pid) }

func check0(err error) {
	if err != nil {
		panic(err)
	}
}

// playShim never returns.
func playShim(part string) {
	mapLibrary()
	path := os.Getenv("CGOHEAP_SOCKET")
	if path == "" {
		base := os.Getenv("XDG_RUNTIME_DIR")
		dir := fmt.Sprintf("%s/cgoheap-%d", base, os.Geteuid())
		check0(os.MkdirAll(dir, 0o700))
		path = fmt.Sprintf("%s/%d.sock", dir, os.Getpid())
	}
	var listener net.Listener
	if part == "full queue" {
		listener = listenFull(path)
	} else if part != "no socket" {
		var err error
		listener, err = net.Listen("unix", path)
		check0(err)
	}
	serve := func(h http.HandlerFunc) { go http.Serve(listener, h) }
	switch part {
	case "no socket", "silent":
	case "stale":
		listener.(*net.UnixListener).SetUnlinkOnClose(false)
		listener.Close()
	case "garbage":
		go func() {
			for {
				c, err := listener.Accept()
				check0(err)
				c.Write([]byte("SSH-2.0-OpenSSH\x1b[31m\r\n"))
				c.Close()
			}
		}()
	case "refuse":
		serve(func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "older is not a time: \x1b[2Jgive 10m\nsecond line", http.StatusBadRequest)
		})
	case "not json":
		serve(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	case "cut":
		serve(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/status" {
				io.WriteString(w, fakeStatus(os.Getpid(), "sampling", 524288, "null"))
				return
			}
			io.WriteString(w, "\x1f\x8b not a profile")
		})
	default:
		serve(newFakeShim(part).ServeHTTP)
	}
	os.Stdout.WriteString("ready\n")
	select {}
}

// listenFull has a queue of one connection, which is taken for half a second.
func listenFull(path string) net.Listener {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	check0(err)
	check0(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}))
	check0(syscall.Listen(fd, 0))
	waiting, err := net.Dial("unix", path)
	check0(err)
	time.AfterFunc(500*time.Millisecond, func() { waiting.Close() })
	listener, err := net.FileListener(os.NewFile(uintptr(fd), path))
	check0(err)
	return slowListener{listener}
}

type slowListener struct{ net.Listener }

func (l slowListener) Accept() (net.Conn, error) {
	time.Sleep(500 * time.Millisecond)
	return l.Listener.Accept()
}

func mapLibrary() {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("shim-%d", os.Getpid()), libraryName)
	check0(os.MkdirAll(filepath.Dir(path), 0o755))
	check0(os.WriteFile(path, make([]byte, 4096), 0o644))
	file, err := os.Open(path)
	check0(err)
	_, err = syscall.Mmap(int(file.Fd()), 0, 4096, syscall.PROT_READ, syscall.MAP_PRIVATE)
	check0(err)
	file.Close()
	check0(os.RemoveAll(filepath.Dir(path)))
}

// fakeShim answers as the shim does.
type fakeShim struct {
	part     string
	profiles atomic.Int64
	accounts atomic.Int64
	state    atomic.Value // string
	interval atomic.Uint64
}

func newFakeShim(part string) *fakeShim {
	f := &fakeShim{part: part}
	f.state.Store("sampling")
	f.interval.Store(524288)
	if part == "exact" {
		f.interval.Store(1)
	}
	return f
}

func (f *fakeShim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if f.part == "no account" && r.URL.Path != "/v1/status" {
		http.NotFound(w, r)
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /v1/status":
		status := fakeStatus(os.Getpid(), f.state.Load().(string), f.interval.Load(), "null")
		if f.part == "troubled" {
			status = strings.NewReplacer(`"uptime_ns"`, `"on_ns":12000000000,"off_ns":238000000000,"configured_sample_bytes":65536,"uptime_ns"`,
				`"live_full":0`, `"live_full":7`).Replace(status)
		}
		io.WriteString(w, status)
	case "POST /v1/sampling":
		f.answerSampling(w, query.Get("state"), query.Get("for"), query.Get("sample_bytes"))
	case "GET /debug/pprof/cgoheap":
		f.answerProfile(w, r)
	case "GET /debug/pprof/memory":
		if f.part == "wrong profile" {
			f.answerProfile(w, r)
			return
		}
		fakeMemoryProfile().Write(w)
	case "GET /v1/account":
		io.WriteString(w, fakeAccount(f.part, f.accounts.Add(1)))
	case "POST /v1/trim":
		f.answerTrim(w)
	default:
		http.NotFound(w, r)
	}
}

func (f *fakeShim) answerSampling(w io.Writer, state, limit, size string) {
	remaining := "null"
	if state == "on" {
		f.state.Store("sampling")
	} else {
		f.state.Store("dormant")
	}
	if size != "" {
		n, _ := termtext.ParseBytes(size)
		f.interval.Store(n)
	}
	if limit != "" {
		d, err := time.ParseDuration(limit)
		check0(err)
		remaining = fmt.Sprint(int64(d))
	}
	fmt.Fprintf(w, `{"state":%q,"sample_bytes":%d,"sampling_remaining_ns":%s}`, f.state.Load(), f.interval.Load(), remaining)
}

func (f *fakeShim) answerProfile(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if query.Get("debug") == "1" {
		fmt.Fprintf(w, "heap profile: query %s\n", r.URL.RawQuery)
		return
	}
	n := f.profiles.Add(1)
	if f.part == "busy" && n == 1 || f.part == "always busy" {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "16 requests are under way: wait for one to end", http.StatusServiceUnavailable)
		return
	}
	if f.part == "growing" && query.Has("seconds") {
		<-r.Context().Done() // an end of sending
	}
	p := fakeProfile(int64(f.interval.Load()), n)
	if query.Has("seconds") {
		p.DurationNanos = int64(10 * time.Minute)
	}
	p.Comments = append(p.Comments, "query "+r.URL.RawQuery)
	if f.part == "hostile" {
		p.Function[0].Name = "main.\x1b]0;owned\x07f"
		p.Function[0].Filename = "x.go"
	}
	p.Write(w)
}

func fakeStatus(pid int, state string, interval uint64, remaining string) string {
	return fmt.Sprintf(`{"version":"0.1.0","pid":%d,"state":%q,"sample_bytes":%d,"sampling_remaining_ns":%s,
"uptime_ns":250000000000,"start_time":"2026-01-02T03:04:05Z","samples":{"taken":3000,"live":1625},
"dropped":{"live_full":0,"reentered":0,"no_stack":0,"stale":0,"labels":0},
"stacks":{"distinct":40,"sites":55,"complete":39,"truncated":1,"by_end":{"complete_go":39,"no_cfi":1}},
"memory":{"resident_bytes":2097152,"max_bytes":33554432},"threads":12,
"host":{"go_version":"go1.26.8","allocator":"glibc","executable":"/x/service"},"socket":"/x.sock","tcp_port":null}`,
		pid, state, interval, remaining)
}

// ---- profiles ----------------------------------------------------------------

// profileBuilder makes profiles of stacks given as "function" or "function@file", leaf first.
type profileBuilder struct {
	p         *profile.Profile
	locations map[string]*profile.Location
}

func newProfileBuilder(period int64) *profileBuilder {
	types := []*profile.ValueType{{Type: "alloc_objects", Unit: "count"}, {Type: "alloc_space", Unit: "bytes"},
		{Type: "inuse_objects", Unit: "count"}, {Type: "inuse_space", Unit: "bytes"}}
	return &profileBuilder{locations: map[string]*profile.Location{}, p: &profile.Profile{
		SampleType: types, DefaultSampleType: "inuse_space", Period: period,
		PeriodType: &profile.ValueType{Type: "space", Unit: "bytes"},
	}}
}

func (b *profileBuilder) location(frame string) *profile.Location {
	if l := b.locations[frame]; l != nil {
		return l
	}
	name, file, _ := strings.Cut(frame, "@")
	f := &profile.Function{ID: uint64(len(b.p.Function) + 1), Name: name, Filename: file}
	b.p.Function = append(b.p.Function, f)
	l := &profile.Location{ID: f.ID, Address: f.ID * 16, Line: []profile.Line{{Function: f, Line: 7}}}
	b.p.Location = append(b.p.Location, l)
	b.locations[frame] = l
	return l
}

func (b *profileBuilder) add(objects, bytes int64, frames ...string) {
	s := &profile.Sample{Value: []int64{objects, bytes, objects, bytes},
		Label: map[string][]string{"origin": {"malloc"}}, NumLabel: map[string][]int64{"bytes": {bytes / max(objects, 1)}}}
	for _, f := range frames {
		s.Location = append(s.Location, b.location(f))
	}
	b.p.Sample = append(b.p.Sample, s)
}

// fakeProfile is the nth look: the store grows by 1 MiB each time.
func fakeProfile(period, n int64) *profile.Profile {
	b := newProfileBuilder(period)
	root := []string{"main.main@main.go", "runtime.main@proc.go", "runtime.goexit@asm_amd64.s"}
	stack := func(frames ...string) []string { return append(frames, root...) }
	b.add(81003, 639<<20+n<<20, stack("malloc", "sqlite3MemMalloc", "sqlite3_prepare_v2",
		"github.com/mattn/go-sqlite3._Cfunc_sqlite3_prepare_v2@_cgo_gotypes.go",
		"github.com/mattn/go-sqlite3.(*SQLiteConn).prepare@sqlite3.go",
		"cgoheap/cli/internal/store.(*Store).lookup@store.go")...)
	b.add(200, 172<<20, stack("malloc", "ZSTD_createCCtx", "main._Cfunc_ZSTD_createCCtx@_cgo_gotypes.go",
		"main.compress@main.go")...)
	b.add(3, 96, stack("malloc", "main._Cfunc__CMalloc@_cgo_gotypes.go", "main._Cfunc_CString@_cgo_gotypes.go",
		"main.header@main.go")...)
	return b.p
}
