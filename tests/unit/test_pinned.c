/*
 * Who pins free memory, in a heap made by hand: chunks as glibc lays them out, in the brk heap's
 * way. tests/programs/account/pinned does the same with glibc's own.
 */
#include "child.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/work.h"
#include "record/control.h"
#include "record/live.h"
#include "record/stacks.h"
#include "account/heapwalk.h"
#include "account/pinned.h"

#define HEAP_BYTES (8 * MIB)

static struct heap {
	uint8_t *start;
	uint64_t used; /* bytes that chunks fill */
	bool is_behind_free;
} heap;
static struct glibcchunk_heap part;
static const struct glibcchunk_heaps heaps = {&part, 1};
static const struct pinned_places places = {.heaps = &heaps};

static struct glibcchunk *chunk_of(uint64_t offset)
{
	return (struct glibcchunk *)(heap.start + offset);
}

/* Returns the chunk's offset. */
static uint64_t add(uint64_t bytes, bool is_free)
{
	uint64_t at = heap.used;
	CHECK(at + bytes + 64 < HEAP_BYTES);
	chunk_of(at)->size_flags = bytes | (heap.is_behind_free ? 0 : GLIBC_PREV_IN_USE);
	if (is_free)
		chunk_of(at + bytes)->before = bytes;
	heap.is_behind_free = is_free;
	heap.used += bytes;
	return at;
}

static void end_heap(void)
{
	chunk_of(heap.used)->size_flags =
		(HEAP_BYTES - heap.used) | (heap.is_behind_free ? 0 : GLIBC_PREV_IN_USE);
}

static void begin(void)
{
	CHECK(region_init(32 * MIB) == 0 && stacks_init() == 0);
	control_init(&(struct control_start){.sample_bytes = 4096});
	heap = (struct heap){mmap(NULL, HEAP_BYTES, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0)};
	CHECK(heap.start != MAP_FAILED);
	part = (struct glibcchunk_heap){(uint64_t)heap.start, (uint64_t)heap.start + HEAP_BYTES,
					true};
}

static uint32_t site_of(uint64_t frame, uint64_t size)
{
	struct capture c = {.count = 1, .frames = {frame}};
	return stacks_site(&c, size, ORIGIN_MALLOC);
}

static void sample(uint64_t chunk, uint64_t size, uint32_t site, uint32_t interval)
{
	struct live_block stale, block = {.address = (uint64_t)heap.start + chunk + 16,
					  .size = size,
					  .site = site,
					  .interval = interval};
	CHECK(live_put(&block, &stale) == 0);
}

static struct pinned read_now(uint64_t pinned_bytes)
{
	static struct pinned p;
	struct scratch s = SCRATCH_INIT(8 * MIB);
	CHECK(pinned_read(&s, &places, pinned_bytes, &p) == 0);
	scratch_release(&s);
	return p;
}

static const struct pinned_site *find(const struct pinned *p, uint32_t site)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->sites[i].site == site)
			return &p->sites[i];
	return NULL;
}

static bool near(double a, double b)
{
	return fabs(a - b) <= 1e-6 * fabs(b) + 1e-6;
}

/* What the rule says of a free chunk at this offset, all of whose pages are resident. */
static double stuck(uint64_t at, uint64_t bytes)
{
	uint64_t end = at + bytes, first = ALIGN_UP(at + 48, 4096), last = end & ~UINT64_C(4095);
	return (double)(first >= last ? bytes : bytes - (last - first));
}

/* ---- estimates ---------------------------------------------------------- */

enum { PAIRS = 200 };

/* Each block a sample: exact, whatever lies behind it. */
static void every_block(void)
{
	double want[2] = {0};
	begin();
	uint32_t sites[] = {site_of(1, 40), site_of(2, 100)};
	for (int i = 0; i < PAIRS; i++) {
		bool second = i % 3 == 0;
		sample(add(second ? 112 : 48, false), second ? 100 : 40, sites[second], 1);
		uint64_t bytes = 1008 + 4096 * (uint64_t)(i % 5), at = add(bytes, true);
		want[second] += stuck(at, bytes);
		sample(add(48, false), 40, sites[0], 1); /* in front of one in use */
	}
	add(64, false);
	end_heap();
	struct pinned p = read_now(MIB);
	CHECK(p.method == PINNED_BY_SAMPLES && p.count == 2 && p.walked_chunks == 0);
	for (int i = 0; i < 2; i++)
		CHECK(near(find(&p, sites[i])->bytes, want[i]) &&
		      find(&p, sites[i])->variance == 0);
	CHECK(near(p.sum.bytes, want[0] + want[1]) && near(p.sum.blocks, PAIRS));
	CHECK(near(find(&p, sites[1])->block_bytes, 100.0 * find(&p, sites[1])->blocks));
}
CASE(every_block)

/* malloc_trim keeps the first 48 bytes of a free chunk, so also the page that they begin. */
static void from_a_page_on(void)
{
	begin();
	uint32_t site = site_of(1, 40);
	add(PAGE_BYTES - 48, false);
	sample(add(48, false), 40, site, 1);
	CHECK(add(3 * PAGE_BYTES, true) == PAGE_BYTES);
	add(64, false);
	end_heap();
	CHECK(read_now(MIB).sum.bytes == PAGE_BYTES);
}
CASE(from_a_page_on)

/* Weights as the interval has them: 1/p, and (1-p)/p^2 times what is pinned squared. */
static void weights(void)
{
	double p_sampled = 1 - exp(-40 / 100.0), w = 1 / p_sampled, each = stuck(0, 1008);
	begin();
	uint32_t site = site_of(1, 40);
	for (int i = 0; i < PAIRS; i++) {
		sample(add(48, false), 40, site, 100);
		add(1008, true);
	}
	add(64, false);
	end_heap();
	struct pinned p = read_now(MIB);
	CHECK(p.method == PINNED_BY_SAMPLES);
	CHECK(fabs(p.sum.bytes - PAIRS * w * each) < 1e-3 * p.sum.bytes);
	CHECK(fabs(p.sum.variance - PAIRS * w * (w - 1) * each * each) < 1e-3 * p.sum.variance);
}
CASE(weights)

/*
 * Few samples: the walk counts what 48 bytes pin, exactly; samples that pin nothing get nothing
 * although their blocks have that size, and chunks that no samples stand for are not given away.
 */
static void by_sizes(void)
{
	double all = 0;
	begin();
	uint32_t pins = site_of(1, 40), bystander = site_of(2, 40);
	for (int i = 0; i < PAIRS; i++) {
		uint64_t chunk = add(48, false);
		if (i % 10 == 0)
			sample(chunk, 40, pins, 400);
		all += stuck(add(1008, true), 1008);
		chunk = add(48, false);
		if (i % 10 == 0)
			sample(chunk, 40, bystander, 400);
		add(144, false);
		all += stuck(add(512, true), 512);
	}
	add(64, false);
	end_heap();
	struct pinned p = read_now(MIB);
	CHECK(p.method == PINNED_BY_SIZES && !p.is_partial && p.walked_chunks == 5 * PAIRS + 1);
	CHECK(p.count == 1 && near(p.sum.bytes, PAIRS * stuck(0, 1008)));
	CHECK(near(find(&p, pins)->blocks, PAIRS) &&
	      near(find(&p, pins)->block_bytes, 40.0 * PAIRS));
	CHECK(p.sum.variance == 0 && find(&p, pins)->variance > 0);
	CHECK(all > p.sum.bytes); /* what 144 bytes pin has no sample */
	CHECK(p.kept.returnable == (uint64_t)(HEAP_BYTES - ALIGN_UP(heap.used + 16, 4096)));
}
CASE(by_sizes)

/* Most blocks of that size are from before: three standard errors above what samples stand for. */
static void older_blocks(void)
{
	begin();
	uint32_t site = site_of(1, 40);
	for (int i = 0; i < 10 * PAIRS; i++) {
		uint64_t chunk = add(48, false);
		if (i < 50)
			sample(chunk, 40, site, 80);
		add(1008, true);
	}
	add(64, false);
	end_heap();
	struct pinned p = read_now(MIB);
	double w = 1 / (1 - exp(-0.5)), most = 50 * w + 3 * sqrt(50 * w * (w - 1));
	CHECK(p.method == PINNED_BY_SIZES);
	CHECK(fabs(p.sum.bytes - most / (10 * PAIRS) * (10 * PAIRS) * 1008) < 0.01 * p.sum.bytes);
}
CASE(older_blocks)

/* ---- what pins nothing --------------------------------------------------- */

static void nothing_behind(void)
{
	begin();
	uint32_t site = site_of(1, 40);
	uint64_t mapped, at;
	sample(add(48, false), 40, site, 1); /* in use behind it */
	mapped = add(48, false);
	chunk_of(mapped)->size_flags |= GLIBC_IS_MAPPED;
	sample(mapped, 40, site, 1);
	add(4096, true);
	at = add(48, false);
	chunk_of(at)->size_flags |= GLIBC_NOT_MAIN; /* not of this arena */
	sample(at, 40, site, 1);
	add(4096, true);
	at = add(48, false);
	sample(at, 400, site, 1); /* a chunk too small for the block */
	add(4096, true);
	sample(add(48, false), 40, site, 1);
	chunk_of(add(4096, true) + 4096)->before = 4080; /* half of a change */
	sample(add(48, false), 40, site, 1);             /* the arena's end behind it */
	end_heap();
	sample((uint64_t)-4096, 40, site, 1); /* outside of all heaps */
	struct pinned p = read_now(MIB);
	CHECK(p.method == PINNED_BY_SAMPLES && p.count == 0 && p.sum.bytes == 0);
}
CASE(nothing_behind)

/* ---- hostile ------------------------------------------------------------ */

static void check_bounds(const struct pinned *p)
{
	CHECK(p->sum.bytes >= 0 && p->sum.bytes <= 2.0 * HEAP_BYTES);
	CHECK(p->count <= 1);
}

/* Each word of a small heap in turn is garbage, as if it were changing or overwritten. */
static void garbage(void)
{
	static const uint64_t values[] = {0,
					  1,
					  5,
					  16,
					  17,
					  33,
					  64,
					  65,
					  1 << 20,
					  HEAP_BYTES,
					  UINT64_MAX,
					  UINT64_MAX - 15,
					  (uint64_t)1 << 63 | 1};
	begin();
	uint32_t site = site_of(1, 40);
	for (int i = 0; i < 12; i++) {
		sample(add(48, false), 40, site, i % 2 ? 1 : 400);
		add(144, true);
	}
	add(64, false);
	end_heap();
	for (uint64_t at = 0; at < heap.used + 16; at += 8)
		for (size_t i = 0; i < COUNT_OF(values); i++) {
			uint64_t *word = (uint64_t *)(heap.start + at), was = *word;
			*word = values[i];
			struct pinned p = read_now(i % 2 ? MIB : UNKNOWN);
			check_bounds(&p);
			*word = was;
		}
	struct pinned p = read_now(MIB);
	CHECK(near(p.sum.bytes, 12 * 144));
}
CASE(garbage)

/* The walk goes on behind what makes no sense, and so far that at a sampled block. */
static void a_gap(uint64_t bytes)
{
	begin();
	uint32_t site = site_of(1, 40);
	for (int i = 0; i < PAIRS; i++) {
		if (i == PAIRS / 2) {
			add(48, false);
			heap.used += bytes; /* other code's, by sbrk */
			heap.is_behind_free = false;
		}
		sample(add(48, false), 40, site, 400);
		add(1008, true);
	}
	add(64, false);
	end_heap();
	struct pinned p = read_now(MIB);
	CHECK(p.method == PINNED_BY_SIZES && near(p.sum.bytes, PAIRS * stuck(0, 1008)));
}
static void a_small_gap(void)
{
	a_gap(8192);
}
CASE(a_small_gap)
static void a_large_gap(void)
{
	a_gap(MIB);
}
CASE(a_large_gap)

/* As glibc leaves the main arena's memory to go on above other code's. No block behind is a sample.
 */
static void a_fence(void)
{
	begin();
	uint32_t site = site_of(1, 40);
	for (int i = 0; i < PAIRS; i++) {
		if (i == PAIRS / 2) {
			add(16, false);
			add(16, false);
			heap.used += 12352;
			heap.is_behind_free = false;
		}
		uint64_t chunk = add(48, false);
		if (i < PAIRS / 2)
			sample(chunk, 40, site, 400);
		add(1008, true);
	}
	add(64, false);
	end_heap();
	struct pinned p = read_now(UNKNOWN);
	CHECK(p.method == PINNED_BY_SIZES && near(p.sum.bytes, PAIRS * stuck(0, 1008)));
	CHECK(p.kept.returnable == (uint64_t)(HEAP_BYTES - ALIGN_UP(heap.used + 16, 4096)));
}
CASE(a_fence)

/* Pages that are not there stay so, and those that are not mapped are no harm. */
static void absent_pages(void)
{
	unsigned char resident[5];
	begin();
	uint32_t site = site_of(1, 40);
	sample(add(48, false), 40, site, 1);
	uint64_t at = add(16 * KIB, true);
	sample(add(48, false), 40, site, 1);
	add(1008, true);
	uint64_t gone = add(48, false);
	sample(gone, 40, site, 1);
	add(32 * KIB, true);
	add(64, false);
	end_heap();
	uint8_t *free_page = heap.start + ALIGN_UP(at + 48, 4096);
	CHECK(madvise(free_page, 2 * PAGE_BYTES, MADV_DONTNEED) == 0);
	CHECK(munmap(heap.start + ALIGN_UP(gone + 64, 4096), 4 * PAGE_BYTES) == 0);
	struct pinned p = read_now(UNKNOWN);
	double behind =
		stuck(gone + 48, 32 * KIB) - (double)(ALIGN_UP(gone + 96, 4096) - gone - 48);
	CHECK(p.sum.bytes >= stuck(at, 16 * KIB) + 1008 + behind - 1);
	CHECK(mincore(free_page, 2 * PAGE_BYTES, resident) == 0);
	CHECK(!(resident[0] & 1) && !(resident[1] & 1));
}
CASE(absent_pages)

static void no_time(void)
{
	begin();
	uint32_t site = site_of(1, 40);
	for (int i = 0; i < 2000; i++) {
		sample(add(48, false), 40, site, 400);
		add(1008, true);
	}
	add(64, false);
	end_heap();
	work_begin(2); /* half of it is for what is optional */
	struct pinned p = read_now(UNKNOWN);
	work_end();
	CHECK(p.is_partial && p.method == PINNED_UNKNOWN && p.kept.returnable == UNKNOWN);
}
CASE(no_time)

/* ---- stacks ------------------------------------------------------------- */

static void top_stacks(void)
{
	struct pinned p = {.method = PINNED_BY_SAMPLES};
	struct pinned_site top[PINNED_TOP];
	begin();
	for (uint64_t i = 0; i < 30; i++) {
		uint32_t site = site_of(100 + i / 2, 40 + i % 2);
		p.sites[p.count++] = (struct pinned_site){.site = site,
							  .stack = site_at(site)->stack,
							  .born = site_at(site)->born,
							  .bytes = 1000.0 + (double)i};
	}
	CHECK(pinned_top(&p, top) == PINNED_TOP);
	for (size_t i = 0; i < PINNED_TOP; i++)
		CHECK(top[i].bytes == 2057.0 - 4 * (double)i && top[i].stack);
	p.sites[29].born++; /* its cell is another's now */
	pinned_check_sites(&p);
	CHECK(p.sites[29].site == 0 && p.sites[28].site != 0);
	CHECK(pinned_top(&p, top) == PINNED_TOP && top[0].bytes == 2053);
}
CASE(top_stacks)

static void classes(void **state)
{
	uint32_t last = 0;
	(void)state;
	for (uint64_t bytes = 16; bytes < UINT64_C(1) << 47; bytes += 16 + bytes / 32 / 16 * 16) {
		assert_true(holder_class(bytes) >= last && holder_class(bytes) < HOLDER_CLASSES);
		last = holder_class(bytes);
	}
	assert_int_equal(holder_class(64 * KIB - 16) + 1, holder_class(64 * KIB));
	assert_int_equal(holder_class(128 * KIB - 16), holder_class(64 * KIB));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_block),    cmocka_unit_test(test_weights),
		cmocka_unit_test(test_from_a_page_on), cmocka_unit_test(test_by_sizes),
		cmocka_unit_test(test_older_blocks),   cmocka_unit_test(test_nothing_behind),
		cmocka_unit_test(test_garbage),        cmocka_unit_test(test_a_small_gap),
		cmocka_unit_test(test_a_large_gap),    cmocka_unit_test(test_a_fence),
		cmocka_unit_test(test_absent_pages),   cmocka_unit_test(test_no_time),
		cmocka_unit_test(test_top_stacks),     cmocka_unit_test(classes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
