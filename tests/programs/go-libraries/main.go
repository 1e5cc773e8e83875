// Command libraries makes C allocations inside of large C++ libraries, directly and below their
// callbacks into Go. Beside each it takes the stack by runtime.Callers and libgcc's unwinder.
package main

/*
#cgo CFLAGS: -O2 -I${SRCDIR}/../go-stacks/c
#cgo CXXFLAGS: -O2 -std=c++17 -I${SRCDIR}/../go-stacks/c
#cgo LDFLAGS: -lrocksdb -licui18n -licuuc -ldl
#include <stdlib.h>
#include "libraries.h"
*/
import "C"

import (
	"fmt"
	"os"

	"cgoheap.test/stacks/oracle"
	"cgoheap.test/steps"
)

var names = [C.LIBRARIES_CALLS]string{"ICU_COLLATE", "ICU_REGEX", "ICU_DATE", "ICU_CONVERT",
	"ROCKS_PUT", "ROCKS_GET", "ROCKS_ITERATE", "ROCKS_FLUSH", "ROCKS_COMPACT", "LLVM_PARSE"}

// inCallback is what goCallback does: allocates in Go's caller's place, or in another library.
var inCallback func(size uint64) bool

var wasTaken bool

//export goCallback
func goCallback(n C.size_t) { wasTaken = inCallback(uint64(n)) }

//go:noinline
func leaf(size uint64) bool {
	C.libraries_leaf(C.size_t(oracle.Again(size)))
	return true
}

//go:noinline
func nested(call C.int, skip int) func(uint64) bool {
	return func(size uint64) bool {
		return C.libraries_allocate(call, C.size_t(skip), C.size_t(oracle.Again(size))) != 0
	}
}

// allocate notes the stack of one allocation of the call.
func allocate(call C.int, skip int) bool {
	name := fmt.Sprint(names[call], " ", skip)
	size, taken := oracle.Next(), C.int(0)
	taken = C.libraries_allocate(call, C.size_t(skip), C.size_t(oracle.Note(name)))
	if taken == 0 {
		oracle.Drop(size)
	}
	return taken != 0
}

// callBack notes the stack of an allocation below a callback of the call.
func callBack(call C.int, skip int, name string, f func(uint64) bool) bool {
	inCallback, wasTaken = f, false
	size := oracle.Note(fmt.Sprint(names[call], " calls back ", skip, " ", name))
	called := C.libraries_call_back(call, C.size_t(skip), C.size_t(size)) != 0
	if !wasTaken {
		oracle.Drop(size)
	}
	return called
}

// some are the numbers up to most, all at first, then fewer.
func some(most int) (list []int) {
	for n := 0; n < most; n += 1 + n/6 {
		list = append(list, n)
	}
	return list
}

func main() {
	if text := C.libraries_start(C.CString(os.Args[1])); text != nil {
		panic(C.GoString(text))
	}
	count := 0
	for call := C.int(0); call < C.LIBRARIES_CALLS; call++ {
		allocate(call, 1<<30) // what it allocates the first time only is there
		for _, skip := range some(600) {
			if !allocate(call, skip) {
				break
			}
			count++
		}
	}
	for _, call := range []C.int{C.ICU_REGEX, C.ICU_CONVERT, C.ROCKS_PUT, C.ROCKS_GET,
		C.ROCKS_ITERATE} {
		for _, skip := range some(20) {
			if !callBack(call, skip, "leaf", leaf) {
				break
			}
			callBack(call, skip, "regex", nested(C.ICU_REGEX, skip*7))
			callBack(call, skip, "collate", nested(C.ICU_COLLATE, skip*3))
			callBack(call, skip, "LLVM", nested(C.LLVM_PARSE, skip*20))
		}
	}
	steps.Say("stacks", oracle.Take())
	steps.Ready()
}
