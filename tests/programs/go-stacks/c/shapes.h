/*
 * C frames of many forms, compiled once per set of compiler flags: PREFIX names
 * the set.  Each function ends in one malloc(n) below what its name says.
 */
#include <alloca.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "oracle.h"

#define GLUE2(a, b) a##b
#define GLUE(a, b)  GLUE2(a, b)
#define F(name)     GLUE(PREFIX, name)
#define NOINLINE    __attribute__((noinline, noclone))

extern volatile int shapes_sink;

NOINLINE void *F(leaf)(size_t n)
{
	oracle_note(n);
	void *p = malloc(n);
	shapes_sink++;
	return p;
}

/* Every callee-saved register is in use across the call. */
NOINLINE void *F(registers)(size_t n)
{
	size_t a = n + (size_t)shapes_sink, b = a * 3, c = b ^ 7, d = c * 5, e = d + 11, f = e * 13;
	void *p = F(leaf)(n);
	shapes_sink += (int)(a + b + c + d + e + f);
	return p;
}

NOINLINE void *F(big_frame)(size_t n)
{
	volatile char room[100000];
	room[0] = room[sizeof(room) - 1] = (char)n;
	void *p = F(leaf)(n);
	shapes_sink += room[0];
	return p;
}

NOINLINE void *F(alloca_frame)(size_t n)
{
	char *room = alloca(n % 4096 + 16);
	memset(room, 1, n % 4096 + 16);
	void *p = F(leaf)(n);
	shapes_sink += room[3];
	return p;
}

NOINLINE void *F(vla_frame)(size_t n)
{
	volatile char room[n % 1000 + 1];
	room[n % 1000] = 1;
	void *p = F(big_frame)(n);
	shapes_sink += room[n % 1000];
	return p;
}

/* An aligned local makes the compiler realign the stack: a CFA by expression. */
NOINLINE void *F(realigned_frame)(size_t n)
{
	__attribute__((aligned(256))) volatile char room[256];
	char *dynamic = alloca(n % 128 + 1);
	dynamic[0] = 1;
	room[0] = (char)n;
	void *p = F(leaf)(n);
	shapes_sink += room[0] + dynamic[0];
	return p;
}

NOINLINE void *F(variadic)(int count, ...)
{
	va_list args;
	va_start(args, count);
	size_t n = va_arg(args, size_t);
	va_end(args);
	void *p = F(leaf)(n);
	shapes_sink++;
	return p;
}

NOINLINE void *F(by_value)(struct oracle o)
{
	void *p = F(variadic)(o.count, o.size);
	shapes_sink += o.count;
	return p;
}

NOINLINE void *F(recursion)(size_t n, int depth)
{
	void *p = depth ? F(recursion)(n, depth - 1) : F(leaf)(n);
	shapes_sink++;
	return p;
}

static int F(compare)(const void *a, const void *b)
{
	const size_t *x = a, *y = b;
	if (shapes_sink >= 0 && *x != *y && *x < 100) /* once: while the slot is empty */
		*(void **)(y + 1) = F(leaf)(*y);
	return 0;
}

/* libc between two C functions of ours: bsearch, which calls back. */
NOINLINE void *F(through_bsearch)(size_t n)
{
	struct {
		size_t n;
		void *p;
	} table[1] = {{n, NULL}};
	size_t key = 1;
	bsearch(&key, table, 1, sizeof(table[0]), F(compare));
	return table[0].p;
}

static __thread size_t F(qsort_n);
static __thread void *F(qsort_p);

static int F(compare_sort)(const void *a, const void *b)
{
	if (!F(qsort_p))
		F(qsort_p) = F(leaf)(F(qsort_n));
	return *(const int *)a - *(const int *)b;
}

NOINLINE void *F(through_qsort)(size_t n)
{
	int list[3] = {3, 1, 2};
	F(qsort_n) = n;
	F(qsort_p) = NULL;
	qsort(list, 3, sizeof(list[0]), F(compare_sort));
	return list[0] == 1 ? F(qsort_p) : NULL;
}
