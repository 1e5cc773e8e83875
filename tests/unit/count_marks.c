/*
 * STACKS BLOCKS: so many stacks, each with so many live blocks of two sizes. Prints what a mark of
 * cohorts.h takes and what reading them does, in microseconds of processor time, the least of some.
 * For bench/marks.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/work.h"
#include "record/cohorts.h"
#include "record/control.h"
#include "record/live.h"
#include "record/sample.h"
#include "record/stacks.h"

#define TIMES 20

static uint64_t now_ns = 1;

uint64_t __wrap_clock_ns(clockid_t clock);
uint64_t __wrap_clock_ns(clockid_t clock)
{
	(void)clock;
	return now_ns;
}

static void record(uint64_t stack, uint64_t block)
{
	static uint64_t address = 0x100000;
	struct live_block stale, b = {.address = address += 64,
				      .size = 24 + 8 * (block % 2),
				      .interval = 1,
				      .tick = (uint32_t)(now_ns / LIVE_TICK_NS)};
	struct capture c = {.count = 20, .end = CAPTURE_COMPLETE_THREAD};

	for (uint32_t i = 0; i < c.count; i++)
		c.frames[i] = 0x10000 + 16 * (i + 100 * stack);
	b.site = stacks_site(&c, b.size, ORIGIN_MALLOC);
	site_add_alloc(site_at(b.site), weight_whole(b.size));
	if (live_put(&b, &stale) || stack_is_lasting(stack_at(site_at(b.site)->stack)))
		exit(1);
}

/* with_new: a stack is new at the next mark, so that all stacks are looked at. */
static uint64_t mark_ns(bool with_new)
{
	static uint64_t stacks = 1u << 30;
	uint64_t least = UINT64_MAX;

	for (uint32_t i = 0; i < TIMES; i++) {
		if (with_new)
			record(stacks++, 0);
		now_ns += cohorts_tick();
		uint64_t before = work_cpu_ns();
		cohorts_tick();
		uint64_t took = work_cpu_ns() - before;
		least = took < least ? took : least;
	}
	return least;
}

static uint64_t read_ns(void)
{
	static struct cohorts cohorts;
	uint64_t least = UINT64_MAX;

	for (uint32_t i = 0; i < TIMES; i++) {
		struct scratch scratch = SCRATCH_INIT(region_scratch_max_bytes());
		uint64_t before = work_cpu_ns();
		if (cohorts_read(&scratch, &cohorts))
			exit(1);
		uint64_t took = work_cpu_ns() - before;
		least = took < least ? took : least;
		scratch_release(&scratch);
	}
	return least;
}

int main(int argc, char **argv)
{
	uint64_t stacks = argc > 2 ? strtoull(argv[1], NULL, 10) : 1000;
	uint64_t blocks = argc > 2 ? strtoull(argv[2], NULL, 10) : 4;

	if (region_init(stacks * 2 * KIB + 64 * MIB) || stacks_init())
		return 1;
	control_init(&(struct control_start){.sample_bytes = 1});
	for (uint64_t block = 0; block < blocks; block++)
		for (uint64_t stack = 0; stack < stacks; stack++)
			record(stack, block);
	for (uint32_t i = 0; i < 100; i++)
		now_ns += cohorts_tick();
	uint64_t usual = mark_ns(false), with_new = mark_ns(true), read = read_ns();
	printf("%lu %.0f %.0f %.0f\n", (unsigned long)cohorts_counters().rows, (double)usual / 1e3,
	       (double)with_new / 1e3, (double)read / 1e3);
	return 0;
}
