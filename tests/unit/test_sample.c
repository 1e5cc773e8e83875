/*
 * The sampler is unbiased for all sizes and however often it draws again; it tells threads of a
 * change; and at interval 1 it is exact. Statistical cases use fixed seeds and a bound of 4
 * standard errors.
 */
#include "child.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine.h"
#include "record/sample.h"

static void restart_thread(uint64_t rng)
{
	memset(&sample_self, 0, sizeof(sample_self));
	sample_self.rng = rng;
}

/* As a hook does. */
static uint32_t allocate(uint64_t size)
{
	return sample_skip(size) ? 0 : sample_take(size);
}

struct estimate {
	double objects, bytes;           /* what the samples stand for */
	double true_objects, true_bytes; /* what was allocated */
	double object_variance, byte_variance;
};

static void estimate_add(struct estimate *e, uint64_t size, uint32_t interval)
{
	double p = -expm1(-(double)size / interval);
	uint32_t at = allocate(size);

	e->true_objects++;
	e->true_bytes += (double)size;
	e->object_variance += (1 - p) / p;
	e->byte_variance += (double)size * (double)size * (1 - p) / p;
	if (at) {
		struct weight w = sample_weight(size, at);
		assert_int_equal(at, interval);
		e->objects += (double)w.objects_fx / (1 << WEIGHT_OBJECT_BITS);
		e->bytes += (double)w.bytes_fx / (1 << WEIGHT_BYTE_BITS);
	}
}

static void estimate_check(const struct estimate *e)
{
	/* Each sample may be rounded by half a unit of its last fraction bit. */
	double slack = e->true_objects * 0x1p-9;
	assert_true(fabs(e->objects - e->true_objects) <= 4 * sqrt(e->object_variance) + slack);
	assert_true(fabs(e->bytes - e->true_bytes) <= 4 * sqrt(e->byte_variance) + slack);
}

static void unbiased_at_every_size(void **state)
{
	static const uint32_t intervals[] = {2, 100, 4096, 524288};
	static const uint64_t sizes[] = {1,    2,     16,     100,     1000,
					 8192, 65536, 524288, 1000000, 10000000};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(intervals); i++)
		for (size_t k = 0; k < COUNT_OF(sizes); k++) {
			struct estimate e = {0};
			sample_set_interval(intervals[i]);
			restart_thread(1000 + i * 100 + k);
			for (int n = 0; n < 100000; n++)
				estimate_add(&e, sizes[k], intervals[i]);
			estimate_check(&e);
		}
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	return *x ^= *x << 17;
}

/* Mixed sizes in one stream: each size must be right, not only their sum. */
static void unbiased_in_a_mixture(void **state)
{
	static const uint64_t sizes[] = {8, 24, 64, 300, 5000, 70000, 900000};
	struct estimate e[COUNT_OF(sizes)] = {0};
	uint64_t x = 88172645463325252u;

	(void)state;
	sample_set_interval(20000);
	restart_thread(7);
	for (int n = 0; n < 1000000; n++) {
		size_t k = next_random(&x) % COUNT_OF(sizes);
		estimate_add(&e[k], sizes[k], 20000);
	}
	for (size_t k = 0; k < COUNT_OF(sizes); k++)
		estimate_check(&e[k]);
}

/* The process has no memory: discarding the draw before every allocation does not change it. */
static void unbiased_under_constant_nudging(void **state)
{
	struct estimate e = {0};

	(void)state;
	restart_thread(11);
	for (int n = 0; n < 200000; n++) {
		sample_set_interval(1000);
		estimate_add(&e, 1 + (uint64_t)n % 500, 1000);
	}
	estimate_check(&e);
}

/* A 0 written into a thread that has just caught up is not a sample point. */
static void a_late_nudge_is_no_bias(void **state)
{
	struct estimate e = {0};

	(void)state;
	sample_set_interval(1000);
	restart_thread(12);
	for (int n = 0; n < 200000; n++) {
		if (n % 3 == 0)
			STORE(&sample_self.bytes_left, 0);
		estimate_add(&e, 100, 1000);
	}
	estimate_check(&e);
}

static void unbiased_across_a_change(void **state)
{
	struct estimate fine = {0}, coarse = {0};

	(void)state;
	restart_thread(13);
	for (int n = 0; n < 200000; n++) {
		bool is_fine = n / 50 % 2;
		if (n % 50 == 0)
			sample_set_interval(is_fine ? 500 : 30000);
		estimate_add(is_fine ? &fine : &coarse, 40 + (uint64_t)n % 400,
			     is_fine ? 500 : 30000);
	}
	estimate_check(&fine);
	estimate_check(&coarse);
}

/* A thread's first allocation is treated like any other: a program may start a thread for each. */
static void unbiased_in_new_threads(void **state)
{
	struct estimate e = {0};

	(void)state;
	sample_set_interval(1000);
	for (uint64_t n = 0; n < 100000; n++) {
		restart_thread(n * UINT64_C(0x9E3779B97F4A7C15) + 5);
		estimate_add(&e, 300, 1000);
	}
	estimate_check(&e);
}

/* Distances between points are exponential: the shares above 1, 2 and 4 means are e^-1, e^-2
 * and e^-4. */
static void gaps_are_exponential(void **state)
{
	static const double limits[] = {0.25, 1, 2, 4};
	double past[COUNT_OF(limits)] = {0}, sum = 0;
	const double n = 200000, mean = 10000;

	(void)state;
	sample_set_interval((uint32_t)mean);
	restart_thread(17);
	allocate(1); /* sees the epoch */
	for (int i = 0; i < (int)n; i++) {
		double gap;
		STORE(&sample_self.bytes_left, 1);
		assert_int_equal(allocate(1), mean);
		gap = (double)sample_self.bytes_left - 0.5;
		sum += gap;
		for (size_t k = 0; k < COUNT_OF(limits); k++)
			past[k] += gap > limits[k] * mean;
	}
	assert_true(fabs(sum / n - mean) < 4 * mean / sqrt(n));
	for (size_t k = 0; k < COUNT_OF(limits); k++) {
		double p = exp(-limits[k]);
		assert_true(fabs(past[k] / n - p) < 4 * sqrt(p * (1 - p) / n));
	}
}

static void *first_gap(void *arg)
{
	allocate(0);
	*(uint64_t *)arg = sample_self.bytes_left;
	return NULL;
}

/* Threads must not draw in step, because a service's workers do the same things. */
static void threads_draw_differently(void **state)
{
	uint64_t gaps[8];

	(void)state;
	sample_set_interval(1 << 30);
	for (size_t i = 0; i < COUNT_OF(gaps); i++) {
		pthread_t t;
		assert_int_equal(pthread_create(&t, NULL, first_gap, &gaps[i]), 0);
		assert_int_equal(pthread_join(t, NULL), 0);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(gaps[i], gaps[k]);
	}
}

/* ---- exactly, and not at all ------------------------------------------- */

static void interval_one_is_every_allocation(void **state)
{
	(void)state;
	sample_set_interval(1);
	restart_thread(1);
	for (uint64_t size = 0; size < 10000; size++) {
		assert_int_equal(allocate(size), 1);
		assert_int_equal(sample_self.bytes_left, 0);
	}
	assert_int_equal(allocate((uint64_t)1 << 62), 1);
}

static void off_is_none(void **state)
{
	(void)state;
	sample_set_interval(0);
	restart_thread(1);
	assert_int_equal(allocate(1000), 0);
	/* From then on it costs only the fast path. */
	for (int i = 0; i < 1000; i++)
		assert_true(sample_skip((size_t)1 << 40));
}

static void empty_blocks_are_sampled_at_one_only(void **state)
{
	(void)state;
	sample_set_interval(2);
	restart_thread(3);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(allocate(0), 0);
}

static void before_the_start_nothing_is_decided(void)
{
	CHECK(sample_interval() == 0);
	CHECK(allocate(100) == 0 && sample_self.bytes_left == 0);
	sample_set_interval(1);
	CHECK(allocate(100) == 1);
}
CASE(before_the_start_nothing_is_decided)

static void inside_the_shim_nothing_is_sampled(void **state)
{
	uint8_t outer, inner;

	(void)state;
	sample_set_interval(1);
	restart_thread(1);
	outer = sample_enter();
	inner = sample_enter();
	assert_int_equal(allocate(100), 0);
	sample_leave(inner);
	assert_int_equal(allocate(100), 0);
	sample_leave(outer);
	assert_int_equal(allocate(100), 1);
}

static void errno_is_the_hosts(void **state)
{
	(void)state;
	sample_set_interval(100);
	restart_thread(0);
	for (int i = 0; i < 1000; i++) {
		errno = 4711;
		allocate(100);
		assert_int_equal(errno, 4711);
	}
}

/* ---- other threads ------------------------------------------------------ */

static pthread_barrier_t barrier;
static uint32_t seen[3];

static void meet(void)
{
	pthread_barrier_wait(&barrier);
}

static void *look_three_times(void *arg)
{
	allocate(1); /* lists the thread */
	for (int i = 0; i < 3; i++) {
		meet();
		meet();
		seen[i] = allocate(1);
	}
	meet();
	return arg;
}

static void threads_see_a_change(void)
{
	static const uint32_t intervals[3] = {1, 0, 1};
	pthread_t t;

	pthread_barrier_init(&barrier, NULL, 2);
	CHECK(sample_init() == 0);
	sample_set_interval(0);
	CHECK(!pthread_create(&t, NULL, look_three_times, NULL));
	for (int i = 0; i < 3; i++) {
		meet();
		CHECK(sample_threads() == 1);
		sample_set_interval(intervals[i]);
		meet();
	}
	meet();
	CHECK(!pthread_join(t, NULL));
	for (int i = 0; i < 3; i++)
		CHECK(seen[i] == intervals[i]);
	CHECK(sample_threads() == 0);
}
CASE(threads_see_a_change)

/* The thread's store may overwrite the nudge: the next one succeeds while the thread is behind. */
static void a_lost_nudge_is_repeated(void)
{
	CHECK(sample_init() == 0);
	sample_set_interval(0);
	CHECK(allocate(1) == 0 && sample_threads() == 1);
	uint64_t before = sample_self.bytes_left;
	sample_set_interval(1);
	STORE(&sample_self.bytes_left, before - 1);
	CHECK(allocate(1) == 0);
	sample_nudge();
	CHECK(allocate(1) == 1);
}
CASE(a_lost_nudge_is_repeated)

/* Two threads in the same place: the stack is freed at once and reused by the next. */
static void *exit_raw(void *arg)
{
	allocate(8);
	if (arg)
		syscall(SYS_exit, 0);
	return arg;
}

static void threads_that_end_unheard_are_dropped(void)
{
	pthread_attr_t big;
	pthread_t t;

	CHECK(sample_init() == 0);
	CHECK(!pthread_attr_init(&big) && !pthread_attr_setstacksize(&big, 64 << 20));
	sample_set_interval(1);
	for (int i = 0; i < 4; i++) {
		CHECK(!pthread_create(&t, &big, exit_raw, (void *)1));
		CHECK(!pthread_join(t, NULL));
	}
	CHECK(!pthread_create(&t, &big, exit_raw, NULL));
	CHECK(!pthread_join(t, NULL));
	CHECK(sample_threads() == 4);
	sample_set_interval(2);
	CHECK(sample_threads() == 0);
}
CASE(threads_that_end_unheard_are_dropped)

static pthread_key_t late_key;
static uint32_t late_answer;

/* A destructor that runs after ours allocates, in the last round too: pthread repeats while
 * values are set. */
static void allocate_late(void *value)
{
	late_answer = allocate(8);
	pthread_setspecific(late_key, value);
}

/* ---- a thread whose number another has by now ----------------------------- */

#define STACK_BYTES (256 * KIB)

static int raw_tid;

static void *exit_raw_listed(void *unused)
{
	sample_set_interval(4096);
	sample_take(1);
	CHECK(sample_self.registered == 1);
	__atomic_store_n(&raw_tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
	syscall(SYS_exit, 0);
	return unused;
}

/* A thread with that id that needs no stack, because it only waits. */
static long start_numbered(pid_t tid)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
			set_tid, set_tid_size;
	} args = {.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD,
		  .stack = (uint64_t)malloc(4096),
		  .stack_size = 4096,
		  .set_tid = (uint64_t)&tid,
		  .set_tid_size = 1};
	return machine_start_waiter(&args, sizeof(args));
}

/*
 * It ended by the raw system call, its stack with its TLS was unmapped, and its id belongs to
 * another thread. Nothing may be written there, whether it is unmapped or has other content.
 */
static void check_gone(bool is_mapped_again)
{
	pthread_attr_t attr;
	pthread_t thread;
	char *stack =
		mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(stack != MAP_FAILED && sample_init() == 0);
	sample_set_interval(1);
	CHECK(pthread_attr_init(&attr) == 0 &&
	      pthread_attr_setstack(&attr, stack, STACK_BYTES) == 0);
	CHECK(pthread_create(&thread, &attr, exit_raw_listed, NULL) == 0);
	int tid;
	while ((tid = __atomic_load_n(&raw_tid, __ATOMIC_ACQUIRE)) == 0 ||
	       syscall(SYS_tgkill, getpid(), tid, 0) == 0)
		usleep(1000);
	CHECK(munmap(stack, STACK_BYTES) == 0);
	if (is_mapped_again) {
		CHECK(mmap(stack, STACK_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == stack);
		memset(stack, 0xa5, STACK_BYTES);
	}
	CHECK(start_numbered(tid) == tid);
	sample_set_interval(8192);
	sample_nudge();
	for (size_t i = 0; is_mapped_again && i < STACK_BYTES; i++)
		CHECK(stack[i] == (char)0xa5);
	_exit(0);
}

static void a_number_of_another_thread(void)
{
	check_gone(false);
}
CASE(a_number_of_another_thread)

static void memory_of_another_thread(void)
{
	check_gone(true);
}
CASE(memory_of_another_thread)

static void *exit_late(void *arg)
{
	allocate(8);
	pthread_setspecific(late_key, (void *)1);
	return arg;
}

static void destructors_may_still_allocate(void)
{
	pthread_t t;

	CHECK(sample_init() == 0);
	CHECK(!pthread_key_create(&late_key, allocate_late));
	sample_set_interval(1);
	for (int i = 0; i < 10; i++) {
		late_answer = 0;
		CHECK(!pthread_create(&t, NULL, exit_late, NULL));
		CHECK(!pthread_join(t, NULL));
		CHECK(late_answer == 1 && sample_threads() == 0);
	}
}
CASE(destructors_may_still_allocate)

/* A key past the first 32 would make pthread_setspecific allocate, so threads are not listed. */
static void a_late_key_is_not_used(void)
{
	pthread_key_t key;

	do
		CHECK(!pthread_key_create(&key, NULL));
	while (key < 31);
	CHECK(sample_init() == -1);
	sample_set_interval(1);
	CHECK(allocate(10) == 1 && sample_threads() == 0);
}
CASE(a_late_key_is_not_used)

static void a_forked_child_is_off_for_good(void)
{
	CHECK(sample_init() == 0);
	sample_set_interval(1);
	CHECK(allocate(10) == 1 && sample_threads() == 1);
	sample_after_fork_in_child();
	CHECK(sample_interval() == 0 && sample_threads() == 0);
	CHECK(allocate(10) == 0 && sample_skip((size_t)1 << 40));
	sample_thread_exit(&sample_self);
	CHECK(sample_threads() == 0);
}
CASE(a_forked_child_is_off_for_good)

/* ---- weights ------------------------------------------------------------ */

static void weights_are_exact_at_one(void **state)
{
	(void)state;
	for (uint64_t size = 0; size < 100000; size += 37) {
		struct weight w = sample_weight(size, 1);
		assert_int_equal(w.objects_fx, 1 << WEIGHT_OBJECT_BITS);
		assert_int_equal(w.bytes_fx, size << WEIGHT_BYTE_BITS);
	}
	assert_int_equal(sample_weight((uint64_t)1 << 50, 1).bytes_fx, (uint64_t)1 << 58);
}

static void weights_follow_the_formula(void **state)
{
	static const uint32_t intervals[] = {2, 3, 1000, 524288, 1u << 30};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(intervals); i++)
		for (uint64_t size = 1; size < (uint64_t)1 << 40; size += 1 + size / 3) {
			struct weight w = sample_weight(size, intervals[i]);
			long double objects = -1 / expm1l(-(long double)size / intervals[i]);
			long double fx = objects * (1 << WEIGHT_OBJECT_BITS);
			assert_true(fabsl((long double)w.objects_fx - fx) <= 0.5L + fx * 0x1p-48L);
			fx = objects * (long double)size * (1 << WEIGHT_BYTE_BITS);
			assert_true(fabsl((long double)w.bytes_fx - fx) <= 0.5L + fx * 0x1p-48L);
		}
	assert_int_equal(sample_weight(0, 1000).objects_fx, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before_the_start_nothing_is_decided),
		cmocka_unit_test(unbiased_at_every_size),
		cmocka_unit_test(unbiased_in_a_mixture),
		cmocka_unit_test(unbiased_under_constant_nudging),
		cmocka_unit_test(a_late_nudge_is_no_bias),
		cmocka_unit_test(unbiased_across_a_change),
		cmocka_unit_test(unbiased_in_new_threads),
		cmocka_unit_test(gaps_are_exponential),
		cmocka_unit_test(threads_draw_differently),
		cmocka_unit_test(interval_one_is_every_allocation),
		cmocka_unit_test(off_is_none),
		cmocka_unit_test(empty_blocks_are_sampled_at_one_only),
		cmocka_unit_test(inside_the_shim_nothing_is_sampled),
		cmocka_unit_test(errno_is_the_hosts),
		cmocka_unit_test(test_threads_see_a_change),
		cmocka_unit_test(test_a_lost_nudge_is_repeated),
		cmocka_unit_test(test_a_number_of_another_thread),
		cmocka_unit_test(test_memory_of_another_thread),
		cmocka_unit_test(test_threads_that_end_unheard_are_dropped),
		cmocka_unit_test(test_destructors_may_still_allocate),
		cmocka_unit_test(test_a_late_key_is_not_used),
		cmocka_unit_test(test_a_forked_child_is_off_for_good),
		cmocka_unit_test(weights_are_exact_at_one),
		cmocka_unit_test(weights_follow_the_formula),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
