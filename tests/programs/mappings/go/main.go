// What the Go runtime maps is never C's; what C maps for Go, and the threads that both create, have
// their Go callers. The program asks its own socket.
package main

/*
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <unistd.h>

static void *map_for_go(size_t n)
{
	return mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static sem_t runs;

static void *sleeps(void *arg)
{
	sem_post(&runs);
	for (;;)
		pause();
	return arg;
}

// A stack is known once its thread runs.
static int start_thread(void)
{
	int error;
	pthread_t t;
	pthread_attr_t a;
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 1 << 20);
	error = sem_init(&runs, 0, 0) || pthread_create(&t, &a, sleeps, 0);
	if (!error)
		sem_wait(&runs);
	return error;
}
*/
import "C"

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

//go:noinline
func mapInC(n int) { C.map_for_go(C.size_t(n)) }

//go:noinline
func startThread() {
	if C.start_thread() != 0 {
		panic("no thread")
	}
}

var sites = regexp.MustCompile(`(?m)^(\d+): (\d+) \[\d+: \d+\] @.*\n#\torigin=(\w+)`)

// text is the profile, as GET answers it.
func text() string {
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _,
		_ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", os.Getenv("CGOHEAP_SOCKET"))
	}}}
	answer, err := client.Get("http://cgoheap/debug/pprof/cgoheap?debug=1")
	if err != nil {
		panic(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		panic(fmt.Sprint(answer.Status, err))
	}
	return string(body)
}

// inUse sums the objects and bytes of an origin's sites with this text in their stacks.
func inUse(origin, function string) (objects, bytes int) {
	for _, site := range strings.Split(text(), "\n\n") {
		m := sites.FindStringSubmatch(site)
		if m == nil || m[3] != origin || !strings.Contains(site, function) {
			continue
		}
		o, _ := strconv.Atoi(m[1])
		b, _ := strconv.Atoi(m[2])
		objects, bytes = objects+o, bytes+b
	}
	return
}

func want(origin, function string, objects, bytes int) {
	if o, b := inUse(origin, function); o != objects || b != bytes {
		fmt.Fprintf(os.Stderr, "%s %s: want %d objects of %d bytes, got %d of %d\n%s", origin,
			function, objects, bytes, o, b, text())
		os.Exit(1)
	}
}

var keep [][]byte

func main() {
	for i := 0; i < 300; i++ {
		keep = append(keep, make([]byte, 1<<20))
	}
	var parked sync.WaitGroup
	for i := 0; i < 20; i++ {
		parked.Add(1)
		go func() {
			runtime.LockOSThread()
			parked.Done()
			select {}
		}()
	}
	parked.Wait()
	want("mmap", "", 0, 0)
	mapInC(5 << 20)
	mapInC(3 << 20)
	startThread()
	want("mmap", "", 2, 8<<20)
	want("mmap", "main.mapInC", 2, 8<<20)
	// In use is what a thread has touched: a page at least, and of its 1 MiB little.
	if o, b := inUse("thread_stack", "main.startThread"); o != 1 || b < 4<<10 || b > 128<<10 {
		fmt.Fprintf(os.Stderr, "C's thread: %d objects of %d bytes\n%s", o, b, text())
		os.Exit(1)
	}
	if o, b := inUse("thread_stack", "runtime.newm"); o < 20 || b < o<<12 || b > o<<17 {
		fmt.Fprintf(os.Stderr, "the runtime's own threads: %d objects of %d bytes\n%s", o,
			b, text())
		os.Exit(1)
	}
	runtime.KeepAlive(keep)
}
