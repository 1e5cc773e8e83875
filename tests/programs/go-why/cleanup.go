//go:build go1.24

package main

// #include "why.h"
import "C"

import (
	"runtime"
	"unsafe"
)

const hasCleanups = true

//go:noinline
func cleaned(n int) {
	for i := 0; i < n; i++ {
		o := &owner{p: C.why_malloc(one("main.cleaned"))}
		runtime.AddCleanup(o, func(p unsafe.Pointer) { release("main.cleaned", p) }, o.p)
	}
}
