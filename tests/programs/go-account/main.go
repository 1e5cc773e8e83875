// Command account comes to hold memory of each kind, as its stdin says, a
// command a line, and says how much of it is resident: what it wrote, or where
// the runtime or libc decide, what the kernel's page table says of just that.
package main

/*
#cgo CFLAGS: -D_GNU_SOURCE
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "account.h"
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"unsafe"

	"cgoheap.test/steps"
)

type size = C.size_t

func check(result C.int) {
	if result != 0 {
		panic("the system refuses")
	}
}

//go:noinline
func cMalloc(count, bytes, step int) {
	check(C.ac_malloc(C.long(count), size(bytes),
		C.long(step)))
}

//go:noinline
func cBig(bytes, touched int) { check(C.ac_big(size(bytes), size(touched))) }

//go:noinline
func cMap(bytes, touched int) { check(C.ac_map(size(bytes), size(touched))) }

//go:noinline
func cSbrk(bytes int) { check(C.ac_sbrk(size(bytes))) }

//go:noinline
//go:noinline
func rawInstance(bytes int) { check(C.ac_raw(size(bytes))) }

func cCage(bytes, pieces, piece int) { check(C.ac_cage(size(bytes), C.long(pieces), size(piece))) }

//go:noinline
func cThreads(threads, deep, stack int) {
	before := threadCount
	check(C.ac_threads(C.int(threads), size(deep), size(stack)))
	threadCount += threads
	var resident int64
	for i := before; i < threadCount; i++ {
		var start, end C.ulong
		check(C.ac_stack(C.int(i), &start, &end))
		resident += residentBytes(uintptr(start), uintptr(end))
	}
	steps.Say("thread_stacks", resident)
}

var threadCount int

func withPath(path string, call func(*C.char) C.int) {
	text := C.CString(path)
	defer C.free(unsafe.Pointer(text))
	check(call(text))
}

func memStats() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	steps.Say("memstats", m)
}

func obey(line string) {
	var a, b, c, d, e int
	var path string
	command, rest, _ := strings.Cut(line, " ")
	switch command {
	case "file", "library", "copy":
		fmt.Sscan(rest, &path, &a, &b)
	default:
		fmt.Sscan(rest, &a, &b, &c, &d, &e)
	}
	switch command {
	case "malloc":
		cMalloc(a, b, c)
	case "memalign":
		check(C.ac_memalign(C.long(a), size(b), size(c)))
	case "free":
		C.ac_free(C.long(a))
	case "big":
		cBig(a, b)
	case "churn":
		check(C.ac_churn(C.int(a), C.long(b), size(c), size(d), C.int(e)))
	case "threads":
		cThreads(a, b, c)
	case "map":
		cMap(a, b)
	case "cage":
		cCage(a, b, c)
	case "huge":
		check(C.ac_huge(size(a)))
	case "lazy":
		check(C.ac_lazy(size(a)))
	case "swapped":
		check(C.ac_swapped(size(a)))
	case "flicker":
		check(C.ac_flicker(size(a)))
	case "many":
		check(C.ac_many(C.long(a), size(b)))
	case "file":
		withPath(path, func(p *C.char) C.int { return C.ac_file(p, size(a), C.int(b)) })
	case "copy":
		withPath(path, func(p *C.char) C.int { return C.ac_copy(p, size(a)) })
	case "sbrk":
		cSbrk(a)
	case "ring":
		check(C.ac_ring(C.uint(a)))
	case "shared":
		check(C.ac_shared(size(a), size(b), size(c)))
	case "bss":
		C.ac_bss()
		steps.Say("bss", uint64(C.ac_bss_bytes))
	case "library":
		withPath(path, func(p *C.char) C.int { return C.ac_library(p) })
	case "goroutines":
		reaches = append(reaches, goroutines(a, b)...)
		resident, size := stacks(reaches)
		steps.Say("go_stacks", resident)
		steps.Say("go_stacks_size", size)
	case "goheap":
		goHeap(a)
	case "gofree":
		goFree()
	case "buckets":
		buckets(a)
	case "rawcalls":
		for i := 0; i < a; i++ {
			rawInstance(b)
		}
	case "raw":
		rawMap(a)
	case "alternate":
		// Neighbours that the kernel merges into one mapping.
		for i := 0; i < a; i++ {
			cBig(b, b)
			rawMap(b)
			cMap(b, b)
			goHeap(b)
		}
	case "release":
		debug.FreeOSMemory()
	case "memstats":
		memStats()
	case "exit":
		os.Exit(a)
	default:
		panic(line)
	}
}

var reaches []reach

// All blocks come from libc's main arena, so that a block that was allocated later lies above.
func init() { runtime.LockOSThread() }

func main() {
	// What the collector would do meanwhile is done when the test says so.
	debug.SetGCPercent(-1)
	for {
		obey(steps.Ready())
	}
}
