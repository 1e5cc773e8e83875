// Command debt has C memory whose frees wait for Go's collector, or do not. It does what its stdin
// says, and is still in between.
package main

// #include "blocks.h"
import "C"

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"cgoheap.test/steps"
)

// An owner is what Go refers to of a block.
type owner struct{ p unsafe.Pointer }

var (
	kept   []*owner
	freed  atomic.Int64 // blocks
	gate   = make(chan bool)
	inGate atomic.Bool

	hasPackage bool
)

func release(p unsafe.Pointer) {
	C.debt_free(p)
	freed.Add(1)
}

// finalized makes blocks that finalizers free.
//
//go:noinline
func finalized(n, bytes int) {
	for i := 0; i < n; i++ {
		o := &owner{p: C.debt_malloc(C.size_t(bytes))}
		runtime.SetFinalizer(o, func(o *owner) { release(o.p) })
		kept = append(kept, o)
	}
}

// closed makes blocks that the program frees itself.
//
//go:noinline
func closed(n, bytes int) {
	for i := 0; i < n; i++ {
		kept = append(kept, &owner{p: C.debt_malloc(C.size_t(bytes))})
	}
}

// closeAll frees what is kept, as Close would.
//
//go:noinline
func closeAll() {
	for _, o := range kept {
		runtime.SetFinalizer(o, nil)
		release(o.p)
	}
	kept = nil
}

// collect has Go collect until so many blocks in all have been freed.
func collect(want int) {
	for freed.Load() < int64(want) {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
}

// block has the goroutine of finalizers wait until the gate is opened.
func block() {
	o := &owner{}
	runtime.SetFinalizer(o, func(*owner) {
		inGate.Store(true)
		<-gate
	})
	o = nil
	for !inGate.Load() {
		runtime.GC()
	}
}

// facts is what Go says of its collector.
func facts() {
	var stats debug.GCStats
	debug.ReadGCStats(&stats)
	samples := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}, {Name: "/gc/gogc:percent"}}
	metrics.Read(samples)
	last := int64(0)
	if stats.NumGC > 0 {
		last = stats.LastGC.UnixNano()
	}
	steps.Say("cycles", stats.NumGC)
	steps.Say("last_gc", last)
	steps.Say("goal", samples[0].Value.Uint64())
	steps.Say("percent", int64(samples[1].Value.Uint64()))
}

func obey(line string) {
	var n, bytes int
	command, rest, _ := strings.Cut(line, " ")
	fmt.Sscan(rest, &n, &bytes)
	switch command {
	case "finalized":
		finalized(n, bytes)
	case "cleaned":
		cleaned(n, bytes)
	case "closed":
		closed(n, bytes)
	case "close":
		closeAll()
	case "drop":
		kept = nil
	case "gc":
		runtime.GC()
	case "collect":
		collect(n)
	case "block":
		block()
	case "open":
		close(gate)
	case "percent":
		debug.SetGCPercent(n)
	case "limit":
		debug.SetMemoryLimit(int64(n))
	case "facts":
		facts()
	default:
		panic(line)
	}
}

func main() {
	steps.Say("package", hasPackage)
	for {
		obey(steps.Ready())
	}
}
