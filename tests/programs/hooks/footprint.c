/*
 * 10,000 live samples on 1,000 distinct stacks.  Prints the program's own RSS in
 * KiB for run.sh to compare with and without the shim.
 */
#include "hooks.h"

#define STACKS 1000
#define BLOCKS 10000

static void *blocks[BLOCKS];

static __attribute__((noinline)) void *step_a(unsigned path, int bits);
static __attribute__((noinline)) void *step_b(unsigned path, int bits);

static void *next_step(unsigned path, int bits)
{
	if (bits == 0)
		return malloc(600);
	return path & 1 ? step_a(path >> 1, bits - 1) : step_b(path >> 1, bits - 1);
}

void *step_a(unsigned path, int bits)
{
	void *p = next_step(path, bits);
	__asm__ volatile("" ::: "memory"); /* no tail call */
	return p;
}

void *step_b(unsigned path, int bits)
{
	void *p = next_step(path, bits);
	__asm__ volatile("nop" ::: "memory");
	return p;
}

int main(void)
{
	char line[256];
	FILE *f;

	for (unsigned i = 0; i < BLOCKS; i++)
		memset(blocks[i] = step_a(i % STACKS, 10), 1, 600);
	if (getenv("LD_PRELOAD")) {
		CHECK(hooks_status("live") >= BLOCKS);
		CHECK(hooks_status("distinct") >= STACKS);
	}
	f = fopen("/proc/self/status", "r");
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "VmRSS:", 6))
			printf("%d\n", atoi(line + 6));
	fclose(f);
	return 0;
}
