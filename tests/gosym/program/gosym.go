// The shim's reader of Go symbols, compiled into the program it reads.
package main

/*
#cgo CFLAGS: -I${SRCDIR}/../../../shim -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Werror
#include "go/gomodules.h"
#include "go/gosym.h"

// Frames of many pcs in one call: a cgo call a pc would be most of the test.
enum { BATCH = 512, DEPTH = GOSYM_MAX_INLINE };
struct answer {
	struct gosym_func func;
	size_t count; // 0 also when func was not found
	struct gosym_frame frames[DEPTH];
};

static void ask(const uint64_t *pcs, size_t count, struct answer *answers)
{
	for (size_t i = 0; i < count; i++) {
		answers[i].count = 0;
		if (gosym_find(pcs[i], &answers[i].func))
			answers[i].count = gosym_frames(pcs[i], answers[i].frames, DEPTH);
	}
}
*/
import "C"

import (
	"strings"
	"unsafe"
)

type frame struct {
	function, file string
	line           int
	wrapper        bool
}

type answer struct {
	entry, end uint64
	name       string // as the runtime prints it
	isC        bool
	frames     []frame  // innermost first
	symbols    []string // their names with type arguments, as runtime/pprof writes them
}

func initSymbols() bool     { return C.gomodules_init() == 0 && bool(C.gosym_is_go()) }
func version() string       { return C.GoString(C.gosym_version()) }
func inText(pc uint64) bool { return bool(C.gosym_in_text(C.uint64_t(pc))) }

var (
	buffer [C.BATCH]C.struct_answer
	names  = map[*C.char]string{}
)

// text copies each string of the tables once.
func text(s *C.char) string {
	t, ok := names[s]
	if !ok {
		t = C.GoString(s)
		names[s] = t
	}
	return t
}

// printed is what runtime.Frame.Function has for a name of the tables.
func printed(name string) string {
	open, end := strings.IndexByte(name, '['), strings.LastIndexByte(name, ']')
	if open < 0 || end <= open {
		return name
	}
	return name[:open] + "[...]" + name[end+1:]
}

// ask calls each with what the tables say about every pc, at most C.BATCH of them.
func ask(pcs []uint64, each func(pc uint64, a answer)) {
	C.ask((*C.uint64_t)(unsafe.Pointer(&pcs[0])), C.size_t(len(pcs)), &buffer[0])
	for i, pc := range pcs {
		b := &buffer[i]
		var a answer
		if b.count > 0 {
			f := &b._func
			a = answer{entry: uint64(f.entry), end: uint64(f.end), name: printed(text(f.name)),
				isC: bool(f.is_c)}
		}
		for _, f := range b.frames[:b.count] {
			a.symbols = append(a.symbols, text(f.function))
			a.frames = append(a.frames, frame{printed(text(f.function)), text(f.file), int(f.line),
				bool(f.is_wrapper)})
		}
		each(pc, a)
	}
}
