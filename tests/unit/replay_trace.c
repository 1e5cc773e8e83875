/*
 * TRACE SEED SCHEDULE [PARTS]: replays a recorded trace of allocations through the hooks' slow
 * halves, over an allocator that only hands out addresses, and writes the profile to stdout. For
 * cli/internal/sampling/coverage_test.go, which compares it with what the trace says.
 *
 * SCHEDULE: the interval, and what it changes to: "4096,65536@0.3" from three tenths of the trace
 * on. The trace's threads are states of the sampler that take turns on this thread.
 *
 * The block of stack 0xNNNN is allocated from functions that spell the number (stackcalls.h).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/state.h"
#include "region/recstack.h"
#include "region/region.h"
#include "go/gomodules.h"
#include "record/control.h"
#include "record/labelsets.h"
#include "record/live.h"
#include "record/sample.h"
#include "record/stacks.h"
#include "unwind/capture.h"
#include "profile/profile.h"
#include "hook/free_slow.h"
#include "hook/malloc_slow.h"
#include "hook/real.h"
#include "stackcalls.h"

enum operation { ALLOCATE, FREE, REALLOCATE };

struct event {
	uint64_t size;
	uint32_t block; /* places of blocks that were freed are used again */
	uint16_t stack;
	uint8_t thread;
	uint8_t operation;
};

#define MAX_THREADS 256
#define MAX_CHANGES 16

static const struct event *trace;
static size_t count;
static struct {
	double from;
	uint32_t interval;
} schedule[MAX_CHANGES];
static size_t changes;

static void fail(const char *what)
{
	fprintf(stderr, "replay_trace: %s\n", what);
	exit(1);
}

/* ---- an allocator of addresses ------------------------------------------ */

static uint64_t next_address;

static void *address_malloc(size_t size)
{
	(void)size;
	return (void *)next_address;
}

static void *address_realloc(void *p, size_t size)
{
	(void)p;
	return address_malloc(size);
}

static void address_free(void *p)
{
	(void)p;
}

/* A reallocated block moves every other time. */
static uint64_t address_of(uint32_t block, bool moved)
{
	return UINT64_C(0x7e0000000000) + block * UINT64_C(64) + (moved ? 32 : 0);
}

/* ---- what the hooks do (interpose.c) -------------------------------------- */

static uint64_t *addresses; /* of each block */

static void allocate(const struct event *e)
{
	next_address = addresses[e->block] = address_of(e->block, false);
	if (!sample_skip(e->size))
		slow_malloc(e->size);
}

static void reallocate(const struct event *e)
{
	uint64_t old = addresses[e->block];

	next_address = addresses[e->block] =
		address_of(e->block, old == address_of(e->block, false));
	if (live_maybe((void *)old) || !sample_skip(e->size))
		slow_realloc((void *)old, e->size);
}

static void release(const struct event *e)
{
	void *p = (void *)addresses[e->block];

	if (live_maybe(p))
		slow_free(p);
}

/* From the stack's functions. */
static void allocate_here(const void *event)
{
	const struct event *e = event;

	if (e->operation == ALLOCATE)
		allocate(e);
	else
		reallocate(e);
}

/* Few allocations are samples, and only for them does the stack matter. */
static void play(const struct event *e)
{
	if (e->operation == FREE)
		release(e);
	else if (e->operation == ALLOCATE && e->size < sample_self.bytes_left)
		allocate(e);
	else
		stackcalls_from(e->stack, allocate_here, e);
}

/* ---- threads and changes of the interval ----------------------------------- */

static struct sample_thread threads[MAX_THREADS];
static uint8_t running;

static uint64_t seed_of(uint64_t seed, uint64_t thread)
{
	uint64_t x = (seed << 8 | thread) * UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return (x ^ x >> 32) | 1;
}

static void turn_to(uint8_t thread)
{
	threads[running] = sample_self;
	sample_self = threads[running = thread];
}

static void set_interval(uint32_t interval)
{
	control_sampling(true, interval, 0);
	for (size_t i = 0; i < MAX_THREADS; i++) /* as sample_nudge does */
		threads[i].bytes_left = 0;
}

static void replay(uint64_t seed)
{
	size_t change = 0;

	for (size_t i = 0; i < MAX_THREADS; i++)
		threads[i] = (struct sample_thread){.rng = seed_of(seed, i), .registered = 2};
	sample_self = threads[0];
	for (size_t i = 0; i < count; i++) {
		while (change < changes && i >= schedule[change].from * (double)count)
			set_interval(schedule[change++].interval);
		if (trace[i].thread != running)
			turn_to(trace[i].thread);
		play(&trace[i]);
	}
}

/* ---- input and output ---------------------------------------------------- */

static void map_trace(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY);
	uint32_t blocks = 0;

	if (fd < 0 || fstat(fd, &st))
		fail("the trace cannot be opened");
	count = (size_t)st.st_size / sizeof(*trace);
	trace = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (trace == MAP_FAILED)
		fail("the trace cannot be mapped");
	for (size_t i = 0; i < count; i++)
		blocks = trace[i].block > blocks ? trace[i].block : blocks;
	addresses = calloc(blocks + 1, sizeof(*addresses));
	if (!addresses)
		fail("no memory");
}

static void read_schedule(char *text)
{
	for (char *save, *w = strtok_r(text, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		char *from = strchr(w, '@');
		if (changes == MAX_CHANGES)
			fail("too many changes of the interval");
		schedule[changes].interval = (uint32_t)strtoul(w, NULL, 10);
		schedule[changes++].from = from ? strtod(from + 1, NULL) : 0;
	}
}

static int write_out(struct sink *sink, const void *bytes, size_t n)
{
	(void)sink;
	return fwrite(bytes, 1, n, stdout) == n ? 0 : -1;
}

static void write_the_profile(void)
{
	struct scratch scratch = SCRATCH_INIT(64 * MIB);
	struct sink sink = {.write = write_out};
	struct profile_options options = {.symbols = true, .all_frames = true};
	struct snapshot snapshot;

	if (stacks_snapshot(&scratch, 0, &snapshot) ||
	    profile_write(&scratch, &snapshot, &options, &sink) || fflush(stdout))
		fail("the profile cannot be written");
}

int main(int argc, char **argv)
{
	if (argc != 4)
		fail("TRACE SEED SCHEDULE");
	map_trace(argv[1]);
	read_schedule(argv[3]);
	real.malloc = address_malloc;
	real.realloc = address_realloc;
	real.free = address_free;
	real_named = real;
	if (region_init(256 * MIB) || stacks_init() || recstack_init())
		fail("no memory");
	gomodules_init();
	capture_init(labelsets_keep);
	golabels_init();
	control_init(&(struct control_start){.sample_bytes = 1, .is_dormant = true});
	shim_state = SHIM_ACTIVE;
	replay(strtoull(argv[2], NULL, 10));
	if (slow_drops.live_full | slow_drops.stale | slow_drops.no_stack | slow_drops.reentered)
		fail("blocks were lost");
	write_the_profile();
	return 0;
}
