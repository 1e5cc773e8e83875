//go:build go1.24

package main

/*
#include <stdlib.h>
*/
import "C"

import (
	"runtime"
	"unsafe"
)

//go:noinline
func allocCleaned() *block { return &block{C.malloc(8000)} }

func clean(b *block) {
	want.Add(1)
	runtime.AddCleanup(b, func(p unsafe.Pointer) {
		C.free(p)
		freed.Add(1)
	}, b.p)
}
