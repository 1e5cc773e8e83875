// Command advice does what docs/what-the-usual-advice-gets-wrong.md speaks of,
// a command a line of stdin, each on the main thread.
package main

/*
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile char reached;

static void __attribute__((noinline)) ad_deep(size_t bytes)
{
	char room[4096];

	memset(room, 1, sizeof(room));
	if (bytes > sizeof(room))
		ad_deep(bytes - sizeof(room));
	reached = room[0];
}

static void *ad_deep_thread(void *bytes)
{
	ad_deep((size_t)bytes);
	for (;;)
		pause();
	return NULL;
}

static int ad_thread(size_t bytes)
{
	pthread_t id;

	reached = 0;
	if (pthread_create(&id, NULL, ad_deep_thread, (void *)bytes))
		return -1;
	while (!reached)
		usleep(1000);
	return 0;
}

static int ad_map(size_t bytes)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED;
}
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"cgoheap.test/steps"
)

func init() { runtime.LockOSThread() }

func check(result C.int) {
	if result != 0 {
		panic("the system refuses")
	}
}

//go:noinline
func goDeep(calls int, parked *sync.WaitGroup) byte {
	var room [256]byte
	if calls > 0 {
		return goDeep(calls-1, parked) + room[0]
	}
	parked.Done()
	parkForEver()
	return room[0]
}

//go:noinline
func parkForEver() { select {} }

func goroutines(count, calls int) {
	var parked sync.WaitGroup
	parked.Add(count)
	for i := 0; i < count; i++ {
		go goDeep(calls, &parked)
	}
	parked.Wait()
}

var kept []byte

func hold(bytes int, write bool) {
	kept = make([]byte, bytes)
	for i := 0; write && i < bytes; i += 4096 {
		kept[i] = 1
	}
}

// mapFile maps a file as other processes do too, and reads it.
func mapFile(path string) (sum byte) {
	f, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	info, _ := f.Stat()
	text, err := syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ,
		syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	for i := 0; i < len(text); i += 4096 {
		sum += text[i]
	}
	return sum
}

// writeFile leaves a file in the page cache, and nothing mapped.
func writeFile(path string, bytes int) {
	f, err := os.Create(path)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	text := make([]byte, 64<<10)
	for done := 0; done < bytes; done += len(text) {
		if _, err := f.Write(text); err != nil {
			panic(err)
		}
	}
}

func memStats() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	steps.Say("memstats", m)
	steps.Say("goroutines", runtime.NumGoroutine())
}

func obey(line string) {
	var path string
	var a, b int
	command, rest, _ := strings.Cut(line, " ")
	if strings.HasSuffix(command, "file") {
		fmt.Sscan(rest, &path, &a)
	} else {
		fmt.Sscan(rest, &a, &b)
	}
	switch command {
	case "goroutines":
		goroutines(a, b)
	case "thread":
		check(C.ad_thread(C.size_t(a)))
	case "main":
		C.ad_deep(C.size_t(a))
	case "reserve":
		check(C.ad_map(C.size_t(a)))
	case "hold":
		hold(a, true)
	case "untouched":
		hold(a, false)
	case "drop":
		kept = nil
	case "gc":
		runtime.GC()
	case "release":
		debug.FreeOSMemory()
	case "mapfile":
		mapFile(path)
	case "writefile":
		writeFile(path, a)
	case "memstats":
		memStats()
	default:
		panic(line)
	}
}

func main() {
	for {
		obey(steps.Ready())
	}
}
