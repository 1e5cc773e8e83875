/*
 * An account of this process: its contents, that it adds up, and its behaviour with little
 * memory.
 */
#include "child.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/arch.h"
#include "base/state.h"
#include "record/control.h"
#include "record/live.h"
#include "record/mappings.h"
#include "record/sample.h"
#include "record/stacks.h"
#include "hook/earlymaps.h"
#include "hook/real.h"
#include "account/account.h"
#include "account/worker.h"
#include "profile/profile_memory.h"
#include "profile/account_json.h"
#include "serve/metrics.h"

struct taken {
	struct scratch scratch;
	struct account account;
	struct account_parts parts;
};

static void begin(void)
{
	real_resolve();
	CHECK(region_init(32 * MIB) == 0);
	control_init(&(struct control_start){.sample_bytes = 524288, .is_dormant = true});
	CHECK(worker_start() == 0);
}

static struct taken take_now(void)
{
	struct taken t = {.scratch = SCRATCH_INIT(8 * MIB)};
	CHECK(account_take(&t.scratch, &t.account, &t.parts) == 0);
	return t;
}

static uint64_t resident(const struct taken *t, enum account_owner owner)
{
	return t->account.owners[owner].resident;
}

static char *map_touched(size_t bytes, size_t touched)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	madvise(p, bytes, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < touched; i += PAGE_BYTES)
		p[i] = 1;
	return p;
}

static uint32_t a_site(enum origin origin)
{
	struct capture c = {.count = 2, .frames = {(uint64_t)map_touched, (uint64_t)a_site}};
	return stacks_site(&c, 4096, origin);
}

static void put_in_ledger(const char *p, size_t bytes, enum mappings_kind kind, uint32_t site)
{
	struct mappings_range r = {.start = (uint64_t)p,
				   .end = (uint64_t)p + bytes,
				   .kind = (uint8_t)kind,
				   .flags = MAPPINGS_USABLE,
				   .site = site};
	mappings_map(&r);
}

/* Owners and the unexplained rest sum to the RSS; parts are in order and sum to the owners. */
static void check_adds_up(const struct taken *t)
{
	const struct account *a = &t->account;
	uint64_t sum = a->unexplained_bytes, parts = 0, before = 0;
	for (unsigned i = 0; i < OWNER_COUNT; i++)
		sum += a->owners[i].resident;
	CHECK(sum == a->rss_bytes && a->rss_bytes > 0);
	for (size_t i = 0; i < t->parts.count; i++) {
		const struct account_part *p = &t->parts.list[i];
		bool copies = i && p->owner == OWNER_FILE_COPIES && p->file &&
			      p->file == p[-1].file && p->start == p[-1].start;
		CHECK((p->start >= before || copies) && p->end > p->start &&
		      p->owner < OWNER_COUNT);
		CHECK(p->resident <= p->end - p->start);
		before = p->end;
		parts += p->resident;
	}
	CHECK(parts + a->unexplained_bytes == a->rss_bytes);
	CHECK(a->mappings > 0 && a->took_ns > 0 && a->time_ns > UINT64_C(1600000000000000000));
}

static bool near(uint64_t a, uint64_t b, uint64_t most)
{
	return a > b ? a - b <= most : b - a <= most;
}

static void adds_up(void)
{
	begin();
	struct taken t = take_now();
	check_adds_up(&t);
	CHECK(t.account.unexplained_bytes == 0);
	/* In this test the shim is part of the program. */
	CHECK(resident(&t, OWNER_SHIM) > 0 && resident(&t, OWNER_LIBRARIES) > 0);
	CHECK(resident(&t, OWNER_GO_HEAP) == 0 && t.account.owners[OWNER_GO_STACKS].known);
	CHECK(t.account.process.vm_rss != UNKNOWN);
	scratch_release(&t.scratch);
}
CASE(adds_up)

/* One mapping with five owners. */
static void one_mapping_many_owners(void)
{
	begin();
	uint32_t site = a_site(ORIGIN_MMAP);
	char *p = map_touched(100 * MIB, 0);
	struct taken before = take_now();
	put_in_ledger(p + 10 * MIB, 10 * MIB, MAPPINGS_C, site);
	put_in_ledger(p + 20 * MIB, 10 * MIB, MAPPINGS_GO_HEAP, 0);
	put_in_ledger(p + 40 * MIB, 10 * MIB, MAPPINGS_GO_METADATA, 0);
	put_in_ledger(p + 60 * MIB, 10 * MIB, MAPPINGS_THREAD_STACK, 0);
	put_in_ledger(p + 80 * MIB, 10 * MIB, MAPPINGS_ALLOCATOR, 0);
	for (size_t i = 0; i < 10; i++)
		for (size_t k = 0; k < (i + 1) * 16; k++)
			p[i * 10 * MIB + 3 * k * PAGE_BYTES] = 1;
	struct taken t = take_now();
	check_adds_up(&t);
	static const struct {
		enum account_owner owner;
		uint64_t pages;
	} want[] = {{OWNER_C_MMAP, 32},
		    {OWNER_GO_HEAP, 48},
		    {OWNER_GO_METADATA, 80},
		    {OWNER_THREAD_STACKS, 112},
		    {OWNER_UNTRACKED_MMAP, 16 + 64 + 96 + 128 + 160}};
	for (size_t i = 0; i < COUNT_OF(want); i++)
		CHECK(near(resident(&t, want[i].owner) - resident(&before, want[i].owner),
			   want[i].pages * PAGE_BYTES, 4 * PAGE_BYTES));
	/* The allocator's memory is live or retained, by its own statistics. */
	uint64_t c = resident(&t, OWNER_C_LIVE) + resident(&t, OWNER_C_RETAINED);
	uint64_t c_before = resident(&before, OWNER_C_LIVE) + resident(&before, OWNER_C_RETAINED);
	CHECK(near(c - c_before, 144 * PAGE_BYTES, 64 * PAGE_BYTES));
	CHECK(t.account.split_mappings >= 1 && t.account.thread_stacks_count == 2);
	for (size_t i = 0, found = 0; i < t.parts.count; i++) {
		found += t.parts.list[i].site == site;
		CHECK(i + 1 < t.parts.count || found == 1);
	}
	scratch_release(&before.scratch);
	scratch_release(&t.scratch);
}
CASE_WITHOUT_ASAN(one_mapping_many_owners)

/* Zero pages are present but not in RSS: parts share what smaps counts. */
static void zeros_are_not_counted(void)
{
	begin();
	char *p = map_touched(20 * MIB, 0);
	put_in_ledger(p, 10 * MIB, MAPPINGS_C, 0);
	for (size_t i = 0; i < 20 * MIB; i += PAGE_BYTES)
		CHECK(((volatile char *)p)[i] == 0);
	for (size_t i = 0; i < 2 * MIB; i += PAGE_BYTES)
		p[i] = p[15 * MIB + i] = 1;
	struct taken t = take_now();
	check_adds_up(&t);
	CHECK(resident(&t, OWNER_C_MMAP) == 2 * MIB);
	CHECK(near(resident(&t, OWNER_UNTRACKED_MMAP), 2 * MIB, 64 * KIB));
	scratch_release(&t.scratch);
}
CASE_WITHOUT_ASAN(zeros_are_not_counted)

/* Ranges that the kernel no longer has are forgotten, at an address where nothing is mapped. */
static void reconciled(void)
{
	begin();
	put_in_ledger((char *)(UINT64_C(1) << 40), 10 * MIB, MAPPINGS_C, 0);
	CHECK(mappings_counters().ranges == 1);
	usleep(2 * LIVE_TICK_NS / 1000); /* new ranges are left alone */
	struct taken t = take_now();
	CHECK(resident(&t, OWNER_C_MMAP) == 0 && mappings_counters().ranges == 0);
	scratch_release(&t.scratch);
}
CASE_WITHOUT_ASAN(reconciled)

/* A stack whose thread has ended, replaced by another mapping. */
static void not_a_stack_any_more(void)
{
	begin();
	char *p = map_touched(8 * MIB, 8 * MIB);
	put_in_ledger(p, 8 * MIB, MAPPINGS_CACHED_STACK, 0);
	struct taken t = take_now();
	CHECK(resident(&t, OWNER_UNTRACKED_MMAP) >= 8 * MIB);
	/* With a descriptor at its end it is a stack: its own address twice, and the guard. */
	uint64_t *descriptor = (uint64_t *)(p + 8 * MIB - 2304);
	descriptor[0] = descriptor[2] = (uint64_t)descriptor;
	struct taken not_yet = take_now();
	CHECK(resident(&not_yet, OWNER_UNTRACKED_MMAP) >= 8 * MIB);
	scratch_release(&not_yet.scratch);
	descriptor[5] = arch_stack_guard();
	struct taken again = take_now();
	CHECK(near(resident(&again, OWNER_THREAD_STACKS) - resident(&t, OWNER_THREAD_STACKS),
		   8 * MIB, 64 * KIB)); /* the main thread's may have grown */
	scratch_release(&t.scratch);
	scratch_release(&again.scratch);
}
CASE(not_a_stack_any_more)

static sem_t is_deep, may_end;

static void *go_deep(void *arg)
{
	volatile char bytes[3 * MIB];
	memset((char *)bytes, 1, sizeof(bytes));
	sem_post(&is_deep);
	sem_wait(&may_end);
	return bytes[9] ? arg : NULL;
}

/* Like libc's threads for timers and similar. */
static void made_past_every_hook(void)
{
	pthread_t threads[3];
	begin();
	struct taken t = take_now();
	for (size_t i = 0; i < COUNT_OF(threads); i++) {
		CHECK(pthread_create(&threads[i], NULL, go_deep, NULL) == 0);
		sem_wait(&is_deep);
	}
	struct taken again = take_now();
	CHECK(near(resident(&again, OWNER_THREAD_STACKS) - resident(&t, OWNER_THREAD_STACKS),
		   9 * MIB, 192 * KIB));
	CHECK(again.account.thread_stacks_count == t.account.thread_stacks_count + 3);
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		sem_post(&may_end);
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		pthread_join(threads[i], NULL);
	scratch_release(&t.scratch);
	scratch_release(&again.scratch);
}
CASE_WITHOUT_ASAN(made_past_every_hook)

static void before_the_shim(void)
{
	struct scratch s = SCRATCH_INIT(MIB);
	real_resolve();
	/* Between the first hook and the constructor: one mapping seen by the hook, one not. */
	char *seen = earlymaps_mmap(NULL, 5 * MIB, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, (uint64_t)before_the_shim);
	char *unseen = map_touched(3 * MIB, 3 * MIB);
	CHECK(seen != MAP_FAILED && unseen);
	memset(seen, 1, 5 * MIB);
	begin();
	earlymaps_take(&s);
	scratch_release(&s);
	STORE(&shim_state, SHIM_ACTIVE);
	struct taken t = take_now();
	CHECK(resident(&t, OWNER_C_MMAP) == 5 * MIB);
	CHECK(resident(&t, OWNER_LIBRARIES) >= 3 * MIB);
	scratch_release(&t.scratch);
}
CASE_WITHOUT_ASAN(before_the_shim)

/* ---- little memory --------------------------------------------------------------- */

struct counting {
	struct sink sink;
	uint64_t bytes, most;
};

static int count_bytes(struct sink *sink, const void *bytes, size_t count)
{
	struct counting *c = sink->arg;
	(void)bytes;
	c->bytes += count;
	return c->bytes > c->most ? -1 : 0;
}

/* With any amount of scratch: an account that adds up, or a refusal. */
static void any_scratch(void)
{
	static const char *const none[] = {NULL};
	int taken = 0, refused = 0;
	begin();
	for (int i = 0; i < 300; i++)
		put_in_ledger(map_touched(2 * PAGE_BYTES, PAGE_BYTES), PAGE_BYTES, MAPPINGS_C,
			      a_site(ORIGIN_MMAP));
	for (size_t kib = 0; kib < 3000; kib += kib < 400 ? 4 : 100) {
		struct taken t = {.scratch = SCRATCH_INIT(kib * KIB)};
		struct counting c = {.sink = {.write = count_bytes, .arg = &c}, .most = 1 << 30};
		struct json j;
		if (account_take(&t.scratch, &t.account, &t.parts) != 0) {
			CHECK(t.scratch.exhausted);
			refused++;
		} else {
			taken++;
			check_adds_up(&t);
			json_init(&j, &c.sink);
			account_json_write(&j, NULL, &t.scratch, &t.account, &t.parts);
			CHECK(json_finish(&j) == 0 && c.bytes > 1000);
			CHECK(metrics_write(&c.sink, METRICS_TEXT, &t.account) == 0);
			profile_memory_write(&t.scratch, &t.account, &t.parts, NULL, none, &c.sink);
		}
		scratch_release(&t.scratch);
	}
	CHECK(taken > 3 && refused > 3);
}
CASE(any_scratch)

/* The client hangs up after this many bytes. */
static void any_sink(void)
{
	static const char *const none[] = {NULL};
	begin();
	struct taken t = take_now();
	for (uint64_t most = 0; most < 20000; most += 500) {
		struct counting c = {.sink = {.write = count_bytes, .arg = &c}, .most = most};
		struct json j;
		json_init(&j, &c.sink);
		account_json_write(&j, NULL, &t.scratch, &t.account, &t.parts);
		CHECK(json_finish(&j) == (c.bytes > most ? -1 : 0));
		c.bytes = 0;
		CHECK(metrics_write(&c.sink, METRICS_TEXT, &t.account) ==
		      (c.bytes > most ? -1 : 0));
	}
	struct counting c = {.sink = {.write = count_bytes, .arg = &c}, .most = 10};
	CHECK(profile_memory_write(&t.scratch, &t.account, &t.parts, NULL, none, &c.sink) == -1);
	scratch_release(&t.scratch);
}
CASE(any_sink)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adds_up),
		cmocka_unit_test(test_one_mapping_many_owners),
		cmocka_unit_test(test_zeros_are_not_counted),
		cmocka_unit_test(test_reconciled),
		cmocka_unit_test(test_not_a_stack_any_more),
		cmocka_unit_test(test_made_past_every_hook),
		cmocka_unit_test(test_before_the_shim),
		cmocka_unit_test(test_any_scratch),
		cmocka_unit_test(test_any_sink),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
