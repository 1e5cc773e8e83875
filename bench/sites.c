/*
 * sites BITS ROUNDS [wait]: ROUNDS times a malloc and a free from each of 2^BITS stacks, 14 frames
 * deep. With "wait" it says "ready" then, and waits for its end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEPTH 14

static inline void *opaque(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

/* The compiler must not join what differs in its name only, nor drop the frame. */
#define FRAME(number) __asm__ volatile("# %0" : : "i"(number) : "memory", "rbx", "r12")

static void branch(unsigned path, int depth);

__attribute__((noinline)) static void left(unsigned path, int depth)
{
	branch(path, depth);
	FRAME(1);
}

__attribute__((noinline)) static void right(unsigned path, int depth)
{
	branch(path, depth);
	FRAME(2);
}

/* The bits of path choose the functions on the stack. */
__attribute__((noinline)) static void branch(unsigned path, int depth)
{
	if (depth == 0)
		free(opaque(malloc(64)));
	else
		(path & 1 ? left : right)(path >> 1, depth - 1);
	FRAME(3);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	unsigned stacks = 1u << atoi(argv[1]);
	for (int i = 0; i < atoi(argv[2]); i++)
		for (unsigned path = 0; path < stacks; path++)
			branch(path, DEPTH);
	if (argc > 3) {
		puts("ready");
		fflush(stdout);
		pause();
	}
	return 0;
}
