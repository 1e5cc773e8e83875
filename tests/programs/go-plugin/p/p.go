// A plugin that keeps C memory.
package main

/*
#include <stdlib.h>
#include <string.h>
static void *grab(size_t n) { return memset(malloc(n), 1, n); }
*/
import "C"

func Keep(n int) {
	for i := 0; i < n; i++ {
		keepOne()
	}
}

//go:noinline
func keepOne() { C.grab(7001) }
