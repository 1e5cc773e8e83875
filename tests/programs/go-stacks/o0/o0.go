// Package o0 has C frames as an unoptimised build makes them.
package o0

/*
#cgo CFLAGS: -O0 -I${SRCDIR}/../c
#include <stddef.h>
void *o0_leaf(size_t);
void *o0_registers(size_t);
void *o0_big_frame(size_t);
void *o0_alloca_frame(size_t);
void *o0_vla_frame(size_t);
void *o0_realigned_frame(size_t);
void *o0_variadic(int, ...);
void *o0_recursion(size_t, int);
void *o0_through_bsearch(size_t);
void *o0_through_qsort(size_t);
#include "oracle.h"
void *o0_by_value(struct oracle);

static void *o0_pass_by_value(size_t n)
{
	struct oracle o = {n, 1, {0}};
	return o0_by_value(o);
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
	keep(C.o0_leaf(C.size_t(note("o0_leaf"))))
	keep(C.o0_registers(C.size_t(note("o0_registers"))))
	keep(C.o0_big_frame(C.size_t(note("o0_big_frame"))))
	keep(C.o0_alloca_frame(C.size_t(note("o0_alloca_frame"))))
	keep(C.o0_vla_frame(C.size_t(note("o0_vla_frame"))))
	keep(C.o0_realigned_frame(C.size_t(note("o0_realigned_frame"))))
	keep(C.o0_pass_by_value(C.size_t(note("o0_by_value"))))
	keep(C.o0_recursion(C.size_t(note("o0_recursion")), 30))
	keep(C.o0_through_bsearch(C.size_t(note("o0_through_bsearch"))))
	keep(C.o0_through_qsort(C.size_t(note("o0_through_qsort"))))
	return blocks
}
