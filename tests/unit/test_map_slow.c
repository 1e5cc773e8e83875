/*
 * The slow halves of the mmap family's hooks, over a kernel that fails on command: `real` points
 * at doubles where a case needs it.
 */
#include "child.h"

#include <errno.h>
#include <linux/mman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/state.h"
#include "base/sys.h"
#include "region/recstack.h"
#include "region/region.h"
#include "unwind/capture.h"
#include "record/labelsets.h"
#include "record/mappings.h"
#include "record/sample.h"
#include "record/stacks.h"
#include "hook/malloc_slow.h"
#include "hook/map_slow.h"
#include "hook/real.h"

#define ANY      (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW       (PROT_READ | PROT_WRITE)
#define CALLER   ((uint64_t)__builtin_return_address(0))
#define PAGES(n) ((size_t)(n)*PAGE_BYTES)

static void begin(void)
{
	real_resolve();
	CHECK(region_init(8 * MIB) == 0 && recstack_init() == 0);
	capture_init(labelsets_keep);
	shim_state = SHIM_ACTIVE;
}

/* One call site, one stack. */
static __attribute__((noinline)) char *map_pages(size_t n, int prot)
{
	char *p = slow_mmap(NULL, PAGES(n), prot, ANY, -1, 0, CALLER);
	CHECK(p != MAP_FAILED);
	return p;
}

static struct mappings_range range_at(const void *p)
{
	struct mappings_range r;
	CHECK(mappings_find((uint64_t)p, &r));
	return r;
}

static bool is_known(const void *p)
{
	struct mappings_range r;
	return mappings_find((uint64_t)p, &r);
}

static const struct site *site_of(const void *p)
{
	struct mappings_range r = range_at(p);
	CHECK(r.site);
	return site_at(r.site);
}

static uint64_t leaf_of(const void *p)
{
	return stack_at(site_of(p)->stack)->frames[0] - 1;
}

/* In use, over all sites of mappings. */
static int64_t objects, bytes;
static void read_in_use(void)
{
	struct scratch scratch = SCRATCH_INIT(4 * MIB);
	struct snapshot snapshot;

	objects = bytes = 0;
	CHECK(stacks_snapshot(&scratch, 0, &snapshot) == 0);
	for (size_t i = 0; i < snapshot.count; i++) {
		CHECK(site_at(snapshot.tallies[i].site)->origin == ORIGIN_MMAP);
		objects += snapshot.tallies[i].inuse_objects;
		bytes += snapshot.tallies[i].inuse_bytes;
	}
	scratch_release(&scratch);
}

static bool in_use_is(int64_t want_objects, int64_t want_pages)
{
	read_in_use();
	return objects == want_objects && bytes == want_pages * (int64_t)PAGE_BYTES;
}

/* ---- what is recorded --------------------------------------------------- */

static void a_mapping_has_its_callers_stack(void)
{
	char *p, *q;

	begin();
	errno = 4711;
	p = slow_mmap(NULL, 10000, RW, ANY, -1, 0, CALLER);
	CHECK(errno == 4711 && p != MAP_FAILED);
	memset(p, 1, 10000);
	CHECK(site_of(p)->size == 10000 && site_of(p)->origin == ORIGIN_MMAP);
	CHECK(leaf_of(p) == (uint64_t)real.mmap);
	CHECK(stack_at(site_of(p)->stack)->end == CAPTURE_COMPLETE_THREAD);
	CHECK(range_at(p).kind == MAPPINGS_C && in_use_is(1, 3));
	q = slow_mmap(NULL, PAGES(1), RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0, CALLER);
	CHECK(q != MAP_FAILED && range_at(q).flags & MAPPINGS_SHARED && in_use_is(2, 4));
	CHECK(slow_munmap(p, 10000) == 0 && slow_munmap(q, PAGES(1)) == 0);
	CHECK(!is_known(p) && !is_known(q) && in_use_is(0, 0) && errno == 4711);
}
CASE(a_mapping_has_its_callers_stack)

static void what_fails_changes_nothing(void)
{
	char *p;

	begin();
	p = map_pages(8, RW);
	CHECK(slow_mmap(p + 1, PAGES(1), RW, ANY | MAP_FIXED, -1, 0, CALLER) == MAP_FAILED);
	CHECK(errno == EINVAL);
	CHECK(slow_mmap(NULL, 0, RW, ANY, -1, 0, CALLER) == MAP_FAILED && errno == EINVAL);
	CHECK(slow_munmap(p + 1, PAGES(2)) == -1 && errno == EINVAL);
	CHECK(slow_munmap(p, 0) == -1 && errno == EINVAL);
	CHECK(slow_munmap(p, SIZE_MAX) == -1 && errno == EINVAL);
	CHECK(slow_mprotect(p + 1, PAGES(1), PROT_NONE, CALLER) == -1 && errno == EINVAL);
	CHECK(slow_mremap(p, PAGES(8), PAGES(1) << 40, MREMAP_MAYMOVE, NULL, CALLER) == MAP_FAILED);
	CHECK(slow_mremap(p, PAGES(8), 0, MREMAP_MAYMOVE, NULL, CALLER) == MAP_FAILED);
	CHECK(errno == EINVAL);
	CHECK(mappings_counters().ranges == 1 && in_use_is(1, 8));
	CHECK(range_at(p).end - range_at(p).start == PAGES(8));
}
CASE(what_fails_changes_nothing)

static void files_are_known_and_not_counted(void)
{
	char name[] = "/tmp/cgoheap-map-XXXXXX", *p;
	int fd = mkstemp(name);

	begin();
	CHECK(fd >= 0 && unlink(name) == 0 && ftruncate(fd, PAGES(4)) == 0);
	p = slow_mmap(NULL, PAGES(4), PROT_READ, MAP_PRIVATE, fd, 0, CALLER);
	CHECK(p != MAP_FAILED && range_at(p).flags == (MAPPINGS_USABLE | MAPPINGS_FILE));
	CHECK(leaf_of(p) == (uint64_t)real.mmap && in_use_is(0, 0));
	p = slow_mremap(p, PAGES(2), PAGES(3), MREMAP_MAYMOVE, NULL, CALLER);
	CHECK(p != MAP_FAILED && leaf_of(p) == (uint64_t)real.mmap && in_use_is(0, 0));
}
CASE(files_are_known_and_not_counted)

/* The first page is half below the old end and keeps its owner. */
static void the_break(void)
{
	char *end, *p;

	begin();
	end = sbrk(0);
	CHECK(slow_sbrk(PAGES(10) + 100, CALLER) == end);
	p = (char *)ALIGN_UP((uint64_t)end, (uint64_t)PAGE_BYTES);
	CHECK(is_known(p) && leaf_of(p) == (uint64_t)real.sbrk && range_at(p).kind == MAPPINGS_C);
	CHECK(range_at(p).end == ALIGN_UP((uint64_t)end + PAGES(10) + 100, (uint64_t)PAGE_BYTES));
	CHECK(slow_sbrk(-PAGES(10) - 100, CALLER) == end + PAGES(10) + 100 && !is_known(p));
	CHECK(slow_sbrk((intptr_t)1 << 46, CALLER) == (void *)-1 && errno == ENOMEM);
	CHECK(!is_known(p) && in_use_is(0, 0));
	CHECK(slow_brk(p + PAGES(3), CALLER) == 0 && leaf_of(p) == (uint64_t)real.brk);
	CHECK(in_use_is(1, 3));
	CHECK(slow_brk(p + PAGES(1), CALLER) == 0 && in_use_is(1, 1));
	CHECK(slow_brk(end, CALLER) == 0 && in_use_is(0, 0));
}
CASE(the_break)

static void a_reservation_counts_where_it_is_committed(void)
{
	char *p;

	begin();
	p = map_pages(100, PROT_NONE);
	CHECK(in_use_is(0, 0) && leaf_of(p) == (uint64_t)real.mmap);
	CHECK(slow_mprotect(p + PAGES(10), PAGES(20), RW, CALLER) == 0);
	CHECK(in_use_is(1, 20) && leaf_of(p + PAGES(10)) == (uint64_t)real.mprotect);
	CHECK(site_of(p + PAGES(10))->size == PAGES(20));
	CHECK(slow_mmap(p + PAGES(50), PAGES(5), RW, ANY | MAP_FIXED, -1, 0, CALLER) ==
	      p + PAGES(50));
	CHECK(in_use_is(2, 25));
	CHECK(slow_mprotect(p, PAGES(100), PROT_READ, CALLER) == 0 && in_use_is(3, 100));
	CHECK(slow_mprotect(p, PAGES(100), PROT_EXEC | PROT_READ, CALLER) == 0);
	CHECK(slow_mprotect(p, PAGES(15), PROT_NONE, CALLER) == 0 && in_use_is(3, 85));
	CHECK(slow_munmap(p, PAGES(100)) == 0 && in_use_is(0, 0));
	CHECK(mappings_counters().ranges == 0);
}
CASE(a_reservation_counts_where_it_is_committed)

/* No real mapping is needed: only the reported length matters. */
static void *map_nothing(void *p, size_t n, int prot, int flags, int fd, off_t offset)
{
	(void)n, (void)prot, (void)flags, (void)fd, (void)offset;
	return p;
}

static void huge_pages_round_up(void)
{
	void *place = (void *)(UINT64_C(1) << 40);

	begin();
	real.mmap = map_nothing;
	CHECK(slow_mmap(place, 5, RW, ANY | MAP_HUGETLB, -1, 0, CALLER) == place);
	CHECK(range_at(place).end - range_at(place).start == 2 * MIB && in_use_is(1, 512));
	CHECK(slow_mmap(place, 5, RW, ANY | MAP_HUGETLB | MAP_HUGE_1GB, -1, 0, CALLER) == place);
	CHECK(range_at(place).end - range_at(place).start == 1024 * MIB);
}
CASE(huge_pages_round_up)

/* ---- mremap --------------------------------------------------------------- */

static void growing_is_a_free_and_an_allocation(void)
{
	char *p, *q;
	const struct site *old;

	begin();
	p = map_pages(4, RW);
	old = site_of(p);
	q = slow_mremap(p, PAGES(4), PAGES(40), MREMAP_MAYMOVE, NULL, CALLER);
	CHECK(q != MAP_FAILED && in_use_is(1, 40));
	CHECK(leaf_of(q) == (uint64_t)real.mremap && site_of(q)->size == PAGES(40));
	CHECK(old->free_bytes_fx == old->alloc_bytes_fx && old->free_objects_fx);
	/* Shrinking and moving keep the site. */
	old = site_of(q);
	CHECK(slow_mremap(q, PAGES(40), PAGES(10), 0, NULL, CALLER) == q);
	CHECK(in_use_is(1, 10) && site_of(q) == old && !is_known(q + PAGES(10)));
	p = map_pages(12, RW);
	CHECK(slow_mremap(q, PAGES(10), PAGES(10), MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGES(1),
			  CALLER) == p + PAGES(1));
	CHECK(in_use_is(2, 12) && site_of(p + PAGES(1)) == old && !is_known(q));
	CHECK(site_of(p) == site_of(p + PAGES(11)) && site_of(p) != old);
	CHECK(slow_munmap(p, PAGES(12)) == 0 && in_use_is(0, 0));
}
CASE(growing_is_a_free_and_an_allocation)

/* On the rest of a 16 KiB stack, while all recording stacks are taken. */
static struct {
	char stack[64 * KIB];
	ucontext_t back, there;
	char *p, *q;
} small;

static void call_on_small(void)
{
	small.q = slow_mremap(small.p, PAGES(4), PAGES(40), MREMAP_MAYMOVE, NULL, CALLER);
	small.p = slow_mremap(small.q, PAGES(40), PAGES(40), MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
			      NULL, CALLER);
	CHECK(slow_munmap(small.q, PAGES(40)) == 0);
}

static size_t bytes_used(void)
{
	size_t untouched = 0;

	memset(small.stack, 0x5a, sizeof(small.stack));
	CHECK(getcontext(&small.there) == 0);
	small.there.uc_stack.ss_sp = small.stack;
	small.there.uc_stack.ss_size = sizeof(small.stack);
	small.there.uc_link = &small.back;
	makecontext(&small.there, call_on_small, 0);
	CHECK(swapcontext(&small.back, &small.there) == 0);
	while (untouched < sizeof(small.stack) && small.stack[untouched] == 0x5a)
		untouched++;
	return sizeof(small.stack) - untouched;
}

static void use_them_up(void *unused, const struct regs *host)
{
	(void)host;
	if (!recstack_run(use_them_up, unused))
		*(size_t *)unused = bytes_used();
}

static void without_a_recording_stack_nothing_is_walked(void)
{
	const struct site *made;
	size_t used = 0;

	begin();
	small.p = map_pages(4, RW);
	made = site_of(small.p);
	CHECK(recstack_run(use_them_up, &used));
	CHECK(small.p != MAP_FAILED && in_use_is(1, 40) && site_of(small.p) == made);
	if (used == 0 || used > 2 * KIB)
		fprintf(stderr, "%zu bytes of the caller's stack\n", used);
	CHECK(used > 0 && used <= 2 * KIB);
}
CASE_WITHOUT_ASAN(without_a_recording_stack_nothing_is_walked)

static void what_stays_is_there_twice(void)
{
	char *p, *q, *r;

	begin();
	p = map_pages(4, RW);
	q = slow_mremap(p, PAGES(4), PAGES(4), MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL, CALLER);
	if (q != MAP_FAILED) { /* Linux 5.7 */
		CHECK(in_use_is(2, 8) && leaf_of(q) == (uint64_t)real.mremap);
		CHECK(leaf_of(p) == (uint64_t)real.mmap);
	}
	r = slow_mmap(NULL, PAGES(2), RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0, CALLER);
	read_in_use();
	int64_t before = bytes;
	q = slow_mremap(r, 0, PAGES(2), MREMAP_MAYMOVE, NULL, CALLER);
	CHECK(q != MAP_FAILED && is_known(r) && range_at(q).flags & MAPPINGS_SHARED);
	read_in_use();
	CHECK(bytes == before + (int64_t)PAGES(2));
}
CASE(what_stays_is_there_twice)

static void unseen_mappings_stay_unknown(void)
{
	char *p, *q, *place;

	begin();
	p = sys_map_anonymous(PAGES(4));
	place = map_pages(8, RW);
	q = slow_mremap(p, PAGES(4), PAGES(4), MREMAP_MAYMOVE | MREMAP_FIXED, place + PAGES(2),
			CALLER);
	CHECK(q == place + PAGES(2) && !is_known(q) && is_known(place) && in_use_is(1, 4));
	q = slow_mremap(q, PAGES(4), PAGES(64), MREMAP_MAYMOVE, NULL, CALLER);
	CHECK(q != MAP_FAILED && !is_known(q) && in_use_is(1, 4));
}
CASE(unseen_mappings_stay_unknown)

/* ---- a kernel that refuses late ------------------------------------------- */

static int refuse_munmap(void *p, size_t n)
{
	CHECK(!is_known((char *)p + n - 1)); /* removed before the call ... */
	errno = ENOMEM;
	return -1;
}

static void a_failed_munmap_is_put_back(void)
{
	char *p;
	const struct site *site;

	begin();
	p = map_pages(10, RW);
	site = site_of(p);
	real.munmap = refuse_munmap;
	CHECK(slow_munmap(p + PAGES(3), PAGES(4)) == -1 && errno == ENOMEM);
	CHECK(range_at(p).start == (uint64_t)p && range_at(p).end == (uint64_t)p + PAGES(10));
	CHECK(site->free_bytes_fx == 0 && in_use_is(1, 10)); /* ... and nothing was freed */
}
CASE(a_failed_munmap_is_put_back)

/* ---- callers and counts ----------------------------------------------------- */

/* An allocator behind us maps while it is inside a sampled malloc. */
static void nested_calls_are_known_by_their_caller(void)
{
	uint8_t before;
	char *p;

	begin();
	before = sample_enter();
	p = map_pages(5, RW);
	sample_leave(before);
	CHECK(in_use_is(1, 5) && mappings_counters().uncaptured == 1);
	CHECK(stack_at(site_of(p)->stack)->frame_count == 2);
	CHECK(stack_at(site_of(p)->stack)->end == CAPTURE_SKIPPED &&
	      leaf_of(p) == (uint64_t)real.mmap);
	CHECK(slow_munmap(p, PAGES(5)) == 0 && in_use_is(0, 0));
}
CASE(nested_calls_are_known_by_their_caller)

/* More than the burst: all bytes are counted, some without their stack. */
static void many_at_once_are_counted_all_the_same(void)
{
	enum { MANY = 6000 };
	static char *mapped[MANY];
	char *area;
	uint64_t captured = 0;

	begin();
	area = sys_map_anonymous(PAGES(2 * MANY));
	for (size_t i = 0; i < MANY; i++) {
		mapped[i] = area + PAGES(2 * i);
		CHECK(slow_mmap(mapped[i], PAGES(1), PROT_READ, ANY | MAP_FIXED, -1, 0, CALLER) ==
		      mapped[i]);
	}
	for (size_t i = 0; i < MANY; i++)
		captured += stack_at(site_of(mapped[i])->stack)->end != CAPTURE_SKIPPED;
	CHECK(captured >= 4096 && captured + mappings_counters().uncaptured == MANY);
	CHECK(in_use_is(MANY, MANY));
	CHECK(slow_munmap(area, PAGES(2 * MANY)) == 0 && in_use_is(0, 0));
}
CASE(many_at_once_are_counted_all_the_same)

static void go_keeps_its_ranges(void)
{
	struct mappings_range heap = {.kind = MAPPINGS_GO_HEAP};
	char *p;

	begin();
	p = sys_map_anonymous(PAGES(64));
	heap.start = (uint64_t)p;
	heap.end = heap.start + PAGES(64);
	mappings_map(&heap);
	CHECK(slow_mmap(p + PAGES(8), PAGES(8), RW, ANY | MAP_FIXED, -1, 0, CALLER) ==
	      p + PAGES(8));
	CHECK(range_at(p + PAGES(8)).kind == MAPPINGS_GO_HEAP && in_use_is(0, 0));
	CHECK(range_at(p + PAGES(8)).flags == MAPPINGS_USABLE && range_at(p).flags == 0);
	/* Another file in its place is a file. */
	int fd = (int)sys_open_read("/proc/self/exe");
	CHECK(fd >= 0);
	CHECK(slow_mmap(p, PAGES(1), PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0, CALLER) == p);
	CHECK(range_at(p).kind == MAPPINGS_C && range_at(p).flags & MAPPINGS_FILE);
}
CASE(go_keeps_its_ranges)

#define T(name) cmocka_unit_test(test_##name)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_mapping_has_its_callers_stack),
		T(what_fails_changes_nothing),
		T(files_are_known_and_not_counted),
		T(the_break),
		T(a_reservation_counts_where_it_is_committed),
		T(huge_pages_round_up),
		T(growing_is_a_free_and_an_allocation),
		T(without_a_recording_stack_nothing_is_walked),
		T(what_stays_is_there_twice),
		T(unseen_mappings_stay_unknown),
		T(a_failed_munmap_is_put_back),
		T(nested_calls_are_known_by_their_caller),
		T(many_at_once_are_counted_all_the_same),
		T(go_keeps_its_ranges),
	};
	return cmocka_run_group_tests_name("track_map", tests, NULL, NULL);
}
