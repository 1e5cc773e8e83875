/*
 * SCRAPES [PATH-TO-SAVE]: records 100,000 blocks from 10,000 stacks and makes that many profiles of
 * them. Each prints a line: names looked up, the most memory that scratch has had (bytes), and the
 * bytes of the answer. For tests/programs/scrape.sh, which counts instructions too.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/work.h"
#include "record/control.h"
#include "record/live.h"
#include "record/stacks.h"
#include "hook/real.h"
#include "profile/symbolize.h"
#include "serve/handlers_profile.h"

#define STACKS 10000
#define BLOCKS 100000
#define CALLS  4096 /* distinct return addresses */

extern const char __executable_start[], etext[];
static uint64_t calls[CALLS];

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 31) * UINT64_C(0x9E3779B97F4A7C15);
	return x ^ x >> 29;
}

/* As in bench/scrape.c: 512 functions with 8 calls each, 8 to 56 frames, shared near the root. */
static struct capture stack_of(uint64_t i)
{
	struct capture c = {.count = 8 + (uint32_t)(mix(i) >> 32) % 49,
			    .end = CAPTURE_COMPLETE_THREAD};
	uint64_t function = 0;
	for (uint32_t level = 0; level < c.count; level++) {
		uint32_t shared = level < 7 ? 14 - 2 * level : 0;
		uint64_t call = function * 8 + (mix((i >> shared) * 64 + level + 1) >> 61);
		c.frames[c.count - 1 - level] = calls[call];
		function = mix(call) >> 32 & 511;
	}
	return c;
}

/* A quarter of the stacks has three sizes. */
static int record(uint64_t i, uint64_t block)
{
	struct live_block b = {.address = 0x100000 + 64 * (i * STACKS + block), .interval = 1};
	struct live_block stale;
	struct capture c = stack_of(i);
	b.size = (24 + 8 * (i % 32)) << block % (i % 4 ? 1 : 3);
	b.site = stacks_site(&c, b.size, ORIGIN_MALLOC);
	site_add_alloc(site_at(b.site), sample_weight(b.size, 1));
	return live_put(&b, &stale);
}

static void scrape(const char *path)
{
	struct http_request request = {.path = "/debug/pprof/cgoheap"};
	uint64_t before = symbolize_lookups(), bytes;
	FILE *file = path ? fopen(path, "w") : NULL;
	static struct answer a;
	size_t n;
	answer_init(&a);
	work_begin(WORK_NS);
	answer_profile(&a, &request);
	work_end();
	bytes = a.body.bytes;
	for (const char *p; file && (p = body_front(&a.body, &n)); body_consume(&a.body, n))
		fwrite(p, 1, n, file);
	if (file)
		fclose(file);
	printf("%lu %zu %lu\n", symbolize_lookups() - before, region_scratch_peak_bytes(), bytes);
	answer_release(&a);
}

int main(int argc, char **argv)
{
	uint64_t text = (uint64_t)__executable_start, end = (uint64_t)etext;
	if (argc < 2 || region_init(32 * MIB))
		return 2;
	real_resolve();
	control_init(&(struct control_start){.sample_bytes = 1});
	if (stacks_init())
		return 1;
	for (uint64_t i = 0; i < CALLS; i++)
		calls[i] = end - (CALLS - i) * ((end - text) / 2 / CALLS);
	for (uint64_t i = 0; i < BLOCKS; i++)
		if (record(i % STACKS, i / STACKS))
			return 1;
	for (int i = 0; i < atoi(argv[1]); i++)
		scrape(argc > 2 ? argv[2] : NULL);
	return 0;
}
