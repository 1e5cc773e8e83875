// C without cgo: libraries' functions called by purego, with CGO_ENABLED=0.
package main

import (
	"fmt"
	"runtime"

	"github.com/ebitengine/purego"
)

var (
	strdup func(string) uintptr
	qsort  func(base, count, size, compare uintptr)
	calloc func(count, size uintptr) uintptr
)

const blockBytes = 100_001

var text = fmt.Sprintf("%0*d", blockBytes-1, 7)

//go:noinline
func keep(n int) {
	for i := 0; i < n; i++ {
		strdup(text)
	}
}

//go:noinline
func calledBack() { strdup(text) }

func compare(a, b *int32) uintptr {
	calledBack()
	return 0
}

var kept [][]byte

func fill(mib int) {
	for i := 0; i < mib; i++ {
		b := make([]byte, 1<<20)
		for j := range b {
			b[j] = 1
		}
		kept = append(kept, b)
	}
}

func main() {
	libc, err := purego.Dlopen("libc.so.6", purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		panic(err)
	}
	purego.RegisterLibFunc(&strdup, libc, "strdup")
	purego.RegisterLibFunc(&qsort, libc, "qsort")
	purego.RegisterLibFunc(&calloc, libc, "calloc")
	keep(100)
	qsort(calloc(2, 4), 2, 4, purego.NewCallback(compare))
	fill(200)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Println("heap", m.HeapInuse+m.HeapIdle-m.HeapReleased)
	fmt.Println("ready")
	fmt.Scanln()
	runtime.KeepAlive(kept)
}
