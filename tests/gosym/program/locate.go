package main

/*
#cgo CFLAGS: -I${SRCDIR}/../../../shim -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Werror
#include "locate.h"
*/
import "C"

import (
	"debug/elf"
	"fmt"
	"regexp"
	"strings"
	"unsafe"
)

//export goCallback
func goCallback(x C.int) C.int { return x + 1 }

func probe() int { return int(C.locate_probe(1)) }

type location struct {
	lines    []frame
	isGo     bool
	plumbing bool
}

// locate answers for the calls at pcs: the shim is asked about what they return to.
func locate(pcs []uint64) map[uint64]location {
	returns := make([]uint64, len(pcs))
	for i, pc := range pcs {
		returns[i] = pc + 1
	}
	symbols := C.locate((*C.uint64_t)(unsafe.Pointer(&returns[0])), C.size_t(len(returns)))
	if symbols == nil {
		panic("out of scratch memory")
	}
	found := map[uint64]location{}
	for _, l := range unsafe.Slice(symbols.list, symbols.count) {
		at := location{isGo: bool(l.is_go), plumbing: bool(l.is_plumbing)}
		for _, line := range unsafe.Slice(l.lines, l.line_count) {
			at.lines = append(at.lines, frame{function: C.GoString(line.function),
				file: C.GoString(line.file), line: int(line.line)})
		}
		found[uint64(l.pc)-1] = at
	}
	return found
}

// How cgo calls, by name; what is not matched is who calls.
var plumbing = regexp.MustCompile(
	`^(runtime\.(cgocall|asmcgocall|asmcgocall_landingpad|` +
		`cgocallback|cgocallbackg|cgocallbackg1|goexit)|` +
		`crosscall2|(.*\.)?_cgoexp(wrap)?_.*|.*\._cgo_cmalloc|_cgo_[0-9a-f]{12}_C2?func_.*)$`)

func adapts(f frame) bool { return f.wrapper || plumbing.MatchString(f.function) }

// checkLocation holds a location to the frames, which are held to the runtime.
func (c *checker) checkLocation(pc uint64, a answer, l location) {
	if len(a.frames) == 0 {
		if l.isGo || len(l.lines) != 0 && l.lines[0].file != "" {
			c.differ(pc, "location in no function: %v", l)
		}
		return
	}
	want := location{isGo: !a.isC}
	for i, f := range a.frames {
		f.function = a.symbols[i]
		c.seen[f.function] = true
		if !adapts(f) {
			f.wrapper = false
			want.lines = append(want.lines, f)
		}
	}
	if len(want.lines) == 0 {
		want.plumbing = true
		for i, f := range a.frames {
			f.function, f.wrapper = a.symbols[i], false
			want.lines = append(want.lines, f)
		}
	}
	if fmt.Sprint(l) != fmt.Sprint(want) {
		c.differ(pc, "location %v, not %v", l, want)
	}
}

// checkProbe: C functions of the executable, which Go's tables know only when they lie in Go's
// text.
func (c *checker) checkProbe(bias uint64, internal bool) {
	file, err := elf.Open("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	symbols, _ := file.Symbols() // none when stripped
	pc := uint64(C.locate_probe_address())
	l := locate([]uint64{pc})[pc]
	named := len(l.lines) == 1 && l.lines[0] == frame{function: "locate_probe"}
	if named != (len(symbols) > 0 || internal) || l.isGo || l.plumbing {
		c.differ(pc, "locate_probe: %v", l)
	}
	wrappers := 0
	for _, s := range symbols {
		if !strings.HasSuffix(s.Name, "_Cfunc_locate_probe") ||
			!strings.HasPrefix(s.Name, "_cgo_") {
			continue
		}
		wrappers++
		l := locate([]uint64{s.Value + bias})[s.Value+bias]
		if len(l.lines) != 1 || l.lines[0].function != s.Name || l.isGo || !l.plumbing {
			c.differ(s.Value+bias, "%s: %v", s.Name, l)
		}
	}
	if len(symbols) > 0 && wrappers != 1 {
		c.differ(pc, "%d wrappers of locate_probe", wrappers)
	}
}

// checkSeen: the names that matter must have been there to be looked at.
func (c *checker) checkSeen() {
	for _, name := range []string{"runtime.cgocall", "runtime.asmcgocall", "runtime.cgocallback",
		"runtime.cgocallbackg", "runtime.cgocallbackg1", "crosscall2", "runtime.main",
		"main._Cfunc_locate_probe"} {
		if !c.seen[name] {
			c.differ(0, "%s was not met", name)
		}
	}
	// Of two so small, not every look meets both.
	if !c.seen["main.sum[go.shape.float64]"] && !c.seen["main.sum[go.shape.int]"] {
		c.differ(0, "main.sum was met by no shape of its type")
	}
	for name := range c.seen {
		if strings.Contains(name, "_cgoexp_") && strings.HasSuffix(name, "_goCallback") {
			return
		}
	}
	c.differ(0, "_cgoexp_HASH_goCallback was not met")
}
