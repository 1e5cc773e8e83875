#include "stale.h"

#include <stdlib.h>

#include "_cgo_export.h"

static void *volatile kept;

__attribute__((noinline)) static void keep(uintptr_t bytes)
{
	kept = malloc(bytes);
	__asm__ volatile("" ::: "memory");
}

void call_back(int depth, uintptr_t bytes)
{
	volatile int after = depth;
	if (depth > 0)
		inGo(depth - 1, bytes);
	else
		keep(bytes);
	after++;
}

void keep_below(int depth, uintptr_t bytes)
{
	volatile char unwritten[1024];
	unwritten[0] = (char)depth;
	if (depth > 0)
		keep_below(depth - 1, bytes);
	else
		keep(bytes);
	unwritten[1] = 0;
}
