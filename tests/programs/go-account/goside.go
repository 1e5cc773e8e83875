package main

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"unsafe"
)

// Where one goroutine's stack begins and how far down it goes.
type reach struct{ first, deepest uintptr }

// first points into the stack's first frame, and so moves with the stack.
//
//go:noinline
func goDeep(calls int, first *byte, at *reach, parked *sync.WaitGroup, park chan bool) byte {
	var room [256]byte
	room[calls%256] = 1
	if calls > 0 {
		return goDeep(calls-1, first, at, parked, park) + room[0]
	}
	*at = reach{uintptr(unsafe.Pointer(first)), uintptr(unsafe.Pointer(&room))}
	parked.Done()
	<-park
	return room[0]
}

// goroutines starts count goroutines that call that many levels deep and stay.
func goroutines(count, calls int) []reach {
	var parked sync.WaitGroup
	reaches := make([]reach, count)
	park := make(chan bool)
	parked.Add(count)
	for i := range reaches {
		at := &reaches[i]
		go func() {
			var first byte
			goDeep(calls, &first, at, &parked, park)
		}()
	}
	parked.Wait()
	return reaches
}

// stacks says what is resident of them by the kernel's page table, and what
// they are in all. Sizes are powers of two, of at least 32 KiB here; such begin
// and end at multiples of 8 KiB, with the first frame at the very end.
func stacks(reaches []reach) (resident, size int64) {
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		panic(err)
	}
	defer pagemap.Close()
	const align, guard = 8192, 928
	for _, r := range reaches {
		high := (r.first + align - 1) &^ (align - 1)
		bytes := uintptr(32 << 10)
		for bytes < high-r.deepest+guard {
			bytes *= 2
		}
		resident += residentIn(pagemap, high-bytes, high)
		size += int64(bytes)
	}
	return resident, size
}

var kept [][]byte

func touch(b []byte) []byte {
	for i := 0; i < len(b); i += pageBytes {
		b[i] = 1
	}
	return b
}

//go:noinline
func goHeap(bytes int) { kept = append(kept, touch(make([]byte, bytes))) }

// goFree leaves bytes free in the Go heap, and not returned: the caller says
// how much the runtime may keep.
func goFree() {
	kept = nil
	runtime.GC()
}

//lint:ignore U1000 what is stored here is on the heap
var sink *[64]byte

// The bits of path choose the functions on the stack.
//
//go:noinline
func left(path, bits int) {
	if bits == 0 {
		sink = new([64]byte)
	} else if path&1 == 0 {
		left(path>>1, bits-1)
	} else {
		right(path>>1, bits-1)
	}
}

//go:noinline
func right(path, bits int) {
	if bits == 0 {
		sink = new([64]byte)
		return
	}
	if path&1 == 0 {
		left(path>>1, bits-1)
	} else {
		right(path>>1, bits-1)
	}
}

// buckets makes the runtime record that many allocating stacks, at most 2^20,
// in memory outside the heap.
func buckets(stacks int) {
	rate := runtime.MemProfileRate
	runtime.MemProfileRate = 1
	for path := 0; path < stacks; path++ {
		left(path, 20)
	}
	runtime.MemProfileRate = rate
	runtime.GC()
}

// rawMap goes around libc, as bbolt and golang.org/x/exp/mmap do.
//
//go:noinline
func rawMap(bytes int) {
	b, err := syscall.Mmap(-1, 0, bytes, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		panic(err)
	}
	touch(b)
}
