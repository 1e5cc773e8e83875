package main

// #include "why.h"
import "C"

import (
	"container/list"
	"math/rand"
	"unsafe"
)

// lru is the usual cache: what is asked for often stays for as long as the program runs. Of what
// was allocated twenty minutes ago one in fifty is still there, and nothing is leaked.
var lru = struct {
	order list.List // of *entry, the one that was used last in front
	by    map[uint64]*list.Element
	keys  *rand.Zipf
}{by: map[uint64]*list.Element{}, keys: rand.NewZipf(random, 1.3, 1, 50*cacheBlocks)}

type entry struct {
	key uint64
	p   unsafe.Pointer
}

//go:noinline
func cacheLRU(lookups int) {
	for i := 0; i < lookups; i++ {
		key := lru.keys.Uint64()
		if found := lru.by[key]; found != nil {
			lru.order.MoveToFront(found)
			continue
		}
		if last := lru.order.Back(); lru.order.Len() == cacheBlocks {
			old := lru.order.Remove(last).(*entry)
			delete(lru.by, old.key)
			release("main.cacheLRU", old.p)
		}
		lru.by[key] = lru.order.PushFront(&entry{key, C.why_malloc(one("main.cacheLRU"))})
	}
}
