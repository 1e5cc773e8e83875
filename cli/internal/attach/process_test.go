package attach

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMapUID(t *testing.T) {
	const table = "         0     100000      65536\n     70000       1000          1\n"
	for outside, inside := range map[int]int{100000: 0, 100123: 123, 1000: 70000, 5: overflowUID} {
		if got := mapUID(table, outside); got != inside {
			t.Errorf("mapUID(%d) = %d, want %d", outside, got, inside)
		}
	}
}

func TestReadStatus(t *testing.T) {
	p := &Process{}
	p.readStatus([]byte("Name:\ta b\nState:\tT (stopped)\nTgid:\t42\n" +
		"Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10\nNSpid:\t42\t7\t1\n"))
	if p.kernelName != "a b" || p.State != 'T' || p.tgid != 42 || p.nsPID != 1 ||
		fmt.Sprint(p.uids, p.gids) != "[1 2 3] [6 9 10]" {
		t.Errorf("%+v", p)
	}
}

// What the kernel does not show now does not stop the look at all others.
func TestReadGuarded(t *testing.T) {
	patience := guardedPatience
	guardedPatience = 20 * time.Millisecond
	t.Cleanup(func() { guardedPatience = patience })
	pipe := filepath.Join(t.TempDir(), "maps")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := readGuarded(pipe); text != nil || err != errGuarded {
		t.Errorf("%q, %v", text, err)
	}
	if text, err := readGuarded("/none"); text != nil || !os.IsNotExist(err) {
		t.Errorf("%q, %v", text, err)
	}
	p := &Process{PID: 4242, kernelName: "service"}
	got := p.ExplainAccess(errGuarded).Error()
	if !strings.HasSuffix(got, "cannot be inspected: "+errGuarded.Error()) {
		t.Error(got)
	}
}

// A connection that was made while the process ended is to another one with its ID.
func TestStillThere(t *testing.T) {
	p, err := OpenProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for started, want := range map[string]bool{p.Started: true, "1": false} {
		ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(ends[1])
		p.Started = started
		if err := p.checkPeer(ends[0]); (err == nil) != want || !want && err != (EndedError{p}) {
			t.Errorf("started %s: %v", started, err)
		}
		if open := syscall.Close(ends[0]) == nil; open != want {
			t.Errorf("started %s: the connection is open: %v", started, open)
		}
	}
}

// What is set on a thread stays there, also where the main thread would be taken.
func TestOnThread(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	for range 200 {
		uid := -1
		err := onThread(func() error { return becomeUser(4321) }, func() error {
			uid = os.Geteuid()
			return nil
		})
		if err != nil || uid != 4321 {
			t.Fatalf("user %d, %v", uid, err)
		}
		status, err := os.ReadFile("/proc/self/status")
		if err != nil || !strings.Contains(string(status), "\nUid:\t0\t0\t0\t0\n") {
			t.Fatalf("%s, %v", status, err)
		}
	}
	tasks, _ := filepath.Glob("/proc/self/task/*/status")
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err == nil && !strings.Contains(string(text), "\nUid:\t0\t0\t0\t0\n") {
			t.Errorf("a thread of another user is left: %s", text)
		}
	}
}
