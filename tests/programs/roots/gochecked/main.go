// A cgo service for musl.  With the library preloaded (CGOHEAP_SOCKET) it compares what the library
// says of it with its own counts, with /proc and with runtime.Callers, and prints what differs.
// Without the library it only serves.
package main

/*
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// An odd size by calloc, which in musl is made of malloc.
static void *hold(size_t bytes)
{
	return memset(bytes % 2 ? calloc(1, bytes) : malloc(bytes), 1, bytes);
}

// A thread that holds a block and 64 KiB of its stack.
static pthread_barrier_t ready;
static void *volatile kept;
static void *run(void *p)
{
	volatile char room[65536];
	for (size_t i = 0; i < sizeof room; i += 1024)
		room[i] = 1;
	kept = hold(30000);
	pthread_barrier_wait(&ready);
	for (;;)
		sleep(1000);
	return NULL;
}
static int begin(int count)
{
	pthread_t thread;
	pthread_barrier_init(&ready, NULL, count + 1);
	for (int i = 0; i < count; i++)
		if (pthread_create(&thread, NULL, run, NULL))
			return -1;
	pthread_barrier_wait(&ready);
	return 0;
}
*/
import "C"

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"unsafe"
)

const threads, written, threadBytes = 8, 64 << 10, 30000

var problems int

func wrong(format string, args ...any) {
	if problems++; problems <= 10 {
		fmt.Printf(format+"\n", args...)
	}
}

// ---- what it does ----------------------------------------------------------------------

var held struct {
	sync.Mutex
	bytes   uint64
	callers []string
}

//go:noinline
func holdSome(sizes []int) {
	var pcs [64]uintptr
	held.Lock()
	defer held.Unlock()
	for _, n := range sizes {
		C.hold(C.size_t(n))
		held.bytes += uint64(n)
	}
	held.callers = nil
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if f.Function != "runtime.goexit" { // which no profile shows
			held.callers = append(held.callers, f.Function)
		}
	}
}

func serve() {
	var all sync.WaitGroup
	for i := 0; i < 8; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for n := 1; n < 2000; n++ {
				C.free(unsafe.Pointer(C.hold(C.size_t(n * 100))))
			}
			var sizes []int
			for n := 0; n < 600; n++ {
				sizes = append(sizes, 16+n*23)
			}
			holdSome(append(sizes, 200_000, 1_500_000))
		}()
	}
	all.Wait()
}

// ---- what the library says -----------------------------------------------------------------

func get(path string) []byte {
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", os.Getenv("CGOHEAP_SOCKET"))
		}}}
	answer, err := client.Get("http://cgoheap" + path)
	if err != nil {
		wrong("%s: %s", path, err)
		return nil
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		wrong("%s: %s %v", path, answer.Status, err)
	}
	return body
}

type account struct {
	RSS    uint64 `json:"rss_bytes"`
	Owners []struct {
		Name  string
		Bytes *uint64
	}
	Unexplained uint64 `json:"unexplained_bytes"`
	Allocator   struct {
		Name  string
		InUse *uint64 `json:"in_use_bytes"`
		Free  *uint64 `json:"free_bytes"`
	}
	Estimate struct {
		Bytes *uint64
		Error *uint64 `json:"standard_error_bytes"`
	} `json:"c_live_estimate"`
	Stacks   uint64 `json:"thread_stacks"`
	Warnings []string
}

func (a *account) owner(name string) uint64 {
	for _, o := range a.Owners {
		if o.Name == name && o.Bytes != nil {
			return *o.Bytes
		}
	}
	wrong("%s is unknown", name)
	return 0
}

func apart(what string, is, should uint64, by float64) {
	if d := math.Abs(float64(is) - float64(should)); d > by {
		wrong("%s: %d, and it is %d", what, is, should)
	}
}

func (a *account) check(truth uint64) {
	sum := a.Unexplained
	for _, o := range a.Owners {
		sum += a.owner(o.Name)
	}
	apart("the sum of the owners", sum, a.RSS, 0)
	const mib = 1 << 20
	apart("unexplained", a.Unexplained, 0, mib/4)
	apart("untracked", a.owner("untracked_mmap"), 0, mib/4)
	apart("c_mmap", a.owner("c_mmap"), 0, mib/4)
	if a.owner("go_heap") < mib/4 || a.owner("go_heap") > 16*mib {
		wrong("Go's heap is %d bytes", a.owner("go_heap"))
	}
	if a.Allocator.Name != "musl mallocng" || a.Allocator.InUse == nil ||
		a.Allocator.Free == nil || a.Estimate.Bytes == nil || a.Estimate.Error == nil {
		wrong("not known: %+v %+v", a.Allocator, a.Estimate)
		return
	}
	apart("the estimate", *a.Estimate.Bytes, truth, 5*float64(*a.Estimate.Error))
	// Slots are up to a quarter larger; a part of the blocks is not the program's own.
	in := *a.Allocator.InUse
	if float64(in) < float64(truth) || float64(in) > 1.25*float64(truth)+mib {
		wrong("musl has %d in use, and the program %d", in, truth)
	}
	// All of it was written.
	live := a.owner("c_live")
	if float64(live) < 0.99*float64(truth) || live > in {
		wrong("c_live %d, the program has %d, musl has %d in use", live, truth, in)
	}
	for _, w := range a.Warnings {
		wrong("warning: %s", w)
	}
}

// ---- what /proc says --------------------------------------------------------------------

// tasks: without the library's own threads.
func tasks() (n uint64) {
	all, _ := os.ReadDir("/proc/self/task")
	for _, t := range all {
		name, _ := os.ReadFile("/proc/self/task/" + t.Name() + "/comm")
		if !strings.HasPrefix(string(name), "cgoheap") {
			n++
		}
	}
	return n
}

// ---- stacks -----------------------------------------------------------------------------

var frame = regexp.MustCompile(`^#\t0x[0-9a-f]+\t([^\s+]+)`)

// stacks reads the text profile: the names of each stack's functions, and how it was cut.
func stacks(text []byte) (all [][]string) {
	var s []string
	for _, line := range strings.Split(string(text), "\n") {
		if m := frame.FindStringSubmatch(line); m != nil {
			s = append(s, m[1])
		} else if strings.HasPrefix(line, "#\t[") {
			s = append(s, line)
		} else if !strings.HasPrefix(line, "#") && s != nil {
			all, s = append(all, s), nil
		}
	}
	return all
}

func checkStacks(all [][]string) {
	var inGo, inThread bool
	want := strings.Join(held.callers, " ")
	for _, s := range all {
		whole := strings.Join(s, " ")
		// Go's own linker leaves out the unwind tables of C code.
		isCut := strings.Contains(whole, "[")
		if isCut && !(os.Getenv("GOCHECKED") == "internal" &&
			strings.HasPrefix(whole, "malloc run ")) {
			wrong("not whole: %s", whole)
		}
		if strings.Contains(whole, "main.holdSome") {
			inGo = true
			if !strings.HasSuffix(whole, want) {
				wrong("%s\n  does not end as %s", whole, want)
			}
		}
		if strings.HasPrefix(whole, "malloc run ") { // and the place in musl that called it
			inThread = len(s) == 3
		}
	}
	// At the usual interval few of the threads' blocks are sampled, if any.
	every, _ := strconv.Atoi(os.Getenv("CGOHEAP_SAMPLE_BYTES"))
	if !inGo || !inThread && every < threadBytes {
		wrong("stacks are missing: from Go %t, of a thread %t", inGo, inThread)
	}
}

func main() {
	serve()
	if os.Getenv("CGOHEAP_SOCKET") != "" && os.Getenv("GOCHECKED") != "" {
		if C.begin(threads) != 0 {
			wrong("no threads")
		}
		truth := held.bytes + threads*threadBytes
		get("/v1/status") // Go has its threads for the network before they are counted
		var a account
		if err := json.Unmarshal(get("/v1/account"), &a); err != nil {
			wrong("the account: %s", err)
		}
		a.check(truth)
		apart("thread stacks", a.Stacks, tasks(), 0)
		// Of the others, Go's and the first, only a few pages were ever used.
		of, most := a.owner("thread_stacks"), threads*written+tasks()*24<<10
		if of < threads*written || of > most {
			wrong("%d bytes of thread stacks, not %d to %d", of, threads*written, most)
		}
		checkStacks(stacks(get("/debug/pprof/cgoheap?debug=1")))
		if problems > 0 {
			fmt.Printf("%s\n%s\n", get("/v1/status"), get("/v1/account"))
			os.Exit(1)
		}
	}
	fmt.Println("served")
	os.Exit(3)
}
