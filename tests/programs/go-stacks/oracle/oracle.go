// Package oracle takes down stacks by other means than the profiler's: the Go
// part by runtime.Callers, the C part by libgcc's unwinder.
package oracle

/*
#cgo CFLAGS: -I${SRCDIR}/../c
#include "oracle.h"
*/
import "C"

import (
	"runtime"
	"slices"
	"strings"
	"sync"
)

// A Frame is a source frame as Go's own tools show it.
type Frame struct {
	Func, File string
	Line       int
}

// A Stack is what is known about the stack of one block.
type Stack struct {
	Shape string
	Size  uint64
	Go    []Frame
	// C has one list for each run of C frames, the outermost run first. In
	// each the innermost frame is first.
	C [][]uint64
}

var (
	lock   sync.Mutex
	stacks []*Stack
)

// Sizes start here and are 16 apart: each block of this program has its own.
const firstSize = 100_000

// Note takes down the caller's Go stack, as seen at the line of the call, and
// returns the size that the block to be allocated there must have.
func Note(shape string) uint64 { return note(shape, 3) }

// NoteAbove is Note, with a frame of a function that the compiler inlines into
// the caller on top: runtime.Callers cannot be asked there, for it would not be
// inlined then.
func NoteAbove(shape string, inlined Frame) uint64 {
	size := note(shape, 3)
	s := stacks[len(stacks)-1]
	s.Go = append([]Frame{inlined}, s.Go...)
	return size
}

func note(shape string, skip int) uint64 {
	s := &Stack{Shape: shape, Go: callers(skip + 1)}
	lock.Lock()
	defer lock.Unlock()
	s.Size = firstSize + 16*uint64(len(stacks))
	stacks = append(stacks, s)
	return s.Size
}

// Next is what the next Note returns, where no other goroutine notes.
func Next() uint64 {
	lock.Lock()
	defer lock.Unlock()
	return firstSize + 16*uint64(len(stacks))
}

// Drop forgets what was noted for a block that was not allocated after all.
func Drop(size uint64) {
	lock.Lock()
	defer lock.Unlock()
	stacks[(size-firstSize)/16].Size = 0
}

// NoteC names a block that no Go function asks for.
func NoteC(shape string) uint64 {
	size := note(shape, 2)
	stacks[len(stacks)-1].Go = nil
	return size
}

func callers(skip int) (list []Frame) {
	pcs := make([]uintptr, 1024)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(skip, pcs)])
	for {
		f, more := frames.Next()
		if f.Function != "" && !strings.HasPrefix(f.Function, "runtime.goexit") {
			list = append(list, Frame{f.Function, f.File, f.Line})
		}
		if !more {
			return list
		}
	}
}

// Take returns all that was noted, and not dropped.
func Take() []*Stack {
	for i := range C.oracles[:C.oracle_count] {
		o := &C.oracles[i]
		var pcs []uint64
		for _, pc := range o.pcs[:o.count] {
			pcs = append(pcs, uint64(uintptr(pc)))
		}
		s := stacks[(uint64(o.size)-firstSize)/16]
		s.C = append(s.C, pcs)
	}
	return slices.DeleteFunc(stacks, func(s *Stack) bool { return s.Size == 0 })
}

// Again is Note for a block whose size is chosen already: the Go stack as it is
// now, inside a callback, takes the place of the one noted outside of it.
func Again(size uint64) uint64 {
	lock.Lock()
	defer lock.Unlock()
	stacks[(size-firstSize)/16].Go = callers(3)
	return size
}
