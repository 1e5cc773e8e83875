package soak

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// A service is the example, with children forked all the while.
type service struct {
	url, socket string
	command     *exec.Cmd
	errors      bytes.Buffer
}

func run(t *testing.T, dir, name string, arguments ...string) {
	t.Helper()
	c := exec.Command(name, arguments...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, arguments, err, out)
	}
}

// build makes the example and the library that forks, once for both services.
func build(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	t.Setenv("CGO_CFLAGS", "-O1 -g")
	run(t, "../../examples/notes", "go", "build", "-o", filepath.Join(dir, "notes"), ".")
	run(t, ".", "cc", "-O1", "-fno-builtin", "-shared", "-fPIC", "-o", filepath.Join(dir, "forks.so"), "forks/forks.c", "-lpthread")
	return dir
}

var listening = regexp.MustCompile(`^listening on (http:\S+) `)

// start runs it until the test ends; shim is the library, or none.
func start(t *testing.T, dir, shim string) *service {
	t.Helper()
	s := &service{socket: filepath.Join(t.TempDir(), "socket")}
	s.command = exec.Command(filepath.Join(dir, "notes"), "-addr", "127.0.0.1:0", "-fixed")
	s.command.Env = append(os.Environ(), "SOAK_FORKS=1", "CGOHEAP_SOCKET="+s.socket, "CGOHEAP_SAMPLE_BYTES=64KiB",
		"LD_PRELOAD="+filepath.Join(dir, "forks.so")+" "+shim)
	s.command.Stderr = &s.errors
	out, err := s.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.command.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	found := listening.FindStringSubmatch(line)
	if found == nil {
		t.Fatalf("the service said %q (%v) and %s", line, err, &s.errors)
	}
	s.url = found[1]
	return s
}

// stop ends it as a service manager does: it is to leave in good order, having said nothing.
func (s *service) stop(t *testing.T) {
	t.Helper()
	s.command.Process.Signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- s.command.Wait() }()
	select {
	case err := <-done:
		if err != nil || s.errors.Len() != 0 {
			t.Errorf("the service ended with %v and said %q", err, &s.errors)
		}
	case <-time.After(30 * time.Second):
		t.Error("the service does not end")
	}
}
