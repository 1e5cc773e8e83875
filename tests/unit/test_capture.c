/*
 * Capture in a C program: compares frames with glibc's backtrace(), which uses libgcc's
 * unwinder, through libc and cmocka code.  (Go stacks need a Go program: tests/e2e.)  The
 * test is linked with the shim's objects, so its frames count as the shim's and are left
 * out on both sides.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/arch.h"
#include "base/seccomp.h"
#include "base/sys.h"
#include "machine.h"
#include "region/recstack.h"
#include "region/region.h"
#include "unwind/capture.h"
#include "unwind/codetables.h"
#include "unwind/saferead.h"
#include "record/labelsets.h"

extern const char __ehdr_start[], etext[];

static struct capture captured;
static void *expected[256];
static int expected_count;

static int is_own(uint64_t pc)
{
	return pc >= (uint64_t)__ehdr_start && pc < (uint64_t)etext;
}

static void __attribute__((noinline)) take(void)
{
	struct regs regs;

	expected_count = backtrace(expected, (int)COUNT_OF(expected));
	arch_get_regs(&regs);
	capture_stack(&captured, &regs, 0x1000);
}

/* interrupted: the number of frames that were interrupted instead of calling.  Their pc is
 * kept one byte higher, so that "one less" is right for every frame. */
static void assert_captured(int interrupted)
{
	uint32_t at = 1;
	int first = 0;

	assert_int_equal(captured.frames[0], 0x1001);
	/* A sanitizer's backtrace() has an extra frame of the sanitizer in front. */
	while (first < 2 && captured.frames[1] != (uint64_t)expected[first])
		first++;
	for (int i = first; i < expected_count; i++) {
		if (is_own((uint64_t)expected[i]))
			continue;
		assert_true(at < captured.count);
		if (captured.frames[at] == (uint64_t)expected[i] + 1)
			interrupted--;
		else
			assert_int_equal(captured.frames[at], (uint64_t)expected[i]);
		at++;
	}
	assert_int_equal(interrupted, 0);
	assert_int_equal(captured.count, at);
}

static void assert_captured_as_expected(void)
{
	assert_captured(0);
}

static int compare_and_take(const void *a, const void *b)
{
	take();
	return *(const int *)a - *(const int *)b;
}

static void test_through_libc(void **state)
{
	int numbers[] = {3, 1, 2};

	(void)state;
	qsort(numbers, COUNT_OF(numbers), sizeof(numbers[0]), compare_and_take);
	assert_captured_as_expected();
	assert_true(captured.count >= 4);
	assert_int_equal(captured.end, CAPTURE_COMPLETE_THREAD);
	assert_int_equal(captured.omitted_at, 0);
}

static void *thread_body(void *arg)
{
	take();
	return arg;
}

static void test_thread_ends_at_its_start(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, thread_body, NULL), 0);
	pthread_join(thread, NULL);
	assert_captured_as_expected();
	assert_int_equal(captured.end, CAPTURE_COMPLETE_THREAD);
}

/* libc has few frames, so recursion through bsearch makes the depth. */
static int depth_wanted;
static void *(*search)(const void *, const void *, size_t, size_t, /* not the header's inline one */
		       int (*)(const void *, const void *));

static int recurse(const void *key, const void *element)
{
	if (--depth_wanted > 0)
		search(key, element, 1, 1, recurse);
	else
		take();
	return 0;
}

static void test_deep_stack_keeps_both_ends(void **state)
{
	static const char byte;
	uint64_t root;

	(void)state;
	depth_wanted = 1;
	search(&byte, &byte, 1, 1, recurse);
	root = captured.frames[captured.count - 1];
	depth_wanted = 1000;
	search(&byte, &byte, 1, 1, recurse);
	assert_int_equal(captured.count, CAPTURE_MAX_FRAMES);
	assert_int_equal(captured.omitted_at, CAPTURE_MAX_FRAMES - CAPTURE_ROOT_FRAMES);
	assert_int_equal(captured.end, CAPTURE_COMPLETE_THREAD);
	assert_int_equal(captured.frames[captured.count - 1], root);
}

static void test_shallower_than_the_limit_is_whole(void **state)
{
	static const char byte;

	(void)state;
	for (int depth = 100; depth < 140; depth++) {
		depth_wanted = depth;
		search(&byte, &byte, 1, 1, recurse);
		if (captured.omitted_at == 0)
			assert_captured_as_expected();
		else
			assert_int_equal(captured.count, CAPTURE_MAX_FRAMES);
	}
}

static void on_signal(int number)
{
	(void)number;
	take();
}

static int raise_in_comparison(const void *a, const void *b)
{
	(void)a;
	(void)b;
	raise(SIGUSR1);
	return 0;
}

static void test_signal_frame(void **state)
{
	static char alternate[64 * KIB];
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
	int numbers[2] = {0};

	(void)state;
	/* The handler's stack has pages; the frames there may be on more than one. */
	saferead_allow_copies(true);
	STORE(&seccomp_seen, SECCOMP_IS_NONE);
	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &action, NULL);
	qsort(numbers, 2, sizeof(numbers[0]), raise_in_comparison);
	STORE(&seccomp_seen, SECCOMP_IS_UNKNOWN);
	saferead_allow_copies(false);
	assert_captured(1);
	assert_int_equal(captured.end, CAPTURE_COMPLETE_THREAD);
}

/* ---- stacks whose top is unknown ------------------------------------------- */

static ucontext_t home, elsewhere;

/* Uses more than the page on which the walk begins. */
static void on_other_stack(void)
{
	static const char byte;

	depth_wanted = 60;
	search(&byte, &byte, 1, 1, recurse);
	swapcontext(&elsewhere, &home);
}

/* A coroutine's stack: unmapped above; makecontext's last function has no CFI. */
static void capture_on_coroutine(char *stack, size_t bytes)
{
	getcontext(&elsewhere);
	elsewhere.uc_stack.ss_sp = stack;
	elsewhere.uc_stack.ss_size = bytes;
	elsewhere.uc_link = &home;
	makecontext(&elsewhere, on_other_stack, 0);
	swapcontext(&home, &elsewhere);
}

static void test_small_foreign_stack(void **state)
{
	size_t bytes = 32 * KIB;
	char *stack = mmap(NULL, bytes + PAGE_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(stack, MAP_FAILED);
	mprotect(stack + bytes, PAGE_BYTES, PROT_NONE);
	saferead_allow_copies(true);
	for (int copies = 0; copies < 2; copies++) {
		STORE(&seccomp_seen, copies ? SECCOMP_IS_NONE : SECCOMP_IS_FILTER);
		capture_on_coroutine(stack, bytes);
		assert_true(captured.count >= 2);
		assert_int_equal(captured.end, copies ? CAPTURE_NO_CFI : CAPTURE_BAD_STACK);
		if (copies)
			assert_captured_as_expected();
	}
	STORE(&seccomp_seen, SECCOMP_IS_UNKNOWN);
	saferead_allow_copies(false);
	munmap(stack, bytes + PAGE_BYTES);
}

static void take_here(void *unused, const struct regs *host)
{
	(void)unused;
	capture_stack(&captured, host, 0x1000);
}

static bool had_recording_stack;
static char *handler_ran_at;

static void capture_in_handler(int signal)
{
	(void)signal;
	handler_ran_at = __builtin_frame_address(0);
	had_recording_stack = recstack_run(take_here, NULL);
}

/* Below a handler's stack may be any of the program's memory. */
static void test_a_small_signal_stack_is_enough(void **state)
{
	size_t bytes = (size_t)sysconf(_SC_MINSIGSTKSZ) + KIB;
	size_t pages = ALIGN_UP(bytes, PAGE_BYTES);
	char *guard = mmap(NULL, PAGE_BYTES + pages, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t own = {.ss_sp = guard + PAGE_BYTES, .ss_size = bytes},
		none = {.ss_flags = SS_DISABLE};
	struct sigaction action = {.sa_handler = capture_in_handler, .sa_flags = SA_ONSTACK};

	(void)state;
	if (IS_SANITIZED)
		skip();
	assert_ptr_not_equal(guard, MAP_FAILED);
	assert_int_equal(mprotect(guard, PAGE_BYTES, PROT_NONE), 0);
	capture_in_handler(0);
	assert_int_equal(captured.end, CAPTURE_COMPLETE_THREAD);
	assert_int_equal(sigaltstack(&own, NULL), 0);
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	raise(SIGUSR1);
	assert_true(handler_ran_at > guard && handler_ran_at < guard + PAGE_BYTES + pages);
	assert_true(had_recording_stack);
	assert_true(captured.end == CAPTURE_COMPLETE_THREAD || captured.end == CAPTURE_BAD_STACK);
	assert_int_equal(captured.frames[0], 0x1001);
	sigaltstack(&none, NULL);
	munmap(guard, PAGE_BYTES + pages);
}

static void *take_on(void *take_all)
{
	*(bool *)take_all = recstack_run(take_here, NULL);
	return NULL;
}

/* A thread on a stack that the program allocated: glibc's descriptor says where it ends. */
static void test_a_stack_that_the_program_has_mapped(void **state)
{
	static char stack[256 * KIB] __attribute__((aligned(64)));
	pthread_attr_t attr;
	pthread_t thread;
	bool ran = false;

	(void)state;
	pthread_attr_init(&attr);
	assert_int_equal(pthread_attr_setstack(&attr, stack, sizeof(stack)), 0);
	assert_int_equal(pthread_create(&thread, &attr, take_on, &ran), 0);
	pthread_join(thread, NULL);
	assert_true(ran);
	assert_int_equal(captured.end, CAPTURE_COMPLETE_THREAD);
}

/* ---- functions that a row cannot express ------------------------------------ */

/* Realigned: its CFA is a DWARF expression. */
static void __attribute__((noinline)) over_aligned(void (*call)(void))
{
	_Alignas(256) volatile char room[256];

	room[0] = 1;
	call();
	room[1] = room[0];
}

static void over_aligned_twice(void)
{
	over_aligned(take);
}

static void test_through_realigned_frames(void **state)
{
	(void)state;
	over_aligned(take);
	assert_captured_as_expected();
	over_aligned(over_aligned_twice);
	assert_captured_as_expected();
	assert_int_equal(captured.end, CAPTURE_COMPLETE_THREAD);
}

void hold(uint64_t word, void (*call)(void));
__asm__(".text\n.type hold, %function\nhold:\n.cfi_startproc\n" MACHINE_HOLD
	".cfi_endproc\n.size hold, .-hold\n");

static void take_only(void)
{
	recstack_run_anyhow(take_here, NULL);
}

static uint64_t wild_word;

static void take_with_wild_frame_pointer(void)
{
	hold(wild_word, take_only);
	__asm__ volatile("" ::: "memory");
}

static void test_data_in_the_frame_pointer_ends_the_stack_and_no_more(void **state)
{
	char *page = mmap(NULL, 2 * PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t values[] = {0,
			     1,
			     8,
			     (uint64_t)page + PAGE_BYTES,
			     -8,
			     (uint64_t)1 << 63,
			     (uint64_t)page,
			     (uint64_t)&page};

	(void)state;
	mprotect(page + PAGE_BYTES, PAGE_BYTES, PROT_READ | PROT_WRITE);
	for (size_t i = 0; i < COUNT_OF(values); i++)
		for (int copies = 0; copies < 2; copies++) {
			STORE(&seccomp_seen, copies ? SECCOMP_IS_NONE : SECCOMP_IS_FILTER);
			wild_word = values[i];
			over_aligned(take_with_wild_frame_pointer);
			assert_true(captured.count >= 1);
			assert_true(captured.end < CAPTURE_END_COUNT);
		}
	STORE(&seccomp_seen, SECCOMP_IS_UNKNOWN);
	munmap(page, 2 * PAGE_BYTES);
}

/* ---- the thread's last walk --------------------------------------------------- */

static uint64_t noted_leaf;

static int note_in_comparison(const void *a, const void *b)
{
	struct regs regs;

	(void)a, (void)b;
	arch_get_regs(&regs);
	capture_stack(&captured, &regs, noted_leaf);
	return 0;
}

/* The note that a capture from depth frames deep finds, before it leaves one. */
static __attribute__((noinline)) uint64_t note_at(int depth, uint64_t leaf)
{
	int numbers[2] = {0};
	uint64_t note;

	if (depth > 0) {
		note = note_at(depth - 1, leaf);
		__asm__ volatile("" ::: "memory"); /* no tail call */
		return note;
	}
	noted_leaf = leaf;
	qsort(numbers, 2, sizeof(numbers[0]), note_in_comparison);
	note = captured.note;
	capture_note(&captured, 1000 + leaf);
	return note;
}

static void test_a_note_stays_with_an_unchanged_stack(void **state)
{
	/* A table, and no conditions: for those the compiler makes several calls of note_at, which
	 * return to different addresses. */
	static const struct {
		bool unloads;
		int depth;
		uint64_t leaf;
	} rounds[] = {{0, 0, 1}, {0, 0, 1}, {0, 0, 2}, {0, 0, 1}, {0, 1, 1},
		      {0, 0, 1}, {1, 0, 1}, {0, 0, 1}, {0, 0, 1}};
	uint64_t notes[COUNT_OF(rounds)];

	(void)state;
	if (IS_SANITIZED || !MACHINE_WALKS_QUICKLY) /* realigned frames are walked by rules */
		skip();
	for (size_t i = 0; i < COUNT_OF(rounds); i++) {
		__asm__ volatile("" : "+r"(i));
		if (rounds[i].unloads)
			codetables_changed();
		notes[i] = note_at(rounds[i].depth, rounds[i].leaf);
	}
	assert_int_equal(notes[1], 1001);
	assert_int_equal(captured.unchanged, captured.count - 1);
	assert_int_equal(notes[2], 0); /* another leaf */
	assert_int_equal(notes[3], 0);
	assert_int_equal(notes[4], 0); /* one frame more */
	assert_int_equal(notes[5], 0);
	assert_int_equal(notes[6], 0); /* code was unloaded */
	/* The first walk after that looks rows up, and the next remembers what it walked. */
	assert_int_equal(notes[8], 1001);
}

static void test_a_note_of_an_older_capture_is_dropped(void **state)
{
	struct capture older;

	(void)state;
	for (int i = 0; i < 2; i++) {
		note_at(0, 1);
		older = captured;
		note_at(1, 1);
		capture_note(&older, 7);
		assert_int_not_equal(captured.note, 7);
	}
	older.memory = NULL;
	capture_note(&older, 7);
}

static void *note_on_thread(void *note)
{
	*(uint64_t *)note = note_at(0, 1);
	return NULL;
}

static void test_another_thread_has_no_note(void **state)
{
	uint64_t note = 1;
	pthread_t thread;

	(void)state;
	note_at(0, 1);
	assert_int_equal(pthread_create(&thread, NULL, note_on_thread, &note), 0);
	pthread_join(thread, NULL);
	assert_int_equal(note, 0);
}

/* Frames in the middle differ, and so does their number. */
static int turn;

static __attribute__((noinline)) uint64_t by_one_way(void)
{
	uint64_t note = note_at(3, 1);
	__asm__ volatile("nop" ::: "memory");
	return note;
}

static __attribute__((noinline)) uint64_t by_another_way(void)
{
	uint64_t note = note_at(2, 1);
	__asm__ volatile("nop; nop" ::: "memory");
	return note;
}

static int either_way(const void *a, const void *b)
{
	(void)a, (void)b;
	(turn++ & 1 ? by_one_way : by_another_way)();
	return 0;
}

static void test_what_is_further_out_is_unchanged(void **state)
{
	(void)state;
	if (IS_SANITIZED || !MACHINE_WALKS_QUICKLY)
		skip();
	for (int i = 0; i < 4; i++) {
		int numbers[2] = {0};
		qsort(numbers, 2, sizeof(numbers[0]), either_way);
		assert_int_equal(captured.note, 0);
		assert_true(i == 0 || captured.unchanged > 0);
		assert_true(captured.unchanged < captured.count - 1);
	}
}

/* ---- invalid registers ---------------------------------------------------------- */

/* Registers that point nowhere end the stack, not the process. */
static void test_wild_registers(void **state)
{
	struct regs good, regs;
	uint64_t wild[] = {0,
			   8,
			   7,
			   UINT64_MAX,
			   UINT64_MAX - 7,
			   (uint64_t)1 << 63,
			   0x10000,
			   (uint64_t)etext + (1 << 30)};

	(void)state;
	arch_get_regs(&good);
	for (size_t i = 0; i < COUNT_OF(wild); i++) {
		regs = good;
		regs.ip = (uint64_t)dlsym(RTLD_DEFAULT, "qsort") + 64;
		regs.bp = wild[i];
		capture_stack(&captured, &regs, 0x1000);
		regs.ip = wild[i];
		capture_stack(&captured, &regs, 0x1000);
		assert_true(captured.count >= 1);
		assert_true(captured.end < CAPTURE_END_COUNT);
	}
}

static void test_every_end_has_a_name(void **state)
{
	(void)state;
	for (uint32_t end = 0; end < CAPTURE_END_COUNT; end++)
		assert_string_not_equal(capture_end_name(end), "unknown");
	assert_string_equal(capture_end_name(CAPTURE_END_COUNT), "unknown");
}

static int setup(void **state)
{
	void *warm[1];

	(void)state;
	backtrace(warm, 1); /* loads libgcc_s now */
	search = dlsym(RTLD_DEFAULT, "bsearch");
	if (region_init(32 * MIB) || recstack_init())
		return -1;
	capture_init(labelsets_keep);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_through_libc),
		cmocka_unit_test(test_thread_ends_at_its_start),
		cmocka_unit_test(test_deep_stack_keeps_both_ends),
		cmocka_unit_test(test_shallower_than_the_limit_is_whole),
		cmocka_unit_test(test_signal_frame),
		cmocka_unit_test(test_small_foreign_stack),
		cmocka_unit_test(test_a_small_signal_stack_is_enough),
		cmocka_unit_test(test_a_stack_that_the_program_has_mapped),
		cmocka_unit_test(test_through_realigned_frames),
		cmocka_unit_test(test_data_in_the_frame_pointer_ends_the_stack_and_no_more),
		cmocka_unit_test(test_a_note_stays_with_an_unchanged_stack),
		cmocka_unit_test(test_a_note_of_an_older_capture_is_dropped),
		cmocka_unit_test(test_another_thread_has_no_note),
		cmocka_unit_test(test_what_is_further_out_is_unchanged),
		cmocka_unit_test(test_wild_registers),
		cmocka_unit_test(test_every_end_has_a_name),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
