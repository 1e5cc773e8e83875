// Command stacks makes one C allocation for each shape of a mixed stack, each block
// with a unique size, and prints the stack without using the profiler: the Go part
// from runtime.Callers, taken in the same goroutine on the line of the cgo call,
// the C part from libgcc's unwinder.
package main

/*
#cgo CFLAGS: -I${SRCDIR}/c
#cgo CXXFLAGS: -I${SRCDIR}/c -O2
#cgo CPPFLAGS: -I${SRCDIR}/c
#include <stdlib.h>
#include "stacks.h"

static inline void *st_in_preamble(size_t n) { return st_leaf(n); }
*/
import "C"

import (
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"unsafe"

	"cgoheap.test/stacks/o0"
	"cgoheap.test/stacks/o2"
	"cgoheap.test/stacks/oracle"
	"cgoheap.test/steps"
)

var held []unsafe.Pointer

func hold(p unsafe.Pointer) { held = append(held, p) }

// ---- callers of every kind ----

func direct() {
	hold(C.malloc(C.size_t(oracle.Note("malloc"))))
	hold(unsafe.Pointer(C.CString(strings.Repeat("c", int(oracle.Note("cstring"))-1))))
	hold(C.st_in_preamble(C.size_t(oracle.Note("preamble"))))
}

type thing struct{ n int }

//go:noinline
func (t *thing) pointerMethod(shape string) { hold(C.st_leaf(C.size_t(oracle.Note(shape)))) }

//go:noinline
func (t thing) valueMethod(shape string) { hold(C.st_leaf(C.size_t(oracle.Note(shape)))) }

type caller interface{ valueMethod(string) }

//go:noinline
func generic[T any](_ T, shape string) { hold(C.st_leaf(C.size_t(oracle.Note(shape)))) }

type list[T any] struct{ items []T }

//go:noinline
func (l *list[T]) method(shape string) { hold(C.st_leaf(C.size_t(oracle.Note(shape)))) }

// inlined is small enough that the compiler puts it into its callers.
func inlined(n C.size_t) unsafe.Pointer {
	return C.st_leaf(n) // the inlined call
}

//go:noinline
func deferred(shape string) {
	defer func() { hold(C.st_leaf(C.size_t(oracle.Note(shape)))) }()
}

//go:noinline
func recovered(shape string) {
	defer func() {
		recover()
		hold(C.st_leaf(C.size_t(oracle.Note(shape))))
	}()
	panic(shape)
}

//go:noinline
func recursion(depth int, shape string) {
	if depth == 0 {
		hold(C.st_leaf(C.size_t(oracle.Note(shape))))
		return
	}
	recursion(depth-1, shape)
}

func goCallers() {
	t := &thing{}
	t.pointerMethod("pointer method")
	t.valueMethod("value method")
	caller(t).valueMethod("interface method")
	value := t.pointerMethod
	value("method value")
	(*thing).pointerMethod(t, "method expression")
	for _, f := range []func(
		string){func(shape string) { hold(C.st_leaf(C.size_t(oracle.Note(shape)))) }} {
		f("closure")
	}
	generic(1, "generic int")
	generic("", "generic string")
	(&list[string]{}).method("generic method")
	hold(inlined(C.size_t(oracle.NoteAbove("inlined", inlinedFrame()))))
	deferred("deferred")
	recovered("recovered")
	recursion(60, "recursion 60")
	recursion(200, "recursion 200 in Go")
	_ = strings.Map(
		func(r rune) rune {
			hold(C.st_leaf(C.size_t(oracle.Note("through strings.Map"))))
			return r
		}, "x")
	var once sync.Once
	once.Do(func() { hold(C.st_leaf(C.size_t(oracle.Note("through sync.Once")))) })

	var wait sync.WaitGroup
	wait.Add(1)
	go func() { defer wait.Done(); hold(C.st_leaf(C.size_t(oracle.Note("goroutine")))) }()
	wait.Wait()
	wait.Add(1)
	go worker(&wait, "named goroutine")
	wait.Wait()
}

//go:noinline
func worker(wait *sync.WaitGroup, shape string) {
	defer wait.Done()
	recursion(3, shape)
}

// inlinedFrame is what a profile shows for the call in inlined. Its line is
// that of the comment, which the test looks up.
func inlinedFrame() oracle.Frame {
	_, file, _, _ := runtime.Caller(0)
	return oracle.Frame{Func: "main.inlined", File: file}
}

// ---- callbacks ----

//export goNested
func goNested(n C.size_t, level C.int) unsafe.Pointer {
	if level > 0 {
		return nestedAgain(n, level)
	}
	return C.st_leaf(C.size_t(oracle.Again(uint64(n))))
}

//go:noinline
func nestedAgain(n C.size_t, level C.int) unsafe.Pointer { return C.st_nested(n, level-1) }

//export goGrow
func goGrow(depth C.int) { grow(int(depth)) }

//go:noinline
func grow(depth int) int {
	var room [4096]byte
	room[depth%len(room)] = 1
	if depth > 0 {
		return grow(depth-1) + int(room[0])
	}
	return int(room[1])
}

//export goOnThread
func goOnThread(n C.size_t) unsafe.Pointer {
	return C.st_leaf(C.size_t(oracle.Again(uint64(n))))
}

func callbacks() {
	for _, level := range []struct {
		shape string
		depth C.int
	}{{"callback", 0}, {"callbacks nested two deep", 1}, {"callbacks nested three deep", 2}} {
		hold(C.st_nested(C.size_t(oracle.Note(level.shape)), level.depth))
	}
	// On a new goroutine the stack is small, so that it must grow, and move.
	onGoroutine(func() {
		hold(C.st_after_growth(C.size_t(oracle.Note("stack grown in callback")), 200))
	})
	onGoroutine(func() {
		hold(C.st_after_growth(C.size_t(oracle.Note("stack not grown in callback")), 0))
	})
	hold(C.st_on_thread(C.size_t(oracle.NoteC("C thread"))))
	hold(C.st_through_thread(C.size_t(oracle.NoteC("C thread through Go"))))
}

func onGoroutine(f func()) {
	var wait sync.WaitGroup
	wait.Add(1)
	go func() {
		defer wait.Done()
		f()
	}()
	wait.Wait()
}

// ---- the rest ----

func otherC() {
	for _, p := range append(o0.Shapes(oracle.Note), o2.Shapes(oracle.Note)...) {
		hold(p)
	}
	o2.Deep(oracle.Note, hold)
	hold(C.cxx_template(C.size_t(oracle.Note("C++ template"))))
	hold(C.cxx_catch(C.size_t(oracle.Note("C++ catch"))))
	hold(C.cxx_unwound(C.size_t(oracle.Note("C++ unwound"))))
	if C.cxx_exceptions(500) != 500 {
		panic("an exception was lost")
	}
	hold(C.st_in_signal(C.size_t(oracle.Note("signal handler"))))
	if C.st_signal_storm(300_000) != 300_000 {
		panic("an allocation was lost among signals")
	}
}

// Locked goroutines that wait make the runtime create threads.
func goThreads() {
	var wait sync.WaitGroup
	start := make(chan bool)
	for i := 0; i < 20; i++ {
		wait.Add(1)
		go func() {
			runtime.LockOSThread()
			wait.Done()
			<-start
		}()
	}
	wait.Wait()
	close(start)
}

func main() {
	runtime.MemProfileRate = 1
	direct()
	goCallers()
	callbacks()
	otherC()
	goThreads()
	for i, p := range held {
		if p == nil {
			panic(i)
		}
	}
	steps.Say("stacks", oracle.Take())
	if len(os.Args) > 1 {
		writeGoHeap(os.Args[1])
	}
	steps.Ready()
	runtime.KeepAlive(held)
}

// What Go's own profile of this program looks like, to compare roots with.
func writeGoHeap(path string) {
	f, err := os.Create(path)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	runtime.GC()
	if err := pprof.Lookup("heap").WriteTo(f, 0); err != nil {
		panic(err)
	}
}
