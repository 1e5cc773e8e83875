// Command memlimit has Go memory and C memory beside each other under a limit, a
// command a line of stdin:
//
//	plain BYTES          GOMEMLIMIT, once
//	follow INTERVAL      GOMEMLIMIT by the package memlimit
//	collect INTERVAL     the same, with collections for C's memory
//	live BYTES           objects that stay
//	untouched BYTES      one object that is not written to
//	touch                it is now
//	fill                 garbage, until two collections have ended
//	churn on|off         garbage all the time
//	c BYTES              C memory, 1 MiB every 30 ms, where memlimit and Go can follow
//	cfree                all of it
//	pool BYTES           C memory that finalizers free, dropped at once, 4 MiB every 30 ms
//	state                what memlimit says, and the runtime
//	stop                 memlimit
package main

/*
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static char *ml_block(size_t bytes)
{
	char *p = malloc(bytes);
	return p ? memset(p, 1, bytes) : NULL;
}

static void ml_trim(void)
{
	malloc_trim(0);
}
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"cgoheap.example/cgo_bridge"
	"cgoheap.example/cgo_bridge/memlimit"
	"cgoheap.test/steps"
)

const mib = 1 << 20

var (
	live      []*node
	untouched []byte
	blocks    []*C.char
	churning  atomic.Bool
	control   *memlimit.Controller
	mu        sync.Mutex
	events    []string
)

type node struct {
	next *node
	text [1000]byte
}

var heap atomic.Pointer[[32 << 10]byte] // what is stored here is not on a stack

func garbage(bytes int) {
	for ; bytes > 0; bytes -= 32 << 10 {
		b := new([32 << 10]byte)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		heap.Store(b)
	}
}

func fill() {
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	for now.NumGC < before.NumGC+2 {
		garbage(mib)
		runtime.ReadMemStats(&now)
	}
}

func churn() {
	for churning.Load() {
		garbage(mib)
		time.Sleep(5 * time.Millisecond)
	}
}

func follow(interval string, o memlimit.Options) {
	d, err := time.ParseDuration(interval)
	if err != nil {
		panic(err)
	}
	o.Interval, o.OnEvent = d, func(e memlimit.Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e.String())
	}
	if control, err = memlimit.Start(o); err != nil {
		panic(err)
	}
}

// A pooled block is freed by its finalizer.
type pooled struct{ p *C.char }

//go:noinline
func pool() {
	o := &pooled{C.ml_block(4 * mib)}
	runtime.SetFinalizer(o, func(o *pooled) { C.free(unsafe.Pointer(o.p)) })
}

const pause = 30 * time.Millisecond

// isLate: a busy machine has not let memlimit look when it wanted to. How much C memory it can
// follow then is not what is tested.
func isLate(s memlimit.State) bool {
	return time.Since(s.Time) > s.Next+s.Took+2*pause
}

// isAboveLimit: nor how much it can follow where the machine has not let Go collect.
func isAboveLimit() bool {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys-m.HeapReleased) > debug.SetMemoryLimit(-1)+8*mib
}

// catchUp waits for memlimit, and for Go until the deadline: some live sets are above each limit.
func catchUp(deadline time.Time) {
	for isLate(control.State()) || isAboveLimit() && time.Now().Before(deadline) {
		time.Sleep(pause)
	}
}

type said struct {
	memlimit.State
	Now    int64 // the limit that holds
	Events []string
}

func state() (s said) {
	if control != nil {
		s.State = control.State()
	}
	s.Now = debug.SetMemoryLimit(-1)
	mu.Lock()
	defer mu.Unlock()
	s.Events = append(s.Events, events...)
	return s
}

func obey(line string) {
	command, argument, _ := strings.Cut(line, " ")
	bytes := 0
	fmt.Sscan(argument, &bytes)
	switch command {
	case "plain":
		debug.SetMemoryLimit(int64(bytes))
	case "follow":
		follow(argument, memlimit.Options{})
	case "collect":
		follow(argument, memlimit.Options{CollectC: true, Debt: cgo_bridge.Debt})
	case "live":
		for n := 0; n < bytes; n += 1024 {
			live = append(live, &node{})
		}
	case "untouched":
		untouched = make([]byte, bytes)
	case "touch":
		for i := 0; i < len(untouched); i += 4096 {
			untouched[i] = 1
		}
	case "fill":
		fill()
	case "churn":
		if churning.Swap(argument == "on"); argument == "on" {
			go churn()
		}
	case "c":
		deadline := time.Now().Add(10 * time.Second)
		for n := 0; n < bytes; n += mib {
			p := C.ml_block(mib)
			if p == nil {
				panic("out of memory")
			}
			blocks = append(blocks, p)
			time.Sleep(pause)
			if control != nil {
				catchUp(deadline)
			}
		}
	case "pool":
		for n := 0; n < bytes; n += 4 * mib {
			pool()
			time.Sleep(pause)
			for control != nil && (isLate(control.State()) || control.State().Collecting) {
				time.Sleep(pause)
			}
		}
	case "cfree":
		for _, p := range blocks {
			C.free(unsafe.Pointer(p))
		}
		blocks = nil
		C.ml_trim()
	case "state":
		steps.Say("state", state())
	case "stop":
		control.Stop()
	case "":
	default:
		fmt.Fprintln(os.Stderr, "what is", line)
		os.Exit(2)
	}
}

func main() {
	for {
		obey(steps.Ready())
	}
}
