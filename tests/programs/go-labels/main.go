// Command labels makes C allocations under goroutine labels of every kind, each
// block with a unique size, and prints for each the labels that Go reports
// (pprof.ForLabels).
package main

/*
#include <stdlib.h>
#include "labels.h"
*/
import "C"

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"unsafe"

	"cgoheap.test/steps"
)

// Key and Value are bytes, for not all of them are text.
type label struct{ Key, Value []byte }

type block struct {
	Size   int
	Labels []label
}

var (
	blocks []block
	size   = 100_000
	held   []unsafe.Pointer
)

func note(ctx context.Context) C.size_t {
	b := block{Size: size}
	pprof.ForLabels(ctx, func(key, value string) bool {
		b.Labels = append(b.Labels, label{[]byte(key), []byte(value)})
		return true
	})
	blocks = append(blocks, b)
	size++
	return C.size_t(b.Size)
}

//go:noinline
func take(ctx context.Context) { held = append(held, C.lb_malloc(note(ctx))) }

func do(ctx context.Context, args ...string) {
	pprof.Do(ctx, pprof.Labels(args...), take)
}

// Within the inner call the inner labels hold, after it the outer ones again.
func nested(ctx context.Context) {
	pprof.Do(ctx, pprof.Labels("tenant", "a"), func(ctx context.Context) {
		take(ctx)
		pprof.Do(ctx, pprof.Labels("endpoint", "/query", "tenant", "b"), take)
		take(ctx)
		done := make(chan bool)
		go func() { // inherits them
			take(ctx)
			done <- true
		}()
		<-done
	})
	take(ctx)
}

func numbered(from, to int) (args []string) {
	for i := from; i < to; i++ {
		args = append(args, fmt.Sprintf("key%02d", i), strings.Repeat("v", i)+strconv.Itoa(i))
	}
	return args
}

// Maps of every size, made at once and grown from another: up to Go 1.23 that
// leaves them in every state of their growth.
func counts(ctx context.Context) {
	for n := 1; n <= 60; n++ {
		do(ctx, numbered(0, n)...)
		pprof.Do(ctx, pprof.Labels(numbered(0, n/2)...), func(ctx context.Context) {
			do(ctx, numbered(n/2, n)...)
		})
	}
}

func texts(ctx context.Context) {
	do(ctx, "origin", "theirs", "bytes", "12", "label", "x")
	do(ctx, "quoted", `a "b" \c`)
	do(ctx, "utf8", "grüße, 世界 🙂")
	do(ctx, "empty", "")
	do(ctx, "control", "\x1b[31mred\r\n\x00\u0085\u202e")
	do(ctx, "broken", "a\xff\xc3", "\xfe", "key")
	do(ctx, "long", strings.Repeat("x", 126)+"ü and more")
	do(ctx, strings.Repeat("k", 127), strings.Repeat("y", 127))
	// Neither in Go's heap nor in the program: whether it is there has to be asked.
	n := C.size_t(4096)
	text := unsafe.String((*byte)(C.calloc(1, n)), int(n))
	copy(unsafe.Slice(unsafe.StringData(text), n), "in C's memory")
	do(ctx, "foreign", text[:len("in C's memory")])
}

var calledBack func()

//export goCalledBack
func goCalledBack() { calledBack() }

func callbacks(ctx context.Context) {
	pprof.Do(ctx, pprof.Labels("outer", "1"), func(outer context.Context) {
		calledBack = func() {
			take(outer)
			do(outer, "inner", "2")
			deep(300) // the goroutine's stack moves
		}
		C.lb_around(note(outer), note(outer))
	})
	// A thread that C made is no goroutine, but where it calls Go it has one.
	pprof.Do(ctx, pprof.Labels("outer", "3"), func(context.Context) {
		calledBack = func() { do(ctx, "thread", "4") }
		C.lb_thread(note(ctx), note(ctx))
	})
}

//go:noinline
func deep(n int) int {
	var frame [256]byte
	if n == 0 {
		return int(frame[n])
	}
	return deep(n-1) + int(frame[n%256])
}

// Labels set for good, and taken away again.
func set(ctx context.Context) {
	done := make(chan bool)
	go func() {
		runtime.LockOSThread()
		labelled := pprof.WithLabels(ctx, pprof.Labels("worker", "7"))
		pprof.SetGoroutineLabels(labelled)
		take(labelled)
		pprof.SetGoroutineLabels(ctx)
		take(ctx)
		done <- true
	}()
	<-done
}

func main() {
	ctx := context.Background()
	if len(os.Args) > 1 {
		measure(ctx, os.Args[1:])
	}
	take(ctx)
	nested(ctx)
	counts(ctx)
	texts(ctx)
	callbacks(ctx)
	set(ctx)
	runtime.GC() // labels that are kept by nothing but blocks are gone
	steps.Say("blocks", blocks)
	for {
		command := strings.Fields(steps.Ready())
		switch command[0] {
		case "do": // do KEY VALUE ...
			do(ctx, command[1:]...)
		case "requests": // requests N: each under a different label
			n, _ := strconv.Atoi(command[1])
			for i := 0; i < n; i++ {
				do(ctx, "request", fmt.Sprintf("%08d", i))
			}
		}
		steps.Say("blocks", blocks)
	}
}
