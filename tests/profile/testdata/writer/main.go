// Command writer makes C code record stacks under Go code of several shapes,
// and writes what the shim makes of them, Go's own heap profile, and the frames
// that Go's runtime says should be there.
package main

// #cgo CPPFLAGS: -I${SRCDIR}/../taker
// #cgo CFLAGS: -O2 -g
// #cgo CXXFLAGS: -O2 -g
// #cgo LDFLAGS: -ltaker
// #include <stdlib.h>
// #include "chain.h"
// #include "taker.h"
import "C"

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"unsafe"
)

// Frame is what the runtime says of one frame.
type Frame struct {
	Function string
	File     string
	Line     int
}

// Expected is one recorded stack: the bytes of its blocks tell it from the others.
type Expected struct {
	Bytes  int
	Go     []Frame
	C      []string
	Values [4]int64
}

var expected []Expected

// expect notes the Go frames of its caller. It is called on the line of the C
// call, in an argument of it.
//
//go:noinline
func expect(bytes int, values [4]int64, c ...string) C.int {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	e := Expected{Bytes: bytes, C: c, Values: values}
	for {
		f, more := frames.Next()
		e.Go = append(e.Go, Frame{f.Function, f.File, f.Line})
		if !more {
			break
		}
	}
	expected = append(expected, e)
	return 0
}

func threeOfWhichOneFreed(bytes int) [4]int64 {
	n := int64(bytes)
	return [4]int64{3, 3 * n, 2, 2 * n}
}

//go:noinline
func plain(bytes int) {
	C.grab(C.size_t(bytes), expect(bytes, threeOfWhichOneFreed(bytes), "malloc", "grab_deep", "grab"))
}

type box[T any] struct{ value T }

// The closure is inlined.
//
//go:noinline
func (b *box[T]) method(bytes int) {
	func() {
		plain(bytes)
	}()
}

//go:noinline
func cxx(bytes int) {
	C.pool_grab(C.size_t(bytes + int(expect(bytes, [4]int64{1, int64(bytes), 1, int64(bytes)}, "malloc", "_ZN2ns4Pool4takeIiEEim", "pool_grab"))))
}

//go:noinline
func bothWays(bytes int) {
	C.both_ways(C.size_t(bytes + int(expect(bytes, [4]int64{1, int64(bytes), 1, int64(bytes)}, "malloc", "both", "both_ways"))))
}

func must(what string, failed bool) {
	if failed {
		fmt.Fprintln(os.Stderr, "writer:", what, "failed")
		os.Exit(1)
	}
}

var dir = os.Args[1]

func write(name string, flags C.int) {
	path := C.CString(filepath.Join(dir, name))
	defer C.free(unsafe.Pointer(path))
	must(name, C.taker_write(path, flags) != 0)
}

func writeGo(name string) {
	f, err := os.Create(filepath.Join(dir, name))
	must(name, err != nil || pprof.WriteHeapProfile(f) != nil || f.Close() != nil)
}

var sink [][]byte

//go:noinline
func goAllocates() {
	for i := 0; i < 64; i++ {
		sink = append(sink, make([]byte, 1<<20))
	}
	runtime.GC()
}

func main() {
	must("taker_init", C.taker_init() != 0)
	goAllocates()
	plain(100)
	plain(200)
	(&box[map[string]int]{}).method(300)
	cxx(400)
	bothWays(500)
	done := make(chan bool)
	go func() {
		plain(600)
		close(done)
	}()
	<-done
	write("cgoheap.pb.gz", 0)
	write("none.pb.gz", C.TAKER_NO_SYMBOLS)
	write("all.pb.gz", C.TAKER_ALL_FRAMES)
	write("cgoheap.txt", C.TAKER_TEXT)
	writeGo("heap.pb.gz")

	must("taker_start_growth", C.taker_start_growth() != 0)
	C.grow(700, 2, 0)
	C.grow(700, 0, 1)
	write("growth.pb.gz", C.TAKER_GROWTH)
	write("growth.txt", C.TAKER_GROWTH|C.TAKER_TEXT)

	C.marks()
	C.nameless(800)
	write("marks.pb.gz", 0)

	out, err := json.Marshal(expected)
	must("json", err != nil || os.WriteFile(filepath.Join(dir, "expected.json"), out, 0o600) != nil)
}
