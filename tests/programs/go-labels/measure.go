package main

/*
#include <stdlib.h>
#include <time.h>
static void *volatile lb_kept;
// The thread's own time for n pairs, in ns.
static long lb_pairs(long n)
{
	struct timespec a, b;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	for (long i = 0; i < n; i++) {
		lb_kept = malloc(32);
		free(lb_kept);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	return (b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec;
}
*/
import "C"

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
)

// measure ("measure ROUNDS LABELS") prints how long a malloc and free pair takes
// under that many labels: the best of many short rounds, because no machine is quiet.
func measure(ctx context.Context, args []string) {
	const pairs = 1000
	rounds, _ := strconv.Atoi(args[1])
	labels, _ := strconv.Atoi(args[2])
	pprof.Do(ctx, pprof.Labels(numbered(0, labels)...), func(context.Context) {
		best := C.lb_pairs(pairs)
		for ; rounds > 0; rounds-- {
			best = min(best, C.lb_pairs(pairs))
		}
		fmt.Printf("%.1f ns\n", float64(best)/pairs)
	})
	os.Exit(0)
}
