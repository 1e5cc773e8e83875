// A program whose only C is the standard library's: the Go linker links it itself, its C has no
// unwind tables, and all that is mapped through libc is the Go runtime's.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
	"runtime"
	"strings"
	"sync"
)

var keep [][]byte

func profile() string {
	c, err := net.Dial("unix", os.Getenv("CGOHEAP_SOCKET"))
	if err != nil {
		panic(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /debug/pprof/cgoheap?debug=1 HTTP/1.0\r\nHost: cgoheap\r\n\r\n")
	text, err := io.ReadAll(bufio.NewReader(c))
	if err != nil {
		panic(err)
	}
	return string(text)
}

func main() {
	if _, err := user.LookupId("0"); err != nil {
		panic(err)
	}
	for i := 0; i < 300; i++ {
		keep = append(keep, make([]byte, 1<<20))
	}
	var parked sync.WaitGroup
	for i := 0; i < 5; i++ {
		parked.Add(1)
		go func() {
			runtime.LockOSThread()
			parked.Done()
			select {}
		}()
	}
	parked.Wait()
	text := profile()
	if !strings.Contains(text, "origin=thread_stack") || strings.Contains(text, "origin=mmap") {
		fmt.Fprint(os.Stderr, text)
		os.Exit(1)
	}
	runtime.KeepAlive(keep)
}
