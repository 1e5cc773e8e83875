// Command why holds C memory for known reasons, each in a separate Go function: what leaks, what a
// cache keeps, what was needed once, what comes and goes, what waits for a collection of garbage.
// It does what its stdin says and is still in between; its truth is the bytes in use by function.
package main

/*
#include <stdlib.h>
#include "why.h"
*/
import "C"

import (
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"cgoheap.test/steps"
)

const blockBytes = 4000

// What each round allocates, and what caches hold when they are full.
const (
	perRound    = 10
	slowTurn    = 600 // rounds in which the slow cache inserts as much as it holds
	cacheBlocks = 2000
	cacheTurn   = 100
	lookups     = 50
	dripFrom    = 100 // of which one is never freed
	warmBlocks  = 1000
)

// count is kept by finalizers too.
type count struct {
	Allocated, Freed int64 // blocks
}

var ledger = struct {
	sync.Mutex
	of map[string]*count
}{of: map[string]*count{}}

func book(function string, allocated, freed int64) {
	ledger.Lock()
	defer ledger.Unlock()
	c := ledger.of[function]
	if c == nil {
		c = new(count)
		ledger.of[function] = c
	}
	c.Allocated += allocated
	c.Freed += freed
}

// one books a block of the function; it is for the call of why_malloc there, so that no other Go
// function is on the stack.
func one(function string) C.size_t {
	book(function, 1, 0)
	return blockBytes
}

//go:noinline
func release(function string, p unsafe.Pointer) {
	book(function, 0, 1)
	C.why_free(p)
}

// An owner is what Go code holds of a block.
type owner struct{ p unsafe.Pointer }

var held []unsafe.Pointer

//go:noinline
func leak(n int) {
	for i := 0; i < n; i++ {
		held = append(held, C.why_malloc(one("main.leak")))
	}
}

//go:noinline
func warmUp() {
	for i := 0; i < warmBlocks; i++ {
		held = append(held, C.why_malloc(one("main.warmUp")))
	}
}

// drip frees all blocks of a round but one.
//
//go:noinline
func drip() {
	for i := 0; i < dripFrom; i++ {
		p := C.why_malloc(one("main.drip"))
		if i == dripFrom/2 {
			held = append(held, p)
		} else {
			release("main.drip", p)
		}
	}
}

var churned []unsafe.Pointer

// churn frees what the last round has left.
//
//go:noinline
func churn(n int) {
	for _, p := range churned {
		release("main.churn", p)
	}
	churned = churned[:0]
	for i := 0; i < n; i++ {
		churned = append(churned, C.why_malloc(one("main.churn")))
	}
}

type cache []unsafe.Pointer

// evict makes room for one.
func (c *cache) evict(function string, i int) {
	if len(*c) < cacheBlocks {
		return
	}
	release(function, (*c)[i])
	*c = append((*c)[:i], (*c)[i+1:]...)
}

var (
	random       = rand.New(rand.NewSource(1))
	randomCache  cache
	slowCache    cache
	orderedCache cache
)

//go:noinline
func cacheRandom(n int) {
	for i := 0; i < n; i++ {
		randomCache.evict("main.cacheRandom", random.Intn(cacheBlocks))
		randomCache = append(randomCache, C.why_malloc(one("main.cacheRandom")))
	}
}

//go:noinline
func cacheSlow(n int) {
	for i := 0; i < n; i++ {
		slowCache.evict("main.cacheSlow", random.Intn(cacheBlocks))
		slowCache = append(slowCache, C.why_malloc(one("main.cacheSlow")))
	}
}

//go:noinline
func cacheFIFO(n int) {
	for i := 0; i < n; i++ {
		orderedCache.evict("main.cacheFIFO", 0)
		orderedCache = append(orderedCache, C.why_malloc(one("main.cacheFIFO")))
	}
}

// finalized forgets its blocks: a collection of garbage has them freed.
//
//go:noinline
func finalized(n int) {
	for i := 0; i < n; i++ {
		o := &owner{p: C.why_malloc(one("main.finalized"))}
		runtime.SetFinalizer(o, func(o *owner) { release("main.finalized", o.p) })
	}
}

//go:noinline
func byHand(n int) {
	blocks := make([]unsafe.Pointer, n)
	for i := range blocks {
		blocks[i] = C.why_malloc(one("main.byHand"))
	}
	for _, p := range blocks {
		release("main.byHand", p)
	}
}

//go:noinline
func byThread(n int) {
	blocks := (*[1 << 20]unsafe.Pointer)(C.malloc(C.size_t(n) * C.size_t(unsafe.Sizeof(held[0]))))
	for i := 0; i < n; i++ {
		blocks[i] = C.why_malloc(one("main.byThread"))
	}
	C.why_free_by_thread(&blocks[0], C.size_t(n))
	book("main.byThread", 0, int64(n))
	C.free(unsafe.Pointer(blocks))
}

var peaked []unsafe.Pointer

//go:noinline
func peak(n int) {
	for i := 0; i < n; i++ {
		peaked = append(peaked, C.why_malloc(one("main.peak")))
	}
}

func peakIsOver() {
	for _, p := range peaked {
		release("main.peak", p)
	}
	peaked = nil
}

// round is the load of one second, say.
func round() {
	leak(perRound)
	drip()
	churn(10 * perRound)
	cacheRandom(cacheBlocks / cacheTurn)
	cacheSlow(cacheBlocks / slowTurn)
	cacheFIFO(cacheBlocks / cacheTurn)
	cacheLRU(lookups)
	finalized(perRound)
	cleaned(perRound)
	byHand(perRound)
	byThread(perRound)
}

// warm is what a service does once: caches fill. Go collects by the clock, each two minutes, once
// it has collected at all.
func warm() {
	runtime.GC()
	warmUp()
	cacheRandom(cacheBlocks)
	cacheSlow(cacheBlocks)
	cacheFIFO(cacheBlocks)
	for lru.order.Len() < cacheBlocks {
		cacheLRU(lookups)
	}
}

func waiting() (blocks int64) {
	ledger.Lock()
	defer ledger.Unlock()
	for _, name := range []string{"main.finalized", "main.cleaned"} {
		if c := ledger.of[name]; c != nil {
			blocks += c.Allocated - c.Freed
		}
	}
	return blocks
}

// collect returns when all that waits for a collection is freed.
func collect() {
	for waiting() > 0 {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
}

// fragment leaves holes between blocks in use; the shapes differ in the pages that are whole.
//
//go:noinline
func fragment(blocks, keepEvery int) {
	var figures [C.WHY_FIGURES]C.size_t
	C.why_fragment(C.size_t(blocks), C.size_t(keepEvery), &figures[0])
	steps.Say("fragments", map[string]int64{"pinned": int64(figures[C.WHY_PINNED]),
		"returnable": int64(figures[C.WHY_RETURNABLE])})
}

type truth struct {
	count
	Live int64 // bytes
}

func sayTruth() {
	ledger.Lock()
	defer ledger.Unlock()
	all := map[string]truth{}
	for name, c := range ledger.of {
		all[name] = truth{*c, (c.Allocated - c.Freed) * blockBytes}
	}
	steps.Say("truth", all)
	steps.Say("cleanups", hasCleanups)
}

func main() {
	for {
		sayTruth()
		line := steps.Ready()
		var command string
		var n, every int
		fmt.Sscan(line, &command, &n, &every)
		switch command {
		case "warm":
			warm()
		case "rounds":
			for i := 0; i < n; i++ {
				round()
			}
		case "collect":
			collect()
		case "peak":
			peak(n)
		case "over":
			peakIsOver()
		case "fragment":
			fragment(n, every)
		default:
			fmt.Fprintf(os.Stderr, "unknown command %q\n", line)
			os.Exit(2)
		}
	}
}
