/* The stacks that hooks record on: taking, nesting, running out, unwinders crossing them. */
#include "child.h"

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "region/recstack.h"

static bool is_recording_stack(const void *p)
{
	uint64_t start, end;

	recstack_range(&start, &end);
	return (uint64_t)p >= start && (uint64_t)p < end;
}

/* ---- where work runs --------------------------------------------------------- */

static const char *ran_at;
static struct regs host_seen;

static bool had_host;

static void note_place(void *arg, const struct regs *host)
{
	ran_at = __builtin_frame_address(0);
	had_host = host != NULL;
	if (host)
		host_seen = *host;
	*(int *)arg += 1;
}

static void runs_on_one(void)
{
	int calls = 0;
	const char *here = __builtin_frame_address(0);

	CHECK(!recstack_run(note_place, &calls) && calls == 0); /* not mapped yet */
	recstack_run_anyhow(note_place, &calls);
	CHECK(calls == 1 && !is_recording_stack(ran_at) && !had_host);
	CHECK(recstack_init() == 0 && recstack_init() == 0);
	CHECK(recstack_run(note_place, &calls) && calls == 2);
	CHECK(IS_SANITIZED || is_recording_stack(ran_at));
	/* host has the registers of this function or one that it called. */
	CHECK(IS_SANITIZED ||
	      (host_seen.sp <= (uint64_t)here && (uint64_t)here - host_seen.sp < 512));
	errno = 4711;
	recstack_run_anyhow(note_place, &calls);
	CHECK(errno == 4711 && calls == 3);
}
CASE(runs_on_one)

/* ---- one caller each ------------------------------------------------------------ */

static void nest(void *deepest, const struct regs *host)
{
	(void)host;
	*(int *)deepest += 1;
	recstack_run(nest, deepest);
}

static void are_used_up_and_come_back(void)
{
	int depth = 0;

	CHECK(recstack_init() == 0);
	for (int i = 0; i < 3; i++) {
		depth = 0;
		CHECK(recstack_run(nest, &depth) && depth == RECSTACK_COUNT);
	}
}
CASE(are_used_up_and_come_back)

#define THREADS 8
#define RUNS    20000

static void fill(void *arg, const struct regs *host)
{
	volatile char bytes[512];
	char mark = *(char *)arg;

	(void)host;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = mark;
	for (size_t i = 0; i < sizeof(bytes); i++)
		CHECK(bytes[i] == mark);
}

static void *fill_often(void *mark)
{
	for (int i = 0; i < RUNS; i++)
		CHECK(recstack_run(fill, mark));
	return NULL;
}

static void two_threads_never_have_one(void)
{
	pthread_t threads[THREADS];
	char marks[THREADS];

	CHECK(recstack_init() == 0);
	for (int i = 0; i < THREADS; i++) {
		marks[i] = (char)('a' + i);
		CHECK(pthread_create(&threads[i], NULL, fill_often, &marks[i]) == 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}
CASE(two_threads_never_have_one)

/* ---- the way back ---------------------------------------------------------------- */

static void *frames[64];
static int frame_count;

static void walk(void *unused, const struct regs *host)
{
	(void)unused, (void)host;
	frame_count = backtrace(frames, (int)COUNT_OF(frames));
}

static int frames_outside(void **list, int count)
{
	int outer = 0;

	/* libc's frames, above those of this program. */
	while (outer < count && list[count - 1 - outer] == frames[frame_count - 1 - outer])
		outer++;
	return outer;
}

static void others_unwind_over_it(void)
{
	void *plain[COUNT_OF(frames)];
	int count;

	if (IS_SANITIZED) /* no switch of stacks */
		return;
	CHECK(recstack_init() == 0);
	count = backtrace(plain, (int)COUNT_OF(plain));
	CHECK(recstack_run(walk, NULL));
	/* All but the one frame that made the two calls. */
	CHECK(frame_count > count && frames_outside(plain, count) >= count - 1);
}
CASE(others_unwind_over_it)

/* ---- fork ------------------------------------------------------------------------ */

static int entered, leave;

static void stay(void *unused, const struct regs *host)
{
	(void)unused, (void)host;
	ADD(&entered, 1);
	while (!LOAD(&leave))
		usleep(100);
}

static void *stay_on_one(void *unused)
{
	recstack_run(stay, unused);
	return NULL;
}

/* A child frees the stacks of other threads, but not that of the forking thread. */
static void fork_on_one(void *status, const struct regs *host)
{
	int depth = 0;
	pid_t child = fork();

	(void)host;
	if (child == 0) {
		recstack_after_fork_in_child();
		recstack_run(nest, &depth);
		_exit(depth == RECSTACK_COUNT - 1 ? 0 : 1);
	}
	waitpid(child, status, 0);
}

static void a_child_has_all_but_its_own(void)
{
	pthread_t thread;
	int status = -1;

	CHECK(recstack_init() == 0);
	CHECK(pthread_create(&thread, NULL, stay_on_one, NULL) == 0);
	while (!LOAD(&entered))
		usleep(100);
	CHECK(recstack_run(fork_on_one, &status));
	STORE(&leave, 1);
	pthread_join(thread, NULL);
	CHECK(status == 0);
}
CASE(a_child_has_all_but_its_own)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs_on_one),
		cmocka_unit_test(test_are_used_up_and_come_back),
		cmocka_unit_test(test_two_threads_never_have_one),
		cmocka_unit_test(test_others_unwind_over_it),
		cmocka_unit_test(test_a_child_has_all_but_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
