// A cgo service that the library must leave as it is, under glibc and under musl.
package main

// #include <stdlib.h>
// #include <string.h>
// static void *take(size_t n) { return memset(malloc(n), 1, n); }
import "C"

import (
	"fmt"
	"os"
	"sync"
	"unsafe"
)

func main() {
	var all sync.WaitGroup
	for range make([]struct{}, 8) {
		all.Add(1)
		go func() {
			defer all.Done()
			for n := 1; n < 2000; n += 20 {
				C.free(unsafe.Pointer(C.take(C.size_t(n * 100))))
			}
		}()
	}
	all.Wait()
	fmt.Println("served")
	os.Exit(3)
}
