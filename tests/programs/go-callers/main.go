// Command callers holds memory in each way in which the innermost Go function is not the one
// to look at: behind a driver, behind an allocator in Go, in a pool, in stacks of threads that
// were not joined.
package main

/*
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *goAlloc(size_t n);
static void parse(int blocks)
{
	for (int i = 0; i < blocks; i++)
		memset(goAlloc(1 << 20), 1, 1 << 20);
}

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : memset(p, 1, bytes);
}

static char *pool;
static size_t pool_left;
static void *pool_get(size_t bytes)
{
	if (pool_left < bytes) {
		pool_left = 1 << 20;
		pool = map(pool_left);
	}
	pool_left -= bytes;
	return pool + pool_left;
}

static void give_back(size_t bytes)
{
	madvise(map(bytes), bytes, MADV_DONTNEED);
}

static void *work(void *arg)
{
	return arg;
}
static int notify(void)
{
	pthread_t thread;
	return pthread_create(&thread, NULL, work, NULL);
}

static int read_file(const char *path, size_t bytes)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)bytes))
		return -1;
	volatile char *p = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if ((void *)p == MAP_FAILED)
		return -1;
	for (size_t i = 0; i < bytes; i += 4096)
		(void)p[i];
	return 0;
}
*/
import "C"

import (
	"fmt"
	"strings"
	"unsafe"

	"cgoheap.test/callers/store"
	"cgoheap.test/driver"
	"cgoheap.test/steps"
)

//export goAlloc
func goAlloc(n C.size_t) unsafe.Pointer { return C.malloc(n) }

//go:noinline
func indexFile(mib int) { C.parse(C.int(mib)) }

//go:noinline
func handleClean(mib int) {
	for i := 0; i < mib; i++ {
		C.pool_get(1 << 20)
	}
}

//go:noinline
func giveBack(mib int) { C.give_back(C.size_t(mib << 20)) }

//go:noinline
func notify(threads int) {
	for i := 0; i < threads; i++ {
		if C.notify() != 0 {
			panic("no thread")
		}
	}
}

//go:noinline
func openIndex(path string, mib int) {
	text := C.CString(path)
	defer C.free(unsafe.Pointer(text))
	if C.read_file(text, C.size_t(mib<<20)) != 0 {
		panic(path)
	}
}

func main() {
	for {
		var n int
		var path string
		command, rest, _ := strings.Cut(steps.Ready(), " ")
		fmt.Sscan(rest, &n, &path)
		switch command {
		case "driver":
			store.Load(n << 20)
		case "library":
			done := make(chan bool)
			go driver.Run(n<<20, done)
			<-done
		case "allocator":
			indexFile(n)
		case "pool":
			handleClean(n)
		case "back":
			giveBack(n)
		case "threads":
			notify(n)
		case "file":
			openIndex(path, n)
		default:
			panic(command)
		}
	}
}
