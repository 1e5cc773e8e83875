// Package work is work.h for workloads in Go: Begin says how much is to do, End ends what is
// measured and serves standard input until it is closed.
package work

/*
#cgo CFLAGS: -std=gnu11 -D_GNU_SOURCE -O2
#include <stdlib.h>
#include "work.h"

static long begin(char *name, char *n)
{
	char *argv[] = {name, n, NULL};
	return work_begin(n ? 2 : 1, argv);
}
*/
import "C"

import "os"

// Begin exits with a usage line where the program's one argument is not a number above 0. What it
// allocates lives as long as the process.
func Begin() int {
	var n *C.char
	if len(os.Args) == 2 {
		n = C.CString(os.Args[1])
	}
	return int(C.begin(C.CString(os.Args[0]), n))
}

// End returns when standard input has ended.
func End() { C.work_end() }

// Must ends the program where a step of a workload fails: a figure of half of the work misleads.
func Must(err error) {
	if err != nil {
		panic(err)
	}
}
