// malloc and free pairs of one size through 12 frames of Go and C, 64 blocks live: what
// bench/exact-pairs.c does, from Go.
package main

/*
#cgo CFLAGS: -O2
#include <stdlib.h>
#include <time.h>

__attribute__((noinline)) static void *take(int depth)
{
	void *p = depth > 1 ? take(depth - 1) : malloc(32);
	__asm__ volatile("" ::: "memory"); // no tail call
	return p;
}

static long cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"unsafe"
)

const (
	live     = 64
	goFrames = 6 // with pairs
	cFrames  = 6
)

var ring [live]unsafe.Pointer

//go:noinline
func pairs(n int) {
	for i := 0; i < n; i++ {
		C.free(ring[i%live])
		ring[i%live] = C.take(cFrames)
	}
}

//go:noinline
func deep(depth, n int) {
	if depth > 2 {
		deep(depth-1, n)
	} else {
		pairs(n)
	}
	runtime.KeepAlive(depth) // no tail call
}

func main() {
	if len(os.Args) != 3 {
		os.Exit(2)
	}
	n, err := strconv.Atoi(os.Args[2])
	if err != nil {
		os.Exit(2)
	}
	runtime.LockOSThread()
	deep(goFrames, live)
	begun := C.cpu_ns()
	deep(goFrames, n)
	if os.Args[1] == "time" {
		fmt.Printf("%.1f\n", float64(C.cpu_ns()-begun)/float64(n))
	}
}
