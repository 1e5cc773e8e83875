// Go's own linker leaves out the unwind tables of C code.  So stacks are searched for the call from
// Go, past C frames with what earlier calls left in them: those of callbacks and of goroutines that
// were started on the same thread's stack.
package main

// #include "stale.h"
import "C"

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
)

//export inGo
func inGo(depth C.int, bytes C.uintptr_t) {
	var all sync.WaitGroup
	for i := 0; i < 4; i++ {
		all.Add(1)
		go all.Done()
	}
	all.Wait()
	C.call_back(depth, bytes)
}

//go:noinline
func hold(depth int) {
	C.keep_below(C.int(depth), 1000)
}

func worker(done *sync.WaitGroup) {
	defer done.Done()
	for i := 0; i < 40; i++ {
		C.call_back(C.int(1+i%3), 2000)
		hold(i % 12)
	}
}

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

// whatIsWrong says it of a stack that a worker has made.
func whatIsWrong(stack string) string {
	switch {
	case !strings.Contains(stack, "\tkeep\t"):
		return ""
	case !strings.Contains(stack, "[frames not known]"):
		return "it does not say that frames are missing"
	case !strings.Contains(stack, "\tmain.worker+"):
		return "it is not the worker's"
	case strings.Contains(stack, " bytes=1000\n") != strings.Contains(stack, "\tmain.hold+"):
		return "it is of another call"
	}
	return ""
}

func main() {
	var done sync.WaitGroup
	for i := 0; i < 16; i++ {
		done.Add(1)
		go worker(&done)
	}
	done.Wait()
	runtime.GC()
	found := 0
	for _, stack := range strings.Split(profile(), "\n\n") {
		if strings.Contains(stack, "\tmain.hold+") {
			found++
		}
		if wrong := whatIsWrong(stack); wrong != "" {
			fmt.Fprintf(os.Stderr, "%s:\n%s\n", wrong, stack)
			os.Exit(1)
		}
	}
	if found == 0 {
		fmt.Fprintln(os.Stderr, "no stack through hold")
		os.Exit(1)
	}
}
