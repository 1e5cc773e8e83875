#include "walks.h"

#include <stdlib.h>

#include "_cgo_export.h"

#define NOINLINE __attribute__((noinline, noclone))

static volatile size_t sink;

NOINLINE void *walks_leaf(size_t n)
{
	oracle_note(n);
	void *p = malloc(n);
	sink++;
	return p;
}

/* All registers that survive calls, with values that change from one walk to the next. */
NOINLINE void *walks_registers(size_t n, size_t data)
{
	size_t a = data, b = a * 3, c = b ^ 7, d = c * 5, e = d + 11, f = e * 13;
	void *p = walks_leaf(n);
	sink += a + b * c + d * e + f;
	return p;
}

/* What grows here and shrinks in the Go function's other call leaves the leaf where it was. */
NOINLINE void *walks_room(size_t n, size_t bytes)
{
	volatile char *room = __builtin_alloca(bytes + 16);
	room[0] = 1;
	void *p = walks_leaf(n);
	sink += (size_t)room[0];
	return p;
}

NOINLINE void walks_back(size_t n, size_t site, size_t bytes, uintptr_t walk)
{
	volatile char *room = __builtin_alloca(bytes + 16);
	room[0] = 1;
	oracle_note(n);
	/* Call sites that the compiler must not merge. */
	switch (site % 3) {
	case 0:
		goBack(walk);
		sink += 1;
		break;
	case 1:
		goBack(walk);
		sink *= 3;
		break;
	default:
		goBack(walk);
		sink ^= 5;
	}
	sink += (size_t)room[0];
}
