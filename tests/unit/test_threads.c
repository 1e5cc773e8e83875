/* Threads' stacks in the table of mappings, compared with what libc reports for each thread. */
#include "child.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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
#include "hook/real.h"
#include "hook/threads.h"

static void begin(void)
{
	real_resolve();
	CHECK(region_init(8 * MIB) == 0 && recstack_init() == 0);
	capture_init(labelsets_keep);
	CHECK(sample_init() == 0);
	threads_init();
	shim_state = SHIM_ACTIVE;
}

#define CREATE(thread, attributes, start, arg)                                                     \
	CHECK(threads_create(thread, attributes, start, arg,                                       \
			     (uint64_t)__builtin_return_address(0)) == 0)

static void join(pthread_t thread)
{
	CHECK(pthread_join(thread, NULL) == 0);
}

/* Objects and bytes in use, over all sites of threads' stacks. */
struct sum {
	int64_t objects, bytes;
};

static struct sum stacks_in_use(void)
{
	struct scratch scratch = SCRATCH_INIT(4 * MIB);
	struct snapshot snapshot;
	struct sum sum = {0};

	CHECK(stacks_snapshot(&scratch, 0, &snapshot) == 0);
	for (size_t i = 0; i < snapshot.count; i++) {
		const struct tally *t = &snapshot.tallies[i];
		if (site_at(t->site)->origin != ORIGIN_THREAD_STACK)
			continue;
		CHECK(t->inuse_objects >= 0 && t->inuse_bytes >= 0);
		sum.objects += t->inuse_objects;
		sum.bytes += t->inuse_bytes;
	}
	scratch_release(&scratch);
	return sum;
}

/* ---- one thread -------------------------------------------------------- */

static struct {
	struct mappings_range range;
	uint64_t start, end; /* of the stack, according to libc */
	uint32_t tid;
	bool is_known;
} seen;

static void *look(void *arg)
{
	pthread_attr_t attributes;
	void *start;
	size_t bytes;

	seen.is_known = mappings_find((uint64_t)&attributes, &seen.range);
	seen.tid = (uint32_t)sys_gettid();
	CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0);
	CHECK(pthread_attr_getstack(&attributes, &start, &bytes) == 0);
	pthread_attr_destroy(&attributes);
	seen.start = (uint64_t)start;
	seen.end = seen.start + bytes;
	errno = 0;
	return arg;
}

/* libc may report a larger stack that it had kept. */
static void check_seen(size_t bytes)
{
	CHECK(seen.is_known && seen.range.kind == MAPPINGS_THREAD_STACK);
	CHECK(seen.range.thread == seen.tid && seen.range.flags & MAPPINGS_USABLE);
	CHECK(seen.range.end - seen.range.start == ALIGN_UP(bytes & ~(size_t)63, PAGE_BYTES));
	CHECK(seen.range.end == ALIGN_UP(seen.end, (uint64_t)PAGE_BYTES));
	CHECK(seen.range.start >= (seen.start & ~(uint64_t)(PAGE_BYTES - 1)));
	CHECK(site_at(seen.range.site)->size == bytes);
}

static void check_one(const pthread_attr_t *attributes, size_t bytes)
{
	int64_t before = stacks_in_use().bytes;
	struct mappings_range after;
	pthread_t thread;
	void *result;

	CREATE(&thread, attributes, look, &seen);
	CHECK(pthread_join(thread, &result) == 0 && result == &seen);
	check_seen(bytes);
	CHECK(mappings_find(seen.range.start, &after) && after.kind == MAPPINGS_CACHED_STACK);
	CHECK(stacks_in_use().bytes == before);
}

static const size_t sizes[] = {65536, 65537, 100000, MIB + 1, MIB, 8 * MIB, 64 * MIB};
static bool is_allowed(size_t bytes)
{
	return bytes >= (size_t)sysconf(_SC_THREAD_STACK_MIN);
}

static const size_t guards[] = {0, 4096, 65536};

/* In a fresh process, in which libc keeps no stack yet. */
static void check_first(size_t bytes, size_t guard)
{
	pthread_attr_t attributes;
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(pthread_attr_init(&attributes) == 0);
		CHECK(pthread_attr_setstacksize(&attributes, bytes) == 0);
		CHECK(pthread_attr_setguardsize(&attributes, guard) == 0);
		check_one(&attributes, bytes);
		CHECK(seen.range.start == seen.start);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void a_stack_is_where_libc_says(void)
{
	pthread_attr_t attributes;
	size_t by_default;

	begin();
	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_getstacksize(&attributes, &by_default) == 0);
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		for (size_t g = 0; g < COUNT_OF(guards) && is_allowed(sizes[i]); g++)
			check_first(sizes[i], guards[g]);
	check_one(NULL, by_default);
	check_one(&attributes, by_default);
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		for (size_t g = 0; g < COUNT_OF(guards) && is_allowed(sizes[i]); g++) {
			CHECK(pthread_attr_setstacksize(&attributes, sizes[i]) == 0);
			CHECK(pthread_attr_setguardsize(&attributes, guards[g]) == 0);
			check_one(&attributes, sizes[i]);
		}
}
CASE_WITHOUT_ASAN(a_stack_is_where_libc_says)

/* The default may change while the program runs. */
static void the_default_is_asked_each_time(void)
{
	pthread_attr_t attributes;

	begin();
	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_setstacksize(&attributes, 3 * MIB) == 0);
	CHECK(pthread_setattr_default_np(&attributes) == 0);
	check_one(NULL, 3 * MIB);
}
CASE_WITHOUT_ASAN(the_default_is_asked_each_time)

static void *nothing(void *arg)
{
	return arg;
}

/* The capture and the table of mappings must fit in addition to what libc needs. */
static void the_smallest_stack_is_enough(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	begin();
	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN) == 0);
	CREATE(&thread, &attributes, nothing, NULL);
	join(thread);
	CHECK(mappings_counters().ranges == 1);
}
CASE_WITHOUT_ASAN(the_smallest_stack_is_enough)

static void *stack_of_ours;
static void the_programs_own_stack_is_not_ours_to_count(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	begin();
	stack_of_ours = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(stack_of_ours != MAP_FAILED);
	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_setstack(&attributes, stack_of_ours, MIB) == 0);
	CREATE(&thread, &attributes, look, NULL);
	join(thread);
	CHECK(!seen.is_known && mappings_counters().ranges == 0 && threads_missed() == 0);
}
CASE(the_programs_own_stack_is_not_ours_to_count)

/* ---- however a thread ends --------------------------------------------- */

static sem_t started;

static void *exits(void *arg)
{
	pthread_exit(arg);
}

static void *waits(void *arg)
{
	sem_post(&started);
	for (;;)
		pause();
	return arg;
}

static void every_end_is_seen(void)
{
	pthread_t thread;

	begin();
	CHECK(sem_init(&started, 0, 0) == 0);
	CREATE(&thread, NULL, exits, NULL);
	join(thread);
	CHECK(stacks_in_use().objects == 0);
	CREATE(&thread, NULL, waits, NULL);
	while (sem_wait(&started))
		;
	CHECK(stacks_in_use().objects == 1);
	CHECK(pthread_cancel(thread) == 0);
	join(thread);
	CHECK(stacks_in_use().objects == 0 && stacks_in_use().bytes == 0);
}
CASE(every_end_is_seen)

/* ---- when it cannot be done -------------------------------------------- */

static void *(*given_start)(void *);
static void *given_arg;
static int given_result;

static int create_nothing(pthread_t *t, const pthread_attr_t *a, void *(*start)(void *), void *arg)
{
	(void)t, (void)a;
	given_start = start;
	given_arg = arg;
	return given_result;
}

static void a_thread_that_fails_leaves_no_block(void)
{
	pthread_t thread;
	void *block;

	begin();
	real.pthread_create = create_nothing;
	given_result = EAGAIN;
	errno = 4711;
	CHECK(threads_create(&thread, NULL, nothing, NULL, 0) == EAGAIN && errno == 4711);
	CHECK(given_start != nothing);
	block = given_arg;
	CHECK(threads_create(&thread, NULL, nothing, NULL, 0) == EAGAIN && given_arg == block);
	CHECK(mappings_counters().ranges == 0 && stacks_in_use().objects == 0);
}
CASE(a_thread_that_fails_leaves_no_block)

/* As many threads as there are blocks have been created but have not started. */
static void without_a_block_the_thread_runs_all_the_same(void)
{
	pthread_t thread;
	uint64_t wrapped = 0;

	begin();
	real.pthread_create = create_nothing;
	while (threads_missed() == 0) {
		given_start = NULL;
		CHECK(threads_create(&thread, NULL, nothing, &seen, 0) == 0);
		wrapped += given_start != nothing;
	}
	CHECK(wrapped == 1023 && given_start == nothing && given_arg == &seen);
	/* Inside the shim nothing is recorded. */
	uint8_t before = sample_enter();
	CHECK(threads_create(&thread, NULL, nothing, &seen, 0) == 0);
	sample_leave(before);
	CHECK(given_start == nothing && threads_missed() == 2);
}
CASE(without_a_block_the_thread_runs_all_the_same)

/* ---- many --------------------------------------------------------------- */

#define CREATORS 4
#define ROUNDS   50
#define CHILDREN 8

static void *creates(void *arg)
{
	pthread_t children[CHILDREN];
	pthread_attr_t attributes;

	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_setstacksize(&attributes, 256 * KIB) == 0);
	for (int round = 0; round < ROUNDS; round++) {
		for (uintptr_t i = 0; i < CHILDREN; i++)
			CREATE(&children[i], &attributes, nothing, (void *)i);
		for (uintptr_t i = 0; i < CHILDREN; i++) {
			void *result;
			CHECK(pthread_join(children[i], &result) == 0 && result == (void *)i);
		}
	}
	return arg;
}

static void many_come_and_go(void)
{
	pthread_t creators[CREATORS];

	begin();
	for (int i = 0; i < CREATORS; i++)
		CREATE(&creators[i], NULL, creates, NULL);
	for (int i = 0; i < CREATORS; i++)
		join(creators[i]);
	CHECK(stacks_in_use().objects == 0 && stacks_in_use().bytes == 0);
	CHECK(threads_missed() == 0 && mappings_counters().refused == 0);
}
CASE(many_come_and_go)

#define T(name) cmocka_unit_test(test_##name)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_stack_is_where_libc_says),
		T(the_default_is_asked_each_time),
		T(the_smallest_stack_is_enough),
		T(the_programs_own_stack_is_not_ours_to_count),
		T(every_end_is_seen),
		T(a_thread_that_fails_leaves_no_block),
		T(without_a_block_the_thread_runs_all_the_same),
		T(many_come_and_go),
	};
	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
