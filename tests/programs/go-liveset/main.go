// Command liveset allocates through every allocator function, each from a separate
// Go function, frees a known part, passes blocks between goroutines and C
// threads, holds the rest, and prints what is live.
package main

/*
#include <stdlib.h>
#include "liveset.h"
*/
import "C"

import (
	"fmt"
	"math/rand"
	"os"
	"strings"
	"sync"
	"unsafe"

	"cgoheap.test/steps"
)

type block struct {
	p    unsafe.Pointer
	fn   string
	size uint64
}

type key struct {
	fn   string
	size uint64
}

type count struct{ allocs, frees uint64 }

// A ledger is kept by one goroutine; ledgers are added up at the end.
type ledger map[key]count

func (l ledger) allocated(p unsafe.Pointer, fn string, size uint64) block {
	if p == nil {
		panic(fmt.Sprint(fn, " got NULL for ", size))
	}
	c := l[key{fn, size}]
	c.allocs++
	l[key{fn, size}] = c
	return block{p, fn, size}
}

func (l ledger) freed(b block) {
	c := l[key{b.fn, b.size}]
	c.frees++
	l[key{b.fn, b.size}] = c
}

func (l ledger) add(other ledger) {
	for k, c := range other {
		sum := l[k]
		sum.allocs += c.allocs
		sum.frees += c.frees
		l[k] = sum
	}
}

//go:noinline
func (l ledger) release(b block) {
	l.freed(b)
	C.free(b.p)
}

//go:noinline
func (l ledger) releaseInC(b block) {
	l.freed(b)
	C.ls_free(b.p)
}

//go:noinline
func viaGoMalloc(l ledger, n uint64) block {
	return l.allocated(C.malloc(C.size_t(n)), "main.viaGoMalloc", n)
}

//go:noinline
func viaCString(l ledger, n uint64) block {
	s := strings.Repeat("x", int(n)-1)
	return l.allocated(unsafe.Pointer(C.CString(s)), "main.viaCString", n)
}

//go:noinline
func viaCBytes(l ledger, n uint64) block {
	return l.allocated(C.CBytes(make([]byte, n)), "main.viaCBytes", n)
}

//go:noinline
func viaMalloc(l ledger, n uint64) block {
	return l.allocated(C.ls_malloc(C.size_t(n)), "main.viaMalloc", n)
}

//go:noinline
func viaCalloc(l ledger, n uint64) block {
	return l.allocated(C.ls_calloc(4, C.size_t(n/4)), "main.viaCalloc", n/4*4)
}

// A realloc is a free of the old block and an allocation of the new one,
// whether or not it moved.
//
//go:noinline
func viaRealloc(l ledger, n uint64) block {
	b := l.allocated(C.ls_malloc(C.size_t(n)), "main.viaRealloc", n)
	for _, size := range []uint64{2 * n, 64 * n, n / 2} {
		l.freed(b)
		b = l.allocated(C.ls_realloc(b.p, C.size_t(size)), "main.viaRealloc", size)
	}
	return b
}

//go:noinline
func viaReallocNull(l ledger, n uint64) block {
	return l.allocated(C.ls_realloc(nil, C.size_t(n)), "main.viaReallocNull", n)
}

// realloc(p, 0) frees; what some allocators then return is a new block.
//
//go:noinline
func viaReallocZero(l ledger, n uint64) {
	b := l.allocated(C.ls_malloc(C.size_t(n)), "main.viaReallocZero", n)
	l.freed(b)
	if p := C.ls_realloc(b.p, 0); p != nil {
		l.release(l.allocated(p, "main.viaReallocZero", 0))
	}
}

// A realloc that fails leaves the old block as it was.
//
//go:noinline
func viaReallocFailed(l ledger, n uint64) block {
	b := l.allocated(C.ls_malloc(C.size_t(n)), "main.viaReallocFailed", n)
	if C.ls_realloc(b.p, 1<<62) != nil {
		panic("realloc of 4 EiB worked")
	}
	if C.ls_reallocarray(b.p, 1<<40, 1<<40) != nil {
		panic("reallocarray overflowed")
	}
	return b
}

// What fails is not counted.
//
//go:noinline
func viaFailures(ledger) {
	if C.ls_malloc(1<<62) != nil || C.ls_calloc(1<<40, 1<<40) != nil ||
		C.ls_posix_memalign(3, 8) != nil {
		panic("an impossible allocation worked")
	}
	C.free(nil)
}

//go:noinline
func viaReallocarray(l ledger, n uint64) block {
	return l.allocated(C.ls_reallocarray(nil, 8, C.size_t(n/8)), "main.viaReallocarray", n/8*8)
}

//go:noinline
func viaPosixMemalign(l ledger, n uint64) block {
	return l.allocated(C.ls_posix_memalign(64, C.size_t(n)), "main.viaPosixMemalign", n)
}

//go:noinline
func viaAlignedAlloc(l ledger, n uint64) block {
	return l.allocated(C.ls_aligned_alloc(64, C.size_t(n/64*64)), "main.viaAlignedAlloc", n/64*64)
}

//go:noinline
func viaMemalign(l ledger, n uint64) block {
	return l.allocated(C.ls_memalign(256, C.size_t(n)), "main.viaMemalign", n)
}

//go:noinline
func viaValloc(l ledger, n uint64) block {
	return l.allocated(C.ls_valloc(C.size_t(n)), "main.viaValloc", n)
}

//go:noinline
func viaPvalloc(l ledger, n uint64) block {
	return l.allocated(C.ls_pvalloc(C.size_t(n)), "main.viaPvalloc", n)
}

//go:noinline
func viaStrdup(l ledger, n uint64) block {
	s := make([]byte, n)
	for i := range s[:n-1] {
		s[i] = 'x'
	}
	return l.allocated(unsafe.Pointer(C.ls_strdup((*C.char)(unsafe.Pointer(&s[0])))),
		"main.viaStrdup", n)
}

// malloc(0) is a block too.
//
//go:noinline
func viaNothing(l ledger, _ uint64) block {
	return l.allocated(C.ls_malloc(0), "main.viaNothing", 0)
}

// The churn allocates from separate functions, on one thread, and mostly frees
// on another.
//
//go:noinline
func churnMalloc(l ledger, n uint64) block {
	return l.allocated(C.ls_malloc(C.size_t(n)), "main.churnMalloc", n)
}

//go:noinline
func churnCalloc(l ledger, n uint64) block {
	return l.allocated(C.ls_calloc(1, C.size_t(n)), "main.churnCalloc", n)
}

//go:noinline
func churnMemalign(l ledger, n uint64) block {
	return l.allocated(C.ls_memalign(128, C.size_t(n)), "main.churnMemalign", n)
}

//go:noinline
func churnRealloc(l ledger, b block, n uint64) block {
	l.freed(b)
	return l.allocated(C.ls_realloc(b.p, C.size_t(n)), "main.churnRealloc", n)
}

var sizes = []uint64{16, 24, 48, 100, 512, 1000, 4096, 10_000, 65_536, 200_000}

// An allocator that is not glibc may lack pvalloc: the program gets glibc's then,
// whose blocks it must not free. Or it has a strdup, which calls no malloc that the
// library could see. "no-pvalloc" and "no-strdup" leave them out.
var optional = map[string]func(ledger, uint64) block{
	"no-pvalloc": viaPvalloc,
	"no-strdup":  viaStrdup,
}

// Every second block is freed at once, half of those in C.
func apart() ledger {
	l := ledger{}
	all := []func(ledger, uint64) block{
		viaGoMalloc, viaCString, viaCBytes, viaMalloc, viaCalloc, viaRealloc, viaReallocNull,
		viaReallocFailed, viaReallocarray, viaPosixMemalign, viaAlignedAlloc, viaMemalign,
		viaValloc, viaNothing,
	}
	for _, via := range optional {
		all = append(all, via)
	}
	for _, via := range all {
		for i := 0; i < 8; i++ {
			n := 128 + 64*uint64(i)
			b := via(l, n)
			switch i % 4 {
			case 1:
				l.release(b)
			case 3:
				l.releaseInC(b)
			}
		}
	}
	viaReallocZero(l, 4321)
	viaFailures(l)
	return l
}

func churn(goroutines, rounds int) ledger {
	sum := ledger{}
	ledgers := make([]ledger, goroutines)
	handed := make(chan block, 64)
	var all sync.WaitGroup
	for i := range ledgers {
		ledgers[i] = ledger{}
		all.Add(1)
		go func(l ledger, seed int64) {
			defer all.Done()
			churnOne(l, rand.New(rand.NewSource(seed)), rounds, handed)
		}(ledgers[i], int64(i))
	}
	all.Wait()
	close(handed)
	for range handed { // held: the last that were handed over and not taken
	}
	for _, l := range ledgers {
		sum.add(l)
	}
	return sum
}

func churnOne(l ledger, random *rand.Rand, rounds int, handed chan block) {
	var own []block
	for i := 0; i < rounds; i++ {
		n := sizes[random.Intn(len(sizes))]
		switch random.Intn(8) {
		case 0, 1:
			own = append(own, churnMalloc(l, n))
		case 2:
			own = append(own, churnCalloc(l, n))
		case 3:
			own = append(own, churnMemalign(l, n))
		case 4:
			if len(own) > 0 {
				own[len(own)-1] = churnRealloc(l, own[len(own)-1], n)
			}
		case 5:
			select {
			case handed <- churnMalloc(l, n+1):
			case b := <-handed:
				l.release(b)
			}
		case 6:
			select {
			case b := <-handed:
				l.releaseInC(b)
			default:
			}
		case 7:
			if len(own) > 16 {
				last := len(own) - 1
				l.release(own[last])
				own = own[:last]
			}
		}
		if len(own) > 64 {
			for _, b := range own[32:] {
				l.release(b)
			}
			own = own[:32]
		}
	}
}

func main() {
	for _, name := range os.Args[1:] {
		delete(optional, name)
	}
	const threads, each, threadSize = 6, 1500, 7777

	sum := apart()
	sum.add(churn(8, 5000))
	kept := uint64(C.ls_threads(threads, each, threadSize))
	sum[key{"", threadSize}] = count{threads * each, threads*each - kept}

	type row struct {
		Func          string
		Size          uint64
		Allocs, Frees uint64
	}
	var truth []row
	for k, c := range sum {
		truth = append(truth, row{k.fn, k.size, c.allocs, c.frees})
	}
	steps.Say("truth", truth)
	steps.Ready()
	os.Exit(0)
}
