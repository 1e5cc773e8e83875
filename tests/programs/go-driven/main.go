// Command driven does what its stdin says, a command a line, and is still in
// between: it allocates and frees by known functions, makes many distinct
// stacks, forks, starts commands, exits.
package main

/*
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "driven.h"
*/
import "C"

import (
	"fmt"
	"net/http"
	_ "net/http/pprof"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"unsafe"

	"cgoheap.test/steps"
)

var held = map[string][]unsafe.Pointer{}

//go:noinline
func allocA(n int) unsafe.Pointer { return C.dr_malloc(C.size_t(n)) }

//go:noinline
func allocB(n int) unsafe.Pointer { return C.dr_malloc(C.size_t(n)) }

//go:noinline
func allocC(n int) unsafe.Pointer { return C.dr_malloc(C.size_t(n)) }

var by = map[string]func(int) unsafe.Pointer{"A": allocA, "B": allocB, "C": allocC}

func alloc(name string, count, size int) {
	for i := 0; i < count; i++ {
		held[name] = append(held[name], by[name](size))
	}
}

func free(name string, count int) {
	for _, p := range held[name][:count] {
		C.dr_free(p)
	}
	held[name] = held[name][count:]
}

// The bits of path choose the functions on the stack, so that each path of n
// bits is another of 2^n stacks.
//
//go:noinline
func left(path, bits, size int) unsafe.Pointer { return branch(path, bits, size) }

//go:noinline
func right(path, bits, size int) unsafe.Pointer { return branch(path, bits, size) }

//go:noinline
func branch(path, bits, size int) unsafe.Pointer {
	switch {
	case bits == 0:
		return C.dr_malloc(C.size_t(size))
	case path&1 == 0:
		return left(path>>1, bits-1, size)
	default:
		return right(path>>1, bits-1, size)
	}
}

func spread(stacks, each, size int) {
	for i := 0; i < each; i++ {
		for path := 0; path < stacks; path++ {
			held["spread"] = append(held["spread"], branch(path, 10, size))
		}
	}
}

// The program's function, a driver's two, and C code that is never twice in the same place.
//
//go:noinline
func maze(bits, size int) {
	for path := 0; path < 1<<bits; path++ {
		held["maze"] = append(held["maze"], driverGet(path, bits, size))
	}
}

//go:noinline
func driverGet(path, bits, size int) unsafe.Pointer { return driverCall(path, bits, size) }

//go:noinline
func driverCall(path, bits, size int) unsafe.Pointer {
	return C.dr_maze(C.uint(path), C.int(bits), C.size_t(size))
}

// Each goroutine is locked to a separate thread.
func threads(count, each, size int) {
	var wait sync.WaitGroup
	for i := 0; i < count; i++ {
		wait.Add(1)
		go func() {
			runtime.LockOSThread()
			for i := 0; i < each; i++ {
				C.dr_free(allocC(size))
			}
			wait.Done()
			select {}
		}()
	}
	wait.Wait()
}

// churn never ends.
func churn(goroutines int) {
	for i := 0; i < goroutines; i++ {
		go func() {
			for {
				C.dr_free(allocC(100))
			}
		}()
	}
}

//go:noinline
func plugin(path string, size int) uint64 {
	var block unsafe.Pointer
	text := C.CString(path)
	defer C.free(unsafe.Pointer(text))
	at := C.dr_plugin(text, C.size_t(size), &block)
	held["plugin"] = append(held["plugin"], block)
	return uint64(at)
}

func run(name string) string {
	out, err := exec.Command("/bin/sh", "-c", "echo $LD_PRELOAD; exec "+name).CombinedOutput()
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(out))
}

func heapProfile(path string) {
	f, err := os.Create(path)
	if err == nil {
		runtime.GC()
		err = pprof.WriteHeapProfile(f)
	}
	if err != nil {
		panic(err)
	}
	f.Close()
}

func obey(line string) {
	var name string
	var n, each, size int
	command, rest, _ := strings.Cut(line, " ")
	switch command {
	case "alloc":
		fmt.Sscan(rest, &name, &n, &size)
		alloc(name, n, size)
	case "dirty": // and written to, so that it is resident
		fmt.Sscan(rest, &name, &n, &size)
		first := len(held[name])
		alloc(name, n, size)
		for _, p := range held[name][first:] {
			for i := 0; i < size; i += 4096 {
				unsafe.Slice((*byte)(p), size)[i] = 1
			}
		}
	case "free":
		fmt.Sscan(rest, &name, &n)
		free(name, n)
	case "spread":
		fmt.Sscan(rest, &n, &each, &size)
		spread(n, each, size)
	case "maze":
		fmt.Sscan(rest, &n, &size)
		maze(n, size)
	case "threads":
		fmt.Sscan(rest, &n, &each, &size)
		threads(n, each, size)
	case "churn":
		fmt.Sscan(rest, &n)
		churn(n)
	case "short-threads":
		fmt.Sscan(rest, &n, &each, &size)
		if C.dr_short_threads(C.int(n), C.int(each), C.size_t(size)) != 0 {
			panic("no thread")
		}
	case "fork":
		fmt.Sscan(rest, &n)
		steps.Say("child", C.dr_fork(C.int(n)))
	case "plugin":
		fmt.Sscan(rest, &name, &n)
		steps.Say("plugin", plugin(name, n))
	case "errno":
		fmt.Sscan(rest, &n)
		steps.Say("kept", C.dr_errno_kept(C.int(n)) != 0)
	case "run":
		steps.Say("output", run(rest))
	case "environ":
		steps.Say("environ", os.Environ())
	case "heap":
		heapProfile(rest)
	case "listen":
		go http.ListenAndServe(rest, nil)
	case "exit":
		fmt.Sscan(rest, &n)
		os.Exit(n)
	default:
		panic(line)
	}
}

var kept [][]byte

func main() {
	kept = append(kept, make([]byte, 8<<20)) // for Go's own profile to show
	for {
		obey(steps.Ready())
	}
}
