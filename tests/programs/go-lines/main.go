// Command lines leaks where its test looks for the lines: in a C file, through
// a call that is inlined there, and in C that stands in this file.
package main

/*
#include <stdlib.h>
#include "lines.h"

static void *ln_preamble(size_t n)
{
	void *volatile p = malloc(n); // line: ln_preamble
	return p;
}
*/
import "C"

import "cgoheap.test/steps"

//go:noinline
func leakInFile() { C.ln_record(1000) } // line: main.leakInFile

//go:noinline
func leakInPreamble() { C.ln_preamble(300) } // line: main.leakInPreamble

func main() {
	for i := 0; i < 100; i++ {
		leakInFile()
		leakInPreamble()
	}
	for steps.Ready() != "" {
	}
}
