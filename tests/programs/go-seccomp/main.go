// Command seccomp is tests/programs/seccomp/host.c again, in Go: C allocates from
// goroutines and on threads, and where it is told to, the process enters a filter
// with all its threads.
//
//	seccomp [LIST ACTION all]
package main

/*
#cgo CFLAGS: -D_GNU_SOURCE -I${SRCDIR}/../seccomp
#include <pthread.h>
#include "sandbox.h"

static void *thread(void *unused)
{
	for (int i = 0; i < 1000; i++)
		free(malloc(1000));
	return unused;
}

static void start_thread(void)
{
	pthread_t t;
	if (pthread_create(&t, NULL, thread, NULL) == 0)
		pthread_join(t, NULL);
}

static int enter(const char *list, const char *action)
{
	static struct sandbox s;
	if (sandbox_read(&s, list, action) != 0)
		return -1;
	return sandbox_enter(&s, SECCOMP_FILTER_FLAG_TSYNC);
}
*/
import "C"

import (
	"fmt"
	"os"
	"sync"
	"unsafe"
)

var kept [100]unsafe.Pointer

func work() {
	var all sync.WaitGroup
	for i := range kept {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			C.free(kept[i])
			kept[i] = C.malloc(10000)
			C.start_thread()
		}(i)
	}
	all.Wait()
}

func main() {
	work()
	if len(os.Args) == 4 && C.enter(C.CString(os.Args[1]), C.CString(os.Args[2])) != 0 {
		os.Exit(3)
	}
	fmt.Println("ready")
	one := make([]byte, 1)
	for {
		if n, _ := os.Stdin.Read(one); n != 1 {
			break
		}
		work()
	}
	fmt.Println("done")
	os.Exit(7)
}
