// Command drip is a service with a leak that is small beside what it holds and what it turns over:
// it holds 192 MiB, replaces blocks among 64 MiB all the time, and leaks 8 MiB a second.
package main

/*
#include <stdlib.h>

void *drip_take(size_t n) { return malloc(n); }
*/
import "C"

import (
	"time"
	"unsafe"

	"cgoheap.test/steps"
)

const (
	heldBlocks = 12 << 10 // of 16 KiB
	busyBlocks = 16 << 10 // of 4 KiB
	leakBlocks = 32       // of 2.5 KiB, each 10 ms
)

//go:noinline
func hold() (all []unsafe.Pointer) {
	for i := 0; i < heldBlocks; i++ {
		all = append(all, C.drip_take(16<<10))
	}
	return all
}

//go:noinline
func replace(ring []unsafe.Pointer, from, count int) {
	for i := from; i < from+count; i++ {
		C.free(ring[i%busyBlocks])
		ring[i%busyBlocks] = C.drip_take(4 << 10)
	}
}

//go:noinline
func leak() {
	for i := 0; i < leakBlocks; i++ {
		C.drip_take(2560)
	}
}

// serve fills the ring before it says so.
func serve(full chan<- bool) {
	ring := make([]unsafe.Pointer, busyBlocks)
	for at := 0; ; at += 512 {
		replace(ring, at, 512)
		if at < busyBlocks {
			continue
		}
		if at == busyBlocks {
			full <- true
		}
		leak()
		time.Sleep(10 * time.Millisecond)
	}
}

func main() {
	held, full := hold(), make(chan bool)
	go serve(full)
	<-full
	steps.Ready()
	for _, p := range held {
		C.free(p)
	}
}
