/*
 * The slow halves of the hooks over an allocator that fails, re-enters and inspects on command:
 * `real` points at doubles.
 */
#include "child.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/state.h"
#include "region/cells.h"
#include "region/recstack.h"
#include "region/region.h"
#include "record/live.h"
#include "record/sample.h"
#include "record/stacks.h"
#include "hook/free_slow.h"
#include "hook/malloc_slow.h"
#include "hook/real.h"

/* ---- an allocator that does as it is told --------------------------------- */

static int fail_with;          /* errno of the next calls; 0 = succeed */
static void *given;            /* the next malloc returns this */
static size_t nested;          /* allocate this much through the hook, from inside the real call */
static void *frees_nested;     /* free this through the hook, from inside the real call */
static void *freed;            /* by the last free ... */
static bool freed_was_tracked; /* ... whose record still existed */

static void *finish(void *p)
{
	if (nested) {
		size_t n = nested;
		nested = 0;
		free(slow_malloc(n));
	}
	if (frees_nested) {
		void *q = frees_nested;
		frees_nested = NULL;
		slow_free(q);
	}
	if (fail_with) {
		free(p);
		errno = fail_with;
		return NULL;
	}
	errno = 4711; /* malloc may change errno on success */
	return p;
}

static void *fake_malloc(size_t n)
{
	void *p = given ? given : malloc(n);

	given = NULL;
	return finish(p);
}

static void *fake_calloc(size_t n, size_t m)
{
	return finish(calloc(n, m));
}

static void *fake_realloc(void *p, size_t n)
{
	if (fail_with && n) {
		errno = fail_with;
		return NULL;
	}
	if (!n) {
		free(p);
		return NULL;
	}
	return finish(realloc(p, n));
}

static int fake_posix_memalign(void **out, size_t alignment, size_t n)
{
	return fail_with ? fail_with : posix_memalign(out, alignment, n);
}

static void *fake_memalign(size_t alignment, size_t n)
{
	return finish(aligned_alloc(alignment, n));
}

static void *fake_valloc(size_t n)
{
	return finish(aligned_alloc(4096, ALIGN_UP(n, 4096)));
}

static void fake_free(void *p)
{
	struct live_block out;
	freed = p;
	freed_was_tracked = region && live_take(p, &out);
	free(p);
}

static void begin(void)
{
	real.malloc = fake_malloc;
	real.calloc = fake_calloc;
	real.realloc = fake_realloc;
	real.posix_memalign = fake_posix_memalign;
	real.aligned_alloc = real.memalign = fake_memalign;
	real.valloc = real.pvalloc = fake_valloc;
	real.free = fake_free;
	real_named = real;
	CHECK(region_init(8 * MIB) == 0 && stacks_init() == 0 && recstack_init() == 0);
	CHECK(sample_init() == 0);
	sample_set_interval(1);
	shim_state = SHIM_ACTIVE;
}

/* ---- what there is on record ---------------------------------------------- */

static uint64_t leaf_of(const struct live_block *b)
{
	return stack_at(site_at(b->site)->stack)->frames[0] - 1;
}

static struct live_block looked_for;
static void look(const struct live_block *b, void *p)
{
	if (b->address == (uint64_t)p)
		looked_for = *b;
}

static const struct live_block *record_of(void *p)
{
	looked_for.address = 0;
	live_each(look, p);
	return looked_for.address ? &looked_for : NULL;
}

struct totals {
	int64_t allocs, alloc_bytes, live, live_bytes;
};

static struct totals totals(void)
{
	struct scratch scratch = SCRATCH_INIT(MIB);
	struct snapshot s;
	struct totals t = {0};

	CHECK(stacks_snapshot(&scratch, 0, &s) == 0);
	for (size_t i = 0; i < s.count; i++) {
		t.allocs += s.tallies[i].alloc_objects;
		t.alloc_bytes += s.tallies[i].alloc_bytes;
		t.live += s.tallies[i].inuse_objects;
		t.live_bytes += s.tallies[i].inuse_bytes;
	}
	scratch_release(&scratch);
	return t;
}

static bool totals_are(int64_t allocs, int64_t alloc_bytes, int64_t live, int64_t live_bytes)
{
	struct totals t = totals();
	return t.allocs == allocs && t.alloc_bytes == alloc_bytes && t.live == live &&
	       t.live_bytes == live_bytes && live_count() == (uint64_t)live;
}

static bool recorded(void *p, size_t size, uint64_t leaf)
{
	const struct live_block *b = record_of(p);
	return b && b->size == size && b->interval == 1 && leaf_of(b) == leaf &&
	       site_at(b->site)->size == size && live_maybe(p);
}

/* ---- allocation and free --------------------------------------------------- */

static void every_function_records(void)
{
	void *p[8];

	begin();
	p[0] = slow_malloc(100);
	p[1] = slow_calloc(10, 11);
	p[2] = slow_realloc(NULL, 120);
	CHECK(slow_posix_memalign(&p[3], 64, 130) == 0);
	p[4] = slow_aligned_alloc(64, 192);
	p[5] = slow_memalign(64, 256);
	p[6] = slow_valloc(160);
	p[7] = slow_pvalloc(170);
	CHECK(recorded(p[0], 100, (uint64_t)real.malloc));
	CHECK(recorded(p[1], 110, (uint64_t)real.calloc));
	CHECK(recorded(p[2], 120, (uint64_t)real.realloc));
	CHECK(recorded(p[3], 130, (uint64_t)real.posix_memalign));
	CHECK(recorded(p[4], 192, (uint64_t)real.aligned_alloc));
	CHECK(recorded(p[5], 256, (uint64_t)real.memalign));
	CHECK(recorded(p[6], 160, (uint64_t)real.valloc));
	CHECK(recorded(p[7], 170, (uint64_t)real.pvalloc));
	CHECK(slow_samples_taken() == 8 && totals_are(8, 1238, 8, 1238));
	for (int i = 0; i < 8; i++)
		slow_free(p[i]);
	CHECK(totals_are(8, 1238, 0, 0));
}
CASE(every_function_records)

static void a_failed_call_records_nothing(void)
{
	void *p = &p;
	uint32_t stacks;

	begin();
	stacks = stacks_count();
	fail_with = ENOMEM;
	errno = 0;
	CHECK(!slow_malloc(100) && errno == ENOMEM);
	CHECK(!slow_calloc(1, 100) && !slow_realloc(NULL, 100));
	CHECK(!slow_aligned_alloc(64, 64) && !slow_memalign(64, 64));
	CHECK(!slow_valloc(100) && !slow_pvalloc(100));
	errno = 5;
	CHECK(slow_posix_memalign(&p, 64, 64) == ENOMEM && p == &p && errno == 5);
	CHECK(totals_are(0, 0, 0, 0) && slow_samples_taken() == 0 && stacks_count() == stacks);
}
CASE(a_failed_call_records_nothing)

static void errno_is_as_the_real_function_left_it(void)
{
	begin();
	errno = 0;
	void *p = slow_malloc(100);
	CHECK(errno == 4711);
	errno = 12;
	slow_free(p);
	CHECK(errno == 12);
}
CASE(errno_is_as_the_real_function_left_it)

static void the_record_goes_before_the_block(void)
{
	begin();
	void *p = slow_malloc(100);
	slow_free(p);
	CHECK(freed == p && !freed_was_tracked && totals_are(1, 100, 0, 0));
	freed = p;
	slow_free(NULL);
	CHECK(freed == NULL);
}
CASE(the_record_goes_before_the_block)

static void a_missed_free_is_made_good(void)
{
	static _Alignas(16) char block[100];

	begin();
	given = block;
	void *p = slow_malloc(100);
	looked_for = *record_of(p);
	given = block; /* its free was not seen */
	void *q = slow_malloc(100);
	CHECK(q == p && slow_drops.stale == 1 && slow_missed_bytes == 100);
	CHECK(totals_are(2, 200, 1, 100));
}
CASE(a_missed_free_is_made_good)

/* ---- realloc --------------------------------------------------------------- */

static void realloc_moves_the_record(void)
{
	begin();
	void *p = slow_malloc(100), *q = slow_realloc(p, 100000);
	CHECK(recorded(q, 100000, (uint64_t)real.realloc) && (p == q || !record_of(p)));
	CHECK(totals_are(2, 100100, 1, 100000));
	q = slow_realloc(q, 50);
	CHECK(recorded(q, 50, (uint64_t)real.realloc) && totals_are(3, 100150, 1, 50));
	slow_free(q);
	CHECK(totals_are(3, 100150, 0, 0));
}
CASE(realloc_moves_the_record)

static void a_failed_realloc_keeps_the_record(void)
{
	struct live_block before;

	begin();
	void *p = slow_malloc(100);
	before = *record_of(p);
	region->start_monotonic_ns -= 50 * LIVE_TICK_NS;
	fail_with = ENOMEM;
	errno = 0;
	CHECK(!slow_realloc(p, 200) && errno == ENOMEM);
	CHECK(recorded(p, 100, (uint64_t)real.malloc) && record_of(p)->tick == before.tick);
	CHECK(record_of(p)->site == before.site && totals_are(1, 100, 1, 100));
	fail_with = 0;
	slow_free(p);
	CHECK(totals_are(1, 100, 0, 0));
}
CASE(a_failed_realloc_keeps_the_record)

static void realloc_to_nothing_frees(void)
{
	begin();
	void *p = slow_malloc(100);
	CHECK(!slow_realloc(p, 0) && totals_are(1, 100, 0, 0) && !live_maybe(p));
}
CASE(realloc_to_nothing_frees)

/* Some allocators return a new block for realloc(p, 0). */
static void *realloc_keeps(void *p, size_t n)
{
	return realloc(p, n ? n : 1);
}

static void realloc_to_nothing_may_be_a_block(void)
{
	begin();
	real.realloc = realloc_keeps;
	real_named.realloc = realloc_keeps;
	void *p = slow_malloc(100), *q = slow_realloc(p, 0);
	CHECK(q && recorded(q, 0, (uint64_t)real.realloc) && totals_are(2, 100, 1, 0));
	slow_free(q);
}
CASE(realloc_to_nothing_may_be_a_block)

/* The old block was a sample, the new one is not. */
static void realloc_of_a_sample_need_not_be_one(void)
{
	begin();
	void *p = slow_malloc(100);
	sample_set_interval(0);
	void *q = slow_realloc(p, 5000);
	CHECK(q && !record_of(q) && totals_are(1, 100, 0, 0));
	slow_free(q);
}
CASE(realloc_of_a_sample_need_not_be_one)

static void realloc_of_no_sample_may_become_one(void)
{
	begin();
	sample_set_interval(0);
	void *p = slow_malloc(100);
	CHECK(p && totals_are(0, 0, 0, 0));
	sample_set_interval(1);
	void *q = slow_realloc(p, 5000);
	CHECK(recorded(q, 5000, (uint64_t)real.realloc) && totals_are(1, 5000, 1, 5000));
	slow_free(q);
}
CASE(realloc_of_no_sample_may_become_one)

/* ---- an allocator that uses the public names itself ------------------------- */

static void calls_from_within_pass_through(void)
{
	begin();
	nested = 64;
	void *p = slow_malloc(100);
	CHECK(recorded(p, 100, (uint64_t)real.malloc));
	CHECK(totals_are(1, 100, 1, 100) && slow_drops.reentered == 1);
	CHECK(region->flags & REGION_LOST);
	frees_nested = malloc(10);
	void *q = slow_malloc(200);
	CHECK(totals_are(2, 300, 2, 300) && !sample_self.busy);
	slow_free(p);
	slow_free(q);
}
CASE(calls_from_within_pass_through)

/* ---- no room ---------------------------------------------------------------- */

static void a_block_without_room_is_dropped_whole(void)
{
	struct live_block stale, b = {.size = 1, .site = 1, .interval = 1};

	begin();
	void *p = slow_malloc(100);
	for (b.address = 16; live_put(&b, &stale) == 0; b.address += 16)
		;
	uint64_t full = live_count();
	CHECK(!(region->flags & REGION_LOST));
	void *q = slow_malloc(300);
	CHECK(region->flags & REGION_LOST);
	CHECK(q && slow_drops.live_full == 1 && live_count() == full && slow_samples_taken() == 1);
	struct totals t = totals();
	CHECK(t.allocs == 1 && t.live == 1 && t.live_bytes == 100);
	slow_free(q);
	slow_free(p);
	CHECK(totals().live == 0);
}
CASE(a_block_without_room_is_dropped_whole)

static void a_stack_without_room_loses_no_figure(void)
{
	begin();
	while (region_alloc(8))
		;
	while (cells_take(CELL_STACK, 1, CELLS_LAST))
		;
	void *p = slow_malloc(100);
	CHECK(p && stacks_coarse() == 1 && totals_are(1, 100, 1, 100) && live_maybe(p));
	slow_free(p);
	CHECK(totals_are(1, 100, 0, 0));
}
CASE(a_stack_without_room_loses_no_figure)

/* ---- states ------------------------------------------------------------------ */

static void a_passive_shim_passes_through(void)
{
	begin();
	void *p = slow_malloc(100);
	shim_state = SHIM_PASSIVE;
	sample_set_interval(0);
	void *q = slow_malloc(10);
	q = slow_realloc(q, 20);
	slow_free(q);
	CHECK(freed == q && slow_samples_taken() == 1 && slow_drops.reentered == 0);
	slow_free(p); /* the filter still contains it, but the record is not used */
	CHECK(freed == p && totals().live == 1);
}
CASE(a_passive_shim_passes_through)

static void before_the_constructor_it_passes_through(void)
{
	begin();
	shim_state = SHIM_LOADING;
	region = NULL;
	sample_set_interval(0);
	void *p = slow_realloc(slow_malloc(100), 200);
	CHECK(p);
	slow_free(p);
	CHECK(freed == p && slow_samples_taken() == 0);
}
CASE(before_the_constructor_it_passes_through)

/* ---- the least stack a thread may have ---------------------------------------- */

/* Under ASan frames are several times as large. libc may want more. */
static size_t least_stack(void)
{
	size_t least = IS_SANITIZED ? 65536 : 16384, libcs = (size_t)sysconf(_SC_THREAD_STACK_MIN);

	return least > libcs ? least : libcs;
}

static void *allocate_once(void *arg)
{
	*(void **)arg = slow_malloc(100);
	return NULL;
}

static void a_thread_with_a_small_stack_is_enough(void)
{
	pthread_attr_t small;
	pthread_t t;
	void *p = NULL;

	begin();
	CHECK(!pthread_attr_init(&small) && !pthread_attr_setstacksize(&small, least_stack()));
	CHECK(!pthread_create(&t, &small, allocate_once, &p) && !pthread_join(t, NULL));
	CHECK(p && recorded(p, 100, (uint64_t)real.malloc));
	slow_free(p);
}
CASE(a_thread_with_a_small_stack_is_enough)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_function_records),
		cmocka_unit_test(test_a_failed_call_records_nothing),
		cmocka_unit_test(test_errno_is_as_the_real_function_left_it),
		cmocka_unit_test(test_the_record_goes_before_the_block),
		cmocka_unit_test(test_realloc_moves_the_record),
		cmocka_unit_test(test_a_failed_realloc_keeps_the_record),
		cmocka_unit_test(test_realloc_to_nothing_frees),
		cmocka_unit_test(test_realloc_to_nothing_may_be_a_block),
		cmocka_unit_test(test_realloc_of_a_sample_need_not_be_one),
		cmocka_unit_test(test_realloc_of_no_sample_may_become_one),
		cmocka_unit_test(test_calls_from_within_pass_through),
		cmocka_unit_test(test_a_block_without_room_is_dropped_whole),
		cmocka_unit_test(test_a_stack_without_room_loses_no_figure),
		cmocka_unit_test(test_a_passive_shim_passes_through),
		cmocka_unit_test(test_before_the_constructor_it_passes_through),
		cmocka_unit_test(test_a_missed_free_is_made_good),
		cmocka_unit_test(test_a_thread_with_a_small_stack_is_enough),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
