// Package o2 has C frames as an optimised build without frame pointers makes them.
package o2

/*
#cgo CFLAGS: -O2 -fomit-frame-pointer -I${SRCDIR}/../c
#include <stddef.h>
void *o2_leaf(size_t);
void *o2_registers(size_t);
void *o2_big_frame(size_t);
void *o2_alloca_frame(size_t);
void *o2_vla_frame(size_t);
void *o2_realigned_frame(size_t);
void *o2_variadic(int, ...);
void *o2_recursion(size_t, int);
void *o2_through_bsearch(size_t);
void *o2_through_qsort(size_t);
#include "oracle.h"
void *o2_by_value(struct oracle);

static void *o2_pass_by_value(size_t n)
{
	struct oracle o = {n, 1, {0}};
	return o2_by_value(o);
}
*/
import "C"

import (
	"unsafe"

	_ "cgoheap.test/stacks/oracle"
)

// Shapes calls each shape once. note takes down the Go stack of its caller and returns
// the size of block to ask for; it shares a line with the call it is about.
func Shapes(note func(shape string) uint64) (blocks []unsafe.Pointer) {
	keep := func(p unsafe.Pointer) { blocks = append(blocks, p) }
	keep(C.o2_leaf(C.size_t(note("o2_leaf"))))
	keep(C.o2_registers(C.size_t(note("o2_registers"))))
	keep(C.o2_big_frame(C.size_t(note("o2_big_frame"))))
	keep(C.o2_alloca_frame(C.size_t(note("o2_alloca_frame"))))
	keep(C.o2_vla_frame(C.size_t(note("o2_vla_frame"))))
	keep(C.o2_realigned_frame(C.size_t(note("o2_realigned_frame"))))
	keep(C.o2_pass_by_value(C.size_t(note("o2_by_value"))))
	keep(C.o2_recursion(C.size_t(note("o2_recursion")), 30))
	keep(C.o2_through_bsearch(C.size_t(note("o2_through_bsearch"))))
	keep(C.o2_through_qsort(C.size_t(note("o2_through_qsort"))))
	return blocks
}

// Deep is deeper than a profile keeps.
func Deep(note func(shape string) uint64, keep func(unsafe.Pointer)) {
	keep(C.o2_recursion(C.size_t(note("recursion 200 in C")), 200))
}
