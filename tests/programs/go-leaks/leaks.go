// Package leaks allocates C memory in the ways that a leak check must tell apart. Its tests are
// run by tests/e2e, which knows what each must say.
package leaks

/*
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

static void *take(size_t n) { return malloc(n); }
static void *map_pages(size_t n)
{
	return mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void *run(void *n) { return malloc((size_t)n); }
// By a thread of C's own, which has no goroutine.
static void *by_thread(size_t n)
{
	pthread_t thread;
	void *block = NULL;
	if (pthread_create(&thread, NULL, run, (void *)n) == 0)
		pthread_join(thread, &block);
	return block;
}
__attribute__((constructor)) static void early(void)
{
	static void *volatile kept;
	kept = malloc(4321);
	(void)kept;
}
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// Both are from before main.main, and held for ever.
var atStart = C.CString("a package variable")

func init() { Take(1234) }

func Take(n int) unsafe.Pointer { return C.take(C.size_t(n)) }

func Free(p unsafe.Pointer) { C.free(p) }

// MapPages maps and forgets.
func MapPages(n int) { C.map_pages(C.size_t(n)) }

func ByThread(n int) unsafe.Pointer { return C.by_thread(C.size_t(n)) }

// An Owner frees its block when it is collected, after the one that leads to it.
type Owner struct {
	block unsafe.Pointer
	next  *Owner
}

func NewOwner(n int, next *Owner) *Owner {
	o := &Owner{Take(n), next}
	runtime.SetFinalizer(o, func(o *Owner) { Free(o.block) })
	return o
}
