// Package driver wraps a C library, as database drivers do.
package driver

/*
#include <stdlib.h>
#include <string.h>
static void *volatile opened;
static void driver_open(size_t n)
{
	opened = malloc(n);
	memset(opened, 1, n);
}
*/
import "C"

// Open leaves n bytes allocated.
//
//go:noinline
func Open(n int) { C.driver_open(C.size_t(n)) }

// Run is where a goroutine of the library's own begins.
//
//go:noinline
func Run(n int, done chan<- bool) {
	run(n)
	done <- true
}

//go:noinline
func run(n int) { C.driver_open(C.size_t(n)) }
