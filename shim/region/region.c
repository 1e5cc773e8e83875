/*
 * One mapping, laid out once.  Tables fill from their low end, so resident memory
 * follows use.  Only bucket arrays are accessed at random; that is why they are small.
 */
#include "region/region.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/pagemap.h"
#include "base/sys.h"
#include "region/recstack.h"

static_assert(sizeof(struct region_table) == 16, "region layout");
static_assert(offsetof(struct region_header, arena) == 48, "region layout");
static_assert(offsetof(struct region_header, peaks) % 64 == 0, "a cache line");
static_assert(sizeof(struct region_header) == 320, "region layout");

/* A live node is 32 bytes (live.c); two nodes a bucket when the pool is full. */
#define LIVE_BYTES_PER_BUCKET 64

/* Room for 1023 threads that were created but have not started to run (threads.c). */
#define THREAD_STARTS_BYTES (32 * KIB)

struct region_header *region;
struct region_header region_layout;

#define ARENA_SPARE_BYTES 64

static size_t scratch_max_bytes;

static size_t clamp(size_t n, size_t low, size_t high)
{
	return n < low ? low : n > high ? high : n;
}

/* The largest power of two <= n; n > 0. */
static size_t power_of_two(size_t n)
{
	return (size_t)1 << (63 - __builtin_clzl(n));
}

static struct region_table lay_out(uint64_t *end, size_t bytes)
{
	struct region_table table = {.offset = *end, .bytes = bytes};
	*end += bytes;
	return table;
}

static void lay_out_tables(struct region_header *r, size_t max_bytes)
{
	uint64_t end = PAGE_BYTES; /* the first page is the header's */
	uint64_t tables_end = r->region_bytes - r->recording.bytes;
	size_t cohorts = ALIGN_UP(tables_end / 16, PAGE_BYTES);
	/* A word for each place of the arena, which has less than a half. */
	size_t frees = ALIGN_UP(tables_end / 2 / 16, PAGE_BYTES);
	size_t nodes = ALIGN_UP(tables_end / 2, PAGE_BYTES) - cohorts - frees;
	size_t buckets = power_of_two(nodes / LIVE_BYTES_PER_BUCKET);

	r->rows = lay_out(&end, clamp(ALIGN_UP(max_bytes / 32, PAGE_BYTES), 256 * KIB, MIB));
	r->stack_buckets = lay_out(&end, power_of_two(clamp(max_bytes / 128, 64 * KIB, 256 * KIB)));
	r->mappings =
		lay_out(&end, clamp(ALIGN_UP(max_bytes / 16, PAGE_BYTES), 256 * KIB, 8 * MIB));
	r->thread_starts = lay_out(&end, THREAD_STARTS_BYTES);
	r->live_buckets = lay_out(&end, clamp(buckets, 4 * KIB, MIB) * sizeof(uint32_t));
	r->live_nodes = lay_out(&end, nodes);
	r->cohorts = lay_out(&end, cohorts);
	r->frees = lay_out(&end, frees);
	/* A site that a wild write of the host makes a wide one ends inside of the region too. */
	r->arena = lay_out(&end, tables_end - end - ARENA_SPARE_BYTES);
	if (r->recording.bytes)
		r->recording.offset = tables_end;
}

size_t region_bytes_of(size_t max_bytes)
{
	size_t bytes = max_bytes > REGION_FILTER_BYTES ? max_bytes - REGION_FILTER_BYTES : 0;

	return bytes / 4 * 3 / PAGE_BYTES * PAGE_BYTES;
}

int region_init(size_t max_bytes)
{
	size_t bytes = region_bytes_of(max_bytes);
	void *memory = region || bytes < 2 * MIB ? NULL : sys_map_anonymous(bytes);

	if (!memory)
		return -1;
	if (!region_init_at(memory, max_bytes, 0))
		return 0;
	sys_unmap(memory, bytes);
	return -1;
}

int region_init_at(void *memory, size_t max_bytes, size_t extra_bytes)
{
	size_t bytes = region_bytes_of(max_bytes) + extra_bytes;
	struct region_header *r = memory;

	if (region || bytes < 2 * MIB + extra_bytes || bytes > UINT32_MAX)
		return -1;
	r->magic = REGION_MAGIC;
	r->version = REGION_VERSION;
	r->header_bytes = sizeof(*r);
	r->region_bytes = bytes;
	r->start_realtime_ns = clock_ns(CLOCK_REALTIME);
	r->start_monotonic_ns = clock_ns(CLOCK_MONOTONIC);
	r->pid = (uint32_t)sys_getpid();
	r->recording.bytes = extra_bytes;
	for (size_t i = 0; i < COUNT_OF(r->peaks); i++)
		r->peaks[i] = (struct region_peak){.now = 1, .other_bytes = UINT64_MAX};
	lay_out_tables(r, max_bytes);
	scratch_max_bytes = max_bytes - REGION_FILTER_BYTES - region_bytes_of(max_bytes);
	region_layout = *r;
	STORE_REL(&region, r);
	return 0;
}

size_t region_scratch_max_bytes(void)
{
	return scratch_max_bytes;
}

uint32_t region_alloc(size_t n)
{
	const struct region_table *arena = &region_layout.arena;
	uint64_t used = LOAD(&region_layout.arena_used);

	if (n > arena->bytes)
		return 0;
	n = ALIGN_UP(n, 8);
	do {
		if (n > arena->bytes - used)
			return 0;
	} while (!__atomic_compare_exchange_n(&region_layout.arena_used, &used, used + n, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	/* For readers of the region outside this process. */
	ADD(&region->arena_used, n);
	return (uint32_t)(arena->offset + used);
}

/* ---- scratch ---------------------------------------------------------- */

struct scratch_chunk {
	struct scratch_chunk *older;                /* of the same scratch */
	struct scratch_chunk *list_next, **list_at; /* of all scratch */
	size_t mapped_bytes, used_bytes;
};
static_assert(sizeof(struct scratch_chunk) <= 48, "the first block's alignment");

#define CHUNK_HEADER_BYTES ALIGN_UP(sizeof(struct scratch_chunk), 16)
#define CHUNK_BYTES        (256 * KIB)

/* All chunks, for the resident total and the bound. */
static struct {
	struct lock lock;
	struct scratch_chunk *first;
	size_t mapped_bytes, peak_bytes;
	void (*on_shortage)(void);
} chunks;

void region_on_shortage(void (*release)(void))
{
	STORE(&chunks.on_shortage, release);
}

size_t region_scratch_peak_bytes(void)
{
	return LOAD(&chunks.peak_bytes);
}

static int chunks_add(struct scratch_chunk *c)
{
	lock_take(&chunks.lock);
	bool fits =
		!scratch_max_bytes || c->mapped_bytes + chunks.mapped_bytes <= scratch_max_bytes;
	if (fits) {
		chunks.mapped_bytes += c->mapped_bytes;
		if (chunks.mapped_bytes > chunks.peak_bytes)
			STORE(&chunks.peak_bytes, chunks.mapped_bytes);
		c->list_next = chunks.first;
		c->list_at = &chunks.first;
		if (c->list_next)
			c->list_next->list_at = &c->list_next;
		chunks.first = c;
	}
	lock_release(&chunks.lock);
	return fits ? 0 : -1;
}

static int chunks_make_room(struct scratch_chunk *c)
{
	void (*on_shortage)(void) = LOAD(&chunks.on_shortage);
	if (!on_shortage)
		return -1;
	on_shortage();
	return chunks_add(c);
}

static void chunks_remove(struct scratch_chunk *c)
{
	lock_take(&chunks.lock);
	chunks.mapped_bytes -= c->mapped_bytes;
	*c->list_at = c->list_next;
	if (c->list_next)
		c->list_next->list_at = c->list_at;
	lock_release(&chunks.lock);
}

/* Several scratches are in use at a time, each with the rest of a chunk unused. */
static size_t chunk_bytes(void)
{
	size_t share = scratch_max_bytes / 32 / PAGE_BYTES * PAGE_BYTES;

	return scratch_max_bytes ? clamp(share, PAGE_BYTES, CHUNK_BYTES) : CHUNK_BYTES;
}

static struct scratch_chunk *chunk_new(struct scratch *s, size_t n)
{
	size_t left = (s->max_bytes - s->mapped_bytes) / PAGE_BYTES * PAGE_BYTES;
	size_t bytes = ALIGN_UP(n + CHUNK_HEADER_BYTES, PAGE_BYTES);

	if (bytes > left)
		return NULL;
	if (bytes < chunk_bytes())
		bytes = left < chunk_bytes() ? left : chunk_bytes();
	struct scratch_chunk *c = sys_map_anonymous(bytes);
	if (!c)
		return NULL;
	c->mapped_bytes = bytes;
	c->used_bytes = CHUNK_HEADER_BYTES;
	if (chunks_add(c) && chunks_make_room(c)) {
		sys_unmap(c, bytes);
		return NULL;
	}
	c->older = s->chunks;
	s->chunks = c;
	s->mapped_bytes += bytes;
	return c;
}

void *scratch_alloc(struct scratch *s, size_t n)
{
	struct scratch_chunk *c = s->chunks;
	void *p;

	if (n <= s->max_bytes) {
		n = ALIGN_UP(n, 16);
		if (!c || n > c->mapped_bytes - c->used_bytes)
			c = chunk_new(s, n);
		if (c) {
			p = (char *)c + c->used_bytes;
			c->used_bytes += n;
			return p;
		}
	}
	s->exhausted = true;
	return NULL;
}

char *scratch_strdup(struct scratch *s, const char *text, size_t n)
{
	char *copy = n < SIZE_MAX ? scratch_alloc(s, n + 1) : NULL;
	if (copy)
		memcpy(copy, text, n);
	return copy;
}

void scratch_release(struct scratch *s)
{
	struct scratch_chunk *c = s->chunks;

	while (c) {
		struct scratch_chunk *older = c->older;
		chunks_remove(c);
		sys_unmap(c, c->mapped_bytes);
		c = older;
	}
	s->chunks = NULL;
	s->mapped_bytes = 0;
}

/* ---- resident memory ---------------------------------------------------- */

static void add_resident(uint64_t *sum, const void *start, size_t bytes)
{
	uint64_t more = pagemap_resident_bytes((uint64_t)start, (uint64_t)start + bytes);

	*sum = more == UNKNOWN || *sum == UNKNOWN ? UNKNOWN : *sum + more;
}

uint64_t region_resident_bytes(void)
{
	struct region_range stacks;
	uint64_t sum = 0;

	if (region)
		add_resident(&sum, region, region_layout.region_bytes);
	recstack_range(&stacks.start, &stacks.end);
	add_resident(&sum, (void *)stacks.start, stacks.end - stacks.start);
	lock_take(&chunks.lock);
	for (const struct scratch_chunk *c = chunks.first; c; c = c->list_next)
		add_resident(&sum, c, c->mapped_bytes);
	lock_release(&chunks.lock);
	return sum;
}

size_t region_ranges(struct region_range *out, size_t max)
{
	struct region_range stacks;
	size_t count = 0;

	if (region && count < max)
		out[count++] = (struct region_range){(uint64_t)region,
						     (uint64_t)region + region_layout.region_bytes};
	recstack_range(&stacks.start, &stacks.end);
	if (stacks.end && count < max)
		out[count++] = stacks;
	lock_take(&chunks.lock);
	for (const struct scratch_chunk *c = chunks.first; c && count < max; c = c->list_next)
		out[count++] = (struct region_range){(uint64_t)c, (uint64_t)c + c->mapped_bytes};
	lock_release(&chunks.lock);
	return count;
}

/* ---- fork ------------------------------------------------------------- */

void region_before_fork(void)
{
	lock_take(&chunks.lock);
}

void region_after_fork(void)
{
	lock_release(&chunks.lock);
}

void region_forget_scratch(void)
{
	region->pid = (uint32_t)sys_getpid();
	while (chunks.first) {
		struct scratch_chunk *c = chunks.first;
		chunks.first = c->list_next;
		sys_unmap(c, c->mapped_bytes);
	}
	chunks.mapped_bytes = chunks.peak_bytes = 0;
}
