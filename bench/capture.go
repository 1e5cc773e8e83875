// C.malloc and C.free from the bottom of a chain of Go frames.
//
//	capture go same|leaf|other DEPTH N       as in capture.c
//	capture mixed same|leaf|other DEPTH N    24 frames: Go, C, Go again, C
package main

/*
#include <stdlib.h>

extern void capture_callback(int depth);

// From C back into Go.
static void into_go(int depth)
{
	capture_callback(depth);
	__asm__ volatile("" : : : "memory");
}
*/
import "C"

import (
	"os"
	"runtime"
	"strconv"
)

var bottom func()

//go:noinline
func allocate() {
	C.free(C.malloc(32))
}

//go:noinline
func allocateElsewhere() {
	C.free(C.malloc(32))
}

//go:noinline
func one(depth int) {
	if depth > 0 {
		one(depth - 1)
		return
	}
	bottom()
}

//go:noinline
func other(depth int) {
	if depth > 0 {
		other(depth - 1)
		return
	}
	bottom()
}

//export capture_callback
func capture_callback(depth C.int) {
	chain(int(depth))
}

var chain func(int)

func main() {
	runtime.LockOSThread()
	kind, change := os.Args[1], os.Args[2]
	depth, _ := strconv.Atoi(os.Args[3])
	n, _ := strconv.Atoi(os.Args[4])
	for i := 0; i < n; i++ {
		odd := i%2 == 1
		bottom, chain = allocate, one
		if odd && change == "leaf" {
			bottom = allocateElsewhere
		}
		if odd && change == "other" {
			chain = other
		}
		if kind == "mixed" {
			C.into_go(C.int(depth))
		} else {
			chain(depth)
		}
	}
}
