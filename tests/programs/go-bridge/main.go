// Command bridge is a service with the Go package in it: it serves what the
// package puts on http.DefaultServeMux, and does what the lines of stdin say.
package main

/*
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *volatile br_kept[4096]; // volatile: it is never read, and the blocks must stay
static int br_count;

static void __attribute__((noinline)) br_leak(size_t bytes)
{
	char *block = malloc(bytes);

	memset(block, 1, bytes);
	br_kept[br_count++] = block;
}

static volatile int br_stop;

static void *br_stop_later(void *microseconds)
{
	usleep((useconds_t)(size_t)microseconds);
	br_stop = 1;
	return NULL;
}

static void br_begin(size_t microseconds)
{
	pthread_t id;

	br_stop = 0;
	pthread_create(&id, NULL, br_stop_later, (void *)microseconds);
	pthread_detach(id);
}

static volatile int *br_stop_at(void) { return &br_stop; }
*/
import "C"

import (
	"context"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"unsafe"

	"cgoheap.example/cgo_bridge"
	"cgoheap.test/steps"
)

var held [][]byte

//go:noinline
func leak(bytes int) { C.br_leak(C.size_t(bytes)) }

//go:noinline
func hold(bytes int) {
	b := make([]byte, bytes)
	for i := range b {
		b[i] = 1
	}
	held = append(held, b)
}

// spin keeps the only processor that Go has, without a point where it could be taken from it.
func spin(microseconds int) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	stop := (*int32)(unsafe.Pointer(C.br_stop_at()))
	C.br_begin(C.size_t(microseconds))
	for i := 0; i < 1<<62; i++ {
		if *stop != 0 {
			break
		}
	}
}

// classes is runtime/metrics' view of memory.
func classes() map[string]uint64 {
	values := map[string]uint64{}
	for _, d := range metrics.All() {
		if strings.HasPrefix(d.Name, "/memory/classes/") {
			s := []metrics.Sample{{Name: d.Name}}
			metrics.Read(s)
			values[d.Name] = s[0].Value.Uint64()
		}
	}
	return values
}

func obey(line string) {
	var n int
	command, rest, _ := strings.Cut(line, " ")
	fmt.Sscan(rest, &n)
	switch command {
	case "leak":
		leak(n)
	case "hold":
		hold(n)
	case "gc":
		runtime.GC()
	case "limit":
		debug.SetMemoryLimit(int64(n))
	case "spin":
		fmt.Println("spinning")
		spin(n)
	case "account":
		steps.Say("before", classes())
		account, err := cgo_bridge.Account(context.Background())
		steps.Say("after", classes())
		steps.Say("account", account)
		steps.Say("error", fmt.Sprint(err))
	case "loaded":
		steps.Say("loaded", cgo_bridge.Loaded())
		_, err := cgo_bridge.Status(context.Background())
		steps.Say("error", fmt.Sprint(err))
	default:
		panic(line)
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	http.HandleFunc("GET /", http.NotFound) // to the mux before Go 1.22 a host of an odd name
	go http.Serve(listener, nil)
	steps.Say("url", "http://"+listener.Addr().String())
	for {
		obey(steps.Ready())
	}
}
