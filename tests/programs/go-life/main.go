// Command life goes through what happens to services: it starts others, restarts
// itself, is profiled and traced, changes its user, and crashes.
package main

/*
#include <stdlib.h>
#include <pthread.h>

// Through a C function here, so that stacks have a frame of it.
__attribute__((noinline)) static void *life_alloc(size_t n)
{
	void *p = malloc(n);
	__asm__ volatile("" : "+r"(p));
	return p;
}

static void life_crash(void)
{
	volatile int *nowhere = (volatile int *)8;
	*nowhere = 1;
}
*/
import "C"

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime/pprof"
	"runtime/trace"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"cgoheap.test/steps"
)

var held []unsafe.Pointer

//go:noinline
func alloc(count, size int) {
	for i := 0; i < count; i++ {
		held = append(held, C.life_alloc(C.size_t(size)))
	}
}

//go:noinline
func crashInC() { C.life_crash() }

//go:noinline
func crashInGo() { panic("as told") }

// work allocates and frees in C on several goroutines until told to stop.
func work(stop chan struct{}) *sync.WaitGroup {
	var wait sync.WaitGroup
	for i := 0; i < 4; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				for i := 0; i < 100; i++ {
					C.free(C.life_alloc(777))
				}
			}
		}()
	}
	return &wait
}

// profiled runs Go's CPU profiler and its tracer, both, over work that is sampled as well.
func profiled(cpu, execution string) {
	var cpuOut, traceOut bytes.Buffer
	must(pprof.StartCPUProfile(&cpuOut))
	must(trace.Start(&traceOut))
	stop := make(chan struct{})
	wait := work(stop)
	steps.Ready() // the test scrapes meanwhile
	close(stop)
	wait.Wait()
	trace.Stop()
	pprof.StopCPUProfile()
	must(os.WriteFile(cpu, cpuOut.Bytes(), 0o600))
	must(os.WriteFile(execution, traceOut.Bytes(), 0o600))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// child starts a command as os/exec does, and says what it said.
func child(command string) string {
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Stdin = os.Stdin
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func obey(line string) {
	var n, size int
	command, rest, _ := strings.Cut(line, " ")
	switch command {
	case "alloc":
		fmt.Sscan(rest, &n, &size)
		alloc(n, size)
	case "child":
		steps.Say("child", child(rest))
	case "exec": // this process becomes the command
		must(syscall.Exec("/bin/sh", []string{"sh", "-c", rest}, os.Environ()))
	case "profiled":
		cpu, execution, _ := strings.Cut(rest, " ")
		profiled(cpu, execution)
	case "setuid":
		fmt.Sscan(rest, &n)
		must(syscall.Setuid(n))
		steps.Say("uid", syscall.Getuid())
	case "exit":
		fmt.Sscan(rest, &n)
		os.Exit(n)
	case "crash-c":
		crashInC()
	case "crash-go":
		crashInGo()
	default:
		panic(line)
	}
}

func main() {
	for {
		obey(steps.Ready())
	}
}
