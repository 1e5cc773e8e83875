// Command faults is tests/programs/faults/host.c again, in Go: allocates by C
// from goroutines and on threads, asks the shim for its pages, and ends with
// output and an exit code that depend on neither.
//
//	faults SOCKET PATIENCE_MS
package main

/*
#include <stdlib.h>
#include <string.h>

static void *block(size_t n)
{
	char *p = malloc(n);
	memset(p, 3, n);
	return p;
}


int fromC(int);
static int through(int n)
{
	return fromC(n) + 1;
}
*/
import "C"

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

//export fromC
func fromC(n C.int) C.int {
	p := C.block(C.size_t(n))
	defer C.free(p)
	return C.int(*(*byte)(p)) * n
}

var sum atomic.Int64

func work() {
	for i := 1; i <= 20; i++ {
		text := C.CString(fmt.Sprint("text ", i))
		sum.Add(int64(C.strlen(text)) + int64(C.through(C.int(100*i))))
		C.free(unsafe.Pointer(text))
	}
}

func ask(path, page string, patience time.Duration) {
	c, err := net.DialTimeout("unix", path, patience)
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "GET %s HTTP/1.0\r\n\r\n", page)
	io.Copy(io.Discard, c)
}

func main() {
	patience, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	var done sync.WaitGroup
	for i := 0; i < 3; i++ {
		done.Add(1)
		go func() {
			defer done.Done()
			runtime.LockOSThread() // and so ends with its thread
			work()
		}()
	}
	done.Wait()
	kept := C.block(123456)
	for _, page := range []string{"/debug/pprof/cgoheap", "/v1/status", "/v1/account", "/metrics"} {
		ask(os.Args[1], page, time.Duration(patience)*time.Millisecond)
	}
	work()
	C.free(kept)
	fmt.Println("sum", sum.Load())
	os.Exit(7)
}
