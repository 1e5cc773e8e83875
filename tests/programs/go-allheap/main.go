// Command allheap has the Go package in it. It holds memory of Go's and of C's as
// its stdin says, a command a line. Nothing is collected unless it is told to.
package main

/*
#include <stdlib.h>
#include <string.h>

static void *take(size_t bytes)
{
	void *p = malloc(bytes);
	if (p)
		memset(p, 1, bytes);
	return p;
}
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"unsafe"

	_ "cgoheap.example/cgo_bridge"
	"cgoheap.test/steps"
)

const pageBytes = 4096

var (
	heldGo [][]byte
	heldC  []unsafe.Pointer
)

//go:noinline
func holdGo(count, bytes int) {
	for i := 0; i < count; i++ {
		b := make([]byte, bytes)
		for at := 0; at < bytes; at += pageBytes {
			b[at] = 1
		}
		heldGo = append(heldGo, b)
	}
}

//go:noinline
func holdC(count, bytes int) {
	for i := 0; i < count; i++ {
		heldC = append(heldC, C.take(C.size_t(bytes)))
	}
}

// A generic type's method, whose name the two profiles must write alike.
type shelf[T any] struct{ kept []T }

//go:noinline
func (s *shelf[T]) holdBoth(count, bytes int) {
	holdGo(count, bytes)
	holdC(count, bytes)
}

func writeHeap(path string) {
	f, err := os.Create(path)
	if err == nil {
		err = pprof.Lookup("heap").WriteTo(f, 0)
	}
	if err != nil {
		panic(err)
	}
	f.Close()
}

func obey(line string) {
	var a, b int
	command, rest, _ := strings.Cut(line, " ")
	fmt.Sscan(rest, &a, &b)
	switch command {
	case "go":
		holdGo(a, b)
	case "c":
		holdC(a, b)
	case "both":
		new(shelf[int]).holdBoth(a, b)
	case "forget":
		heldGo = nil
	case "gc": // twice: the profile is as of the last collection but one
		runtime.GC()
		runtime.GC()
	case "heap":
		writeHeap(rest)
	default:
		panic(line)
	}
}

func main() {
	debug.SetGCPercent(-1)
	for {
		obey(steps.Ready())
	}
}
