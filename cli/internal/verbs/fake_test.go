package verbs

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/fakeshim"
	"cgoheap.example/cli/internal/fixture"
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
		os.Exit(Run(os.Args[1:]))
	case "leader":
		os.Exit(leadSession())
	default:
		playShim(part)
	}
}

func runTests(m *testing.M) int {
	time.Local = time.UTC
	for _, name := range []string{"LD_PRELOAD", "CGOHEAP_LIBRARY", "CGOHEAP_SOCKET",
		"XDG_RUNTIME_DIR", "CGOHEAP_ANY"} {
		os.Unsetenv(name)
	}
	return fixture.Main(m)
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
		t.Errorf("exit code %d, want %d\nstdout:\n%s\nwant:\n%s\nstderr:\n%s\nwant:\n%s", r.code,
			code, r.out, out, r.err, err)
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

// askedFile is there from when the first request for growth has come.
func askedFile(dir string) string { return filepath.Join(dir, "asked") }

func (s *shimmed) awaitAsked(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(askedFile(s.dir)); err == nil {
			return
		} else if time.Now().After(deadline) {
			t.Fatal("no request for growth came")
		}
	}
}

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
			http.Error(w, "older is not a time: \x1b[2Jgive 10m\nsecond line",
				http.StatusBadRequest)
		})
	case "not json":
		serve(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	case "cut":
		serve(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/status" {
				io.WriteString(w, fakeshim.Status(os.Getpid(), "sampling", 524288, "null"))
				return
			}
			io.WriteString(w, "\x1f\x8b not a profile")
		})
	default:
		fake := fakeshim.New(part)
		serve(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("seconds") {
				check0(os.WriteFile(askedFile(os.Getenv("XDG_RUNTIME_DIR")), nil, 0o600))
			}
			fake.ServeHTTP(w, r)
		})
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
	return &slowListener{Listener: listener}
}

// slowListener begins late.  After that it keeps up: others on this machine may ask, too.
type slowListener struct {
	net.Listener
	begun bool
}

func (l *slowListener) Accept() (net.Conn, error) {
	if !l.begun {
		time.Sleep(500 * time.Millisecond)
		l.begun = true
	}
	return l.Listener.Accept()
}

func mapLibrary() {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("shim-%d", os.Getpid()), attach.LibraryName)
	check0(os.MkdirAll(filepath.Dir(path), 0o755))
	check0(os.WriteFile(path, make([]byte, 4096), 0o644))
	file, err := os.Open(path)
	check0(err)
	_, err = syscall.Mmap(int(file.Fd()), 0, 4096, syscall.PROT_READ, syscall.MAP_PRIVATE)
	check0(err)
	file.Close()
	check0(os.RemoveAll(filepath.Dir(path)))
}
