// Command cstring makes N C strings of 100 bytes; of every eight one stays.
package main

/*
#include <stdlib.h>
*/
import "C"

import (
	"strings"
	"unsafe"

	"cgoheap.test/workloads/work"
)

//go:noinline
func convert(text string, keep bool) {
	s := C.CString(text)
	if !keep {
		C.free(unsafe.Pointer(s))
	}
}

func main() {
	text := strings.Repeat("x", 100)
	n := work.Begin()
	for i := 0; i < n; i++ {
		convert(text, i%8 == 0)
	}
	work.End()
}
