// Command walks makes C allocations below Go and C frames that a plan chooses. From one allocation
// to the next only a part changes: a call site, a goroutine's stack that is copied, the thread, the
// labels. Beside each it takes the stack by runtime.Callers and libgcc's unwinder.
package main

/*
#cgo CFLAGS: -O2 -I${SRCDIR}/../go-stacks/c
#include "walks.h"
*/
import "C"

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"runtime/cgo"
	"runtime/pprof"
	"strconv"
	"sync"
	"unsafe"

	"cgoheap.test/stacks/oracle"
	"cgoheap.test/steps"
)

// A step is a frame, or something that happens before the next one.
type step struct {
	kind, site, bytes int
}

// A walk is a plan on its way down.
type walk struct {
	steps []step
	at    int
	size  uint64 // of the block at its end
	block unsafe.Pointer
}

const (
	plain = iota
	large
	closure
	method
	generic
	deferred
	back    // through C and back into Go
	grow    // the stack grows, and is copied
	collect // the stack shrinks, and is copied
	yield   // another goroutine runs on this thread, or this one on another
	kinds
)

var frames [kinds]func(*walk, step)

func init() {
	frames = [kinds]func(*walk, step){(*walk).plain, largeFrame, (*walk).closure, (*walk).method,
		genericFrame[int], deferredFrame, throughC, growing, collecting, yielding}
}

// next goes down a step.
//
//go:noinline
func (w *walk) next() {
	if w.at == len(w.steps) {
		w.end()
		return
	}
	s := w.steps[w.at]
	w.at++
	frames[s.kind](w, s)
	w.at--
}

//go:noinline
func (w *walk) plain(s step) {
	switch s.site % 3 {
	case 0:
		w.next()
	case 1:
		w.next()
	default:
		w.next()
	}
}

//go:noinline
func largeFrame(w *walk, s step) {
	var room [600]byte
	room[s.bytes%len(room)] = 1
	w.next()
	runtime.KeepAlive(&room)
}

//go:noinline
func (w *walk) closure(s step) {
	func() {
		w.next()
		s.site++
	}()
}

type caller interface{ call() }

func (w *walk) call() { w.next() }

//go:noinline
func (w *walk) method(s step) {
	var c caller = w
	if s.site%2 == 0 {
		c.call()
	} else {
		c.call()
	}
}

//go:noinline
func genericFrame[T any](w *walk, s step) {
	var room [64]T
	w.next()
	runtime.KeepAlive(&room)
}

//go:noinline
func deferredFrame(w *walk, s step) {
	defer w.next()
	s.site++
}

//go:noinline
func throughC(w *walk, s step) {
	h := cgo.NewHandle(w)
	defer h.Delete()
	C.walks_back(C.size_t(w.size), C.size_t(s.site), C.size_t(s.bytes), C.uintptr_t(h))
}

//export goBack
func goBack(h C.uintptr_t) { cgo.Handle(h).Value().(*walk).next() }

//go:noinline
func growing(w *walk, s step) {
	deep(s.bytes)
	w.next()
}

//go:noinline
func deep(depth int) int {
	var room [512]byte
	room[depth%len(room)] = 1
	if depth > 0 {
		return deep(depth-1) + int(room[0])
	}
	return int(room[1])
}

//go:noinline
func collecting(w *walk, s step) {
	if s.site%8 == 0 {
		runtime.GC()
	}
	w.next()
}

//go:noinline
func yielding(w *walk, s step) {
	runtime.Gosched()
	w.next()
}

//go:noinline
func (w *walk) end() {
	switch w.size / 16 % 4 {
	case 0:
		w.block = C.walks_registers(C.size_t(oracle.Again(w.size)), C.size_t(w.size))
	case 1:
		w.block = C.walks_room(C.size_t(oracle.Again(w.size)), C.size_t(w.size%4096))
	default:
		w.block = C.walks_leaf(C.size_t(oracle.Again(w.size)))
	}
}

// ---- plans ----

func anyStep(r *rand.Rand) step { return step{r.Intn(kinds), r.Intn(24), r.Intn(40) * 16} }

func makePlan(r *rand.Rand) []step {
	list := make([]step, 1+r.Intn(9))
	for i := range list {
		list[i] = anyStep(r)
	}
	return list
}

// change changes one place, and at times nothing.
func change(list []step, r *rand.Rand) []step {
	s := &list[r.Intn(len(list))]
	switch r.Intn(8) {
	case 0:
	case 1, 2:
		s.site++
	case 3:
		s.bytes = r.Intn(40) * 16
	case 4:
		*s = anyStep(r)
	case 5:
		list = append(list[:len(list)-1:len(list)-1], anyStep(r))
	case 6:
		t := &list[r.Intn(len(list))]
		*s, *t = *t, *s
	default:
		if r.Intn(4) == 0 {
			return makePlan(r)
		}
	}
	return list
}

// maxBack: a stack with more crossings would be deeper than a capture.
const maxBack = 3

func limited(list []step) (out []step) {
	seen := 0
	for _, s := range list {
		if s.kind == back {
			seen++
		}
		if s.kind != back || seen <= maxBack {
			out = append(out, s)
		}
	}
	return out
}

var (
	heldLock sync.Mutex
	held     []unsafe.Pointer
)

func take(list []step, label string) {
	w := &walk{steps: limited(list), size: oracle.Note("label " + label)}
	w.next()
	heldLock.Lock()
	held = append(held, w.block)
	heldLock.Unlock()
}

// worker takes blocks, on a goroutine whose label changes at times.
func worker(seed, blocks int) {
	r := rand.New(rand.NewSource(int64(seed)))
	list := makePlan(r)
	for i := 0; i < blocks; i++ {
		label := strconv.Itoa(i / 5 % 3)
		if label == "0" {
			take(list, "")
		} else {
			pprof.Do(context.Background(), pprof.Labels("walk", label), func(context.Context) {
				take(list, label)
			})
		}
		list = change(list, r)
	}
}

// alternate: goroutines with the same frames, one after the other on one thread, that each stop
// with a callback's C frames on it.
func alternate(blocks int) {
	old := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(old)
	var wait sync.WaitGroup
	for g := 0; g < 4; g++ {
		wait.Add(1)
		go func(g int) {
			defer wait.Done()
			same := []step{{kind: plain, site: g / 2}, {kind: large}, {kind: yield},
				{kind: closure}}
			through := []step{{kind: plain}, {kind: back, site: g, bytes: 64}, {kind: yield},
				{kind: plain, site: g % 2}}
			for i := 0; i < blocks; i++ {
				take(same, "")
				take(through, "")
				through[1].bytes = i % 8 * 16
			}
		}(g)
	}
	wait.Wait()
}

func main() {
	seed, _ := strconv.Atoi(os.Args[1])
	var wait sync.WaitGroup
	for g := 0; g < 4; g++ {
		wait.Add(1)
		go func(g int) {
			defer wait.Done()
			if g%2 == 0 {
				runtime.LockOSThread()
			}
			worker(seed*10+g, 300)
		}(g)
	}
	wait.Wait()
	alternate(30)
	if len(held) != 4*300+4*2*30 {
		panic(fmt.Sprint(len(held)))
	}
	steps.Say("stacks", oracle.Take())
	steps.Ready()
	runtime.KeepAlive(held)
}
