// Command estimate allocates blocks of many sizes from several threads, frees a
// known part, and says how many blocks of each size there were and are. At a
// sample interval above 1 its profile is an estimate of that.
package main

/*
#include <stdlib.h>

// Touches nothing, so that what is held costs address space only.
static void es_bulk(size_t n, long count, long keep_every, void **kept)
{
	for (long i = 0; i < count; i++) {
		void *p = malloc(n);
		if (i % keep_every == 0)
			kept[i / keep_every] = p;
		else
			free(p);
	}
}
*/
import "C"

import (
	"runtime"
	"sync"
	"unsafe"

	"cgoheap.test/steps"
)

// Each size has a hundred samples or more at the default interval, so that the
// estimate's error is near enough to normal.
var plan = []struct{ size, count, keepEvery int }{
	{64, 2_400_000, 2},
	{1000, 240_000, 2},
	{20_000, 12_000, 2},
	{100_000, 2400, 3},
	{524_288, 480, 3},
	{3_000_000, 240, 3},
}

const threads = 4

//go:noinline
func allocateBulk(size, count, keepEvery int) unsafe.Pointer {
	kept := C.calloc(C.size_t((count+keepEvery-1)/keepEvery), 8)
	C.es_bulk(C.size_t(size), C.long(count), C.long(keepEvery), (*unsafe.Pointer)(kept))
	return kept
}

func main() {
	type row struct{ Size, Allocs, InUse int }
	var truth []row
	for _, p := range plan {
		share := p.count / threads
		truth = append(truth, row{p.size, share * threads,
			(share + p.keepEvery - 1) / p.keepEvery * threads})
	}
	var all sync.WaitGroup
	for i := 0; i < threads; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			runtime.LockOSThread()
			for _, p := range plan {
				allocateBulk(p.size, p.count/threads, p.keepEvery)
			}
		}()
	}
	all.Wait()
	steps.Say("truth", truth)
	steps.Ready()
}
