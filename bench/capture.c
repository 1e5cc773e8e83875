/*
 * malloc and free from the bottom of a chain of C frames.
 *
 *   capture same DEPTH N      N times from the same stack
 *   capture leaf DEPTH N      the same, but the innermost frames are others each time
 *   capture other DEPTH N     two chains by turns: each frame is another than the last time's
 */
#include <stdlib.h>
#include <string.h>

static inline void *opaque(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

/* The compiler must not join what differs in its name only, nor drop the frame. */
#define FRAME(number) __asm__ volatile("# %0" : : "i"(number) : "memory", "rbx", "r12")

static void (*bottom)(void);

__attribute__((noinline)) static void allocate(void)
{
	free(opaque(malloc(32)));
	FRAME(1);
}

__attribute__((noinline)) static void allocate_elsewhere(void)
{
	free(opaque(malloc(32)));
	FRAME(2);
}

__attribute__((noinline)) static void one(int depth)
{
	depth > 0 ? one(depth - 1) : bottom();
	FRAME(3);
}

__attribute__((noinline)) static void other(int depth)
{
	depth > 0 ? other(depth - 1) : bottom();
	FRAME(4);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	int depth = atoi(argv[2]), n = atoi(argv[3]);
	for (int i = 0; i < n; i++) {
		int odd = i & 1;
		bottom = odd && !strcmp(argv[1], "leaf") ? allocate_elsewhere : allocate;
		(odd && !strcmp(argv[1], "other") ? other : one)(depth);
	}
	return 0;
}
