// Command drip is a service with a leak that is small beside what it holds and what it turns over:
// it holds 192 MiB, replaces all blocks of another 64 MiB each time it is told to serve, and leaks
// 40 MiB then.
package main

/*
#include <stdlib.h>

void *drip_take(size_t n) { return malloc(n); }
*/
import "C"

import (
	"unsafe"

	"cgoheap.test/steps"
)

const (
	heldBlocks = 12 << 10 // of 16 KiB
	busyBlocks = 16 << 10 // of 4 KiB
	leakBlocks = 16 << 10 // of 2.5 KiB, each time
)

//go:noinline
func hold() (all []unsafe.Pointer) {
	for i := 0; i < heldBlocks; i++ {
		all = append(all, C.drip_take(16<<10))
	}
	return all
}

//go:noinline
func replace(ring []unsafe.Pointer) {
	for i := range ring {
		C.free(ring[i])
		ring[i] = C.drip_take(4 << 10)
	}
}

//go:noinline
func leak() {
	for i := 0; i < leakBlocks; i++ {
		C.drip_take(2560)
	}
}

func main() {
	held, ring := hold(), make([]unsafe.Pointer, busyBlocks)
	for replace(ring); steps.Ready() == "serve"; replace(ring) {
		leak()
	}
	for _, p := range held {
		C.free(p)
	}
}
