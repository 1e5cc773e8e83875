package leaks

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"cgoheap.example/cgo_bridge"
)

// What `cgoheap run --leak-check` says at the end of each.

func TestExitClean(t *testing.T) {
	os.Setenv("LEAKS_TEST", "libc copies it")
	for i := 0; i < 100; i++ {
		Free(Take(i))
		Free(ByThread(i))
	}
}

func TestExitLeaks(t *testing.T) {
	for i := 0; i < 3; i++ {
		Take(1000)
	}
	MapPages(8192)
}

// The last thing that the process does, and then a raw system call.
func TestExitLastInstant(t *testing.T) {
	for i := 0; i < 777; i++ {
		Take(10)
	}
	os.Exit(3)
}

func TestExitKilled(t *testing.T) {
	Take(555)
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func TestExitFull(t *testing.T) {
	for i := 0; i < 200_000; i++ {
		Take(1)
	}
}

func TestExitSwitchedOff(t *testing.T) {
	off := cgo_bridge.SamplingOptions{Switch: cgo_bridge.SamplingOff}
	if _, err := cgo_bridge.Sampling(context.Background(), off); err != nil {
		t.Fatal(err)
	}
}

// It waits for a signal, which the parent passes on.
func TestExitSignal(t *testing.T) {
	println("ready", os.Getpid(), os.Getppid())
	time.Sleep(time.Minute)
}
