// Go as a C library (-buildmode=c-shared), for hosts that are not Go: host.c and Python.
package main

/*
#include <stdlib.h>
#include <string.h>
typedef void *callback(size_t);
static void *grab(size_t n) { return memset(malloc(n), 1, n); }
static void *call(callback *f, size_t n) { return f(n); }
*/
import "C"

import (
	"context"
	"runtime"
	"runtime/pprof"
)

//export GoKeep
func GoKeep(n C.int) {
	pprof.Do(context.Background(), pprof.Labels("tenant", "acme"),
		func(context.Context) { keepIn(int(n)) })
}

//go:noinline
func keepIn(n int) {
	for i := 0; i < n; i++ {
		C.grab(7001)
	}
}

//export GoCallback
func GoCallback(f *C.callback, n C.int) {
	for i := 0; i < int(n); i++ {
		C.call(f, 6007)
	}
}

var kept [][]byte

// GoHeap fills Go's heap, and returns what the runtime has of it in use.
//
//export GoHeap
func GoHeap(mib C.int) C.longlong {
	for i := 0; i < int(mib); i++ {
		b := make([]byte, 1<<20)
		for j := range b {
			b[j] = 1
		}
		kept = append(kept, b)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return C.longlong(m.HeapInuse)
}

func main() {}
