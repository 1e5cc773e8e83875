//go:build go1.24

package main

// #include "blocks.h"
import "C"

import "runtime"

// cleaned makes blocks that cleanups free.
//
//go:noinline
func cleaned(n, bytes int) {
	for i := 0; i < n; i++ {
		o := &owner{p: C.debt_malloc(C.size_t(bytes))}
		runtime.AddCleanup(o, release, o.p)
		kept = append(kept, o)
	}
}
