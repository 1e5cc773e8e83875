package soak

import (
	"bufio"
	"bytes"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// A service is the example.
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
	run(t, ".", "cc", "-O1", "-fno-builtin", "-shared", "-fPIC", "-o",
		filepath.Join(dir, "forks.so"), "forks/forks.c", "-lpthread")
	return dir
}

var listening = regexp.MustCompile(`^listening on (http:\S+) `)

// start runs it until the test ends, with children forked; shim is the library, or none.
func start(t *testing.T, dir, shim string) *service {
	t.Helper()
	return startUnder(t, dir, nil, "SOAK_FORKS=1", "CGOHEAP_SAMPLE_BYTES=64KiB",
		"LD_PRELOAD="+filepath.Join(dir, "forks.so")+" "+shim)
}

// startUnder runs it until the test ends, by a launcher (none: by itself), with these variables for
// the service.
func startUnder(t *testing.T, dir string, launcher []string, variables ...string) *service {
	t.Helper()
	s := &service{socket: filepath.Join(t.TempDir(), "socket")}
	line := append(launcher, "/usr/bin/env")
	line = append(line, variables...)
	line = append(line, "CGOHEAP_SOCKET="+s.socket, filepath.Join(dir, "notes"), "-addr",
		"127.0.0.1:0", "-fixed")
	s.command = exec.Command(line[0], line[1:]...)
	out, err := s.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.command.Process.Kill() })
	said, err := bufio.NewReader(out).ReadString('\n')
	found := listening.FindStringSubmatch(said)
	if found == nil {
		t.Fatalf("the service said %q (%v) and %s", said, err, &s.errors)
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
