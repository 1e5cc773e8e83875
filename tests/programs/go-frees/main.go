// Blocks that are freed in known ways: each kind has its own site and its own size, so the profile
// must say of each who frees it. The near misses look like another kind.
package main

/*
#include <pthread.h>
#include <stdlib.h>

static void *release(void *p)
{
	free(p);
	return NULL;
}

// On a thread of C's.
static void release_by_thread(void *p)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, release, p) == 0)
		pthread_join(thread, NULL);
}
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

// Of each kind so many blocks are freed, and then so many stay.
const (
	rounds = 3000
	held   = 100
)

type block struct{ p unsafe.Pointer }

// freed counts what finalizers and cleanups and their helpers have freed.
var freed, want atomic.Int64

//go:noinline
func allocFinalized() *block { return &block{C.malloc(1000)} }

//go:noinline
func allocByHand() *block { return &block{C.malloc(2000)} }

//go:noinline
func allocForThread() *block { return &block{C.malloc(3000)} }

//go:noinline
func allocHandedOn() *block { return &block{C.malloc(4000)} }

//go:noinline
func allocClosed() *block { return &block{C.malloc(5000)} }

//go:noinline
func allocMixed() *block { return &block{C.malloc(6000)} }

//go:noinline
func allocGrown() *block { return &block{C.malloc(7000)} }

func finalize(b *block) {
	C.free(b.p)
	freed.Add(1)
}

// handOn is a finalizer, but another goroutine frees.
func handOn(b *block) { handed <- b.p }

var handed = make(chan unsafe.Pointer, 64)

func freeHanded() {
	for p := range handed {
		C.free(p)
		freed.Add(1)
	}
}

// runfinq is no finalizer: main calls it.
//
//go:noinline
func runfinq(b *block) { C.free(b.p) }

func finalized(b *block, by func(*block)) {
	runtime.SetFinalizer(b, by)
	want.Add(1)
}

// blocks are one of each kind, and several of the mixture; all come from the same places.
type blocks struct {
	finalized, byHand, forThread, handedOn, closed, grown, cleaned *block
	mixed                                                          [mixtures]*block
}

const mixtures = 4

func alloc() *blocks {
	b := &blocks{allocFinalized(), allocByHand(), allocForThread(), allocHandedOn(), allocClosed(),
		allocGrown(), allocCleaned(), [mixtures]*block{}}
	for i := range b.mixed {
		b.mixed[i] = allocMixed()
	}
	return b
}

func release(b *blocks) {
	finalized(b.finalized, finalize)
	finalized(b.handedOn, handOn)
	C.free(b.byHand.p)
	runfinq(b.closed)
	C.release_by_thread(b.forThread.p)
	C.free(C.realloc(b.grown.p, 7500))
	clean(b.cleaned)
	C.free(b.mixed[0].p)
	for _, m := range b.mixed[1:] {
		finalized(m, finalize)
	}
}

func settle() {
	for deadline := time.Now().Add(time.Minute); freed.Load() < want.Load(); {
		if time.Now().After(deadline) {
			fmt.Fprintf(os.Stderr, "freed %d of %d\n", freed.Load(), want.Load())
			os.Exit(1)
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
}

var kept []*blocks

func main() {
	go freeHanded()
	for i := 0; i < rounds+held; i++ {
		b := alloc()
		if i >= rounds {
			kept = append(kept, b)
			continue
		}
		release(b)
		if i%500 == 499 {
			settle()
		}
	}
	fmt.Println("ready")
	time.Sleep(10 * time.Minute)
	runtime.KeepAlive(kept)
}
