/*
 * Where a thread's stack lies, by words of its descriptor: made-up descriptors with other words
 * that would fit, and glibc's own.
 */
#include "child.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/arch.h"
#include "unwind/descriptor.h"
#include "unwind/saferead.h"
#include "hook/ownthread.h"
#include "hook/real.h"

/* ---- made-up descriptors --------------------------------------------------- */

#define WORDS       320 /* of a descriptor */
#define STACK_BYTES (64 * KIB)
#define PLACE       210 /* glibc 2.36 */

/* Bytes of a thread's stack with its descriptor at the top; all words are zero at first. */
struct made {
	char stack[STACK_BYTES];
	uint64_t words[WORDS];
};

static struct made *make(void)
{
	struct made *made = mmap(NULL, sizeof(*made), PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(made != MAP_FAILED);
	return made;
}

static uint64_t descriptor_of(struct made *made)
{
	return (uint64_t)made->words + ARCH_DESCRIPTOR_BELOW;
}

static void set(struct made *made, size_t place, uint64_t start, uint64_t bytes, uint64_t guard)
{
	made->words[place] = start;
	made->words[place + 1] = bytes;
	made->words[place + 2] = guard;
}

/* The true words; less: bytes that the stack is shorter, so that sizes differ. */
static void set_stack(struct made *made, size_t place, size_t less, uint64_t guard)
{
	set(made, place, (uint64_t)made, sizeof(*made) - less, guard);
}

static void learn(struct made *made, size_t less)
{
	descriptor_learn(descriptor_of(made), (uint64_t)made, sizeof(*made) - less);
}

static void learn_from_two(void)
{
	for (size_t less = 0; less < 128; less += 64) {
		struct made *made = make();
		CHECK(!descriptor_is_learnt());
		set_stack(made, PLACE, less, 0);
		learn(made, less);
	}
	CHECK(descriptor_is_learnt());
}

static void check_unknown(struct made *made)
{
	struct descriptor_stack stack;

	CHECK(descriptor_stack(descriptor_of(made), &stack) == -1);
}

/* Where it begins below its handle, it may be unknown until that is learnt. */
static bool may_be_unknown(uint64_t descriptor)
{
	struct descriptor_stack stack;

	return ARCH_DESCRIPTOR_BELOW && !descriptor_is_learnt() &&
	       descriptor_stack(descriptor, &stack) == -1;
}

static void check_stack(struct made *made, uint64_t guard)
{
	struct descriptor_stack stack;

	if (may_be_unknown(descriptor_of(made)))
		return;
	CHECK(descriptor_stack(descriptor_of(made), &stack) == 0);
	CHECK(stack.start == (uint64_t)made + guard);
	CHECK(stack.top == descriptor_of(made));
}

/* Fits as well as the true words do: another range that ends where they end. */
static void set_decoy(struct made *made, size_t place)
{
	set(made, place, (uint64_t)made - MIB, MIB + sizeof(*made), 0);
}

/* Thread-specific data: a small number and, as threads.c has it there, the stack's end. */
static void set_specific(struct made *made, size_t place)
{
	set(made, place, 3, (uint64_t)(made + 1), 0);
}

static void words_that_fit_elsewhere_are_not_used(void)
{
	learn_from_two();
	for (size_t place = 0; place + 3 <= 256; place++) {
		struct made *made = make();
		set_decoy(made, place);
		if (place + 3 > PLACE && place < PLACE + 3)
			set(made, place, 0, 0, 0);
		set_stack(made, PLACE, 0, 2 * PAGE_BYTES);
		check_stack(made, 2 * PAGE_BYTES);
		memset(made->words + PLACE, 0, 3 * 8);
		check_unknown(made);
		munmap(made, sizeof(*made));
	}
}

static void decoys_on_both_sides(void)
{
	struct made *made = make();

	set_decoy(made, PLACE - 10);
	set_stack(made, PLACE, 0, 0);
	set_decoy(made, PLACE + 10);
	check_unknown(made); /* not learnt: either may be it */
	learn_from_two();
	check_stack(made, 0);
}

static void specific_data_is_no_stack(void)
{
	struct made *made = make();

	set_specific(made, 98);
	check_unknown(made);
	set_stack(made, PLACE, 0, PAGE_BYTES);
	check_stack(made, PAGE_BYTES);
	learn_from_two();
	check_stack(made, PAGE_BYTES);
	memset(made->words + PLACE, 0, 3 * 8);
	check_unknown(made);
}

static void one_thread_teaches_nothing(void)
{
	struct made *made = make();

	set_stack(made, PLACE, 64, 0);
	for (int i = 0; i < 3; i++)
		learn(made, 64);
	CHECK(!descriptor_is_learnt());
	check_stack(made, 0);
}

static void a_contradiction_is_final(void)
{
	struct made *other = make();

	learn_from_two();
	set_stack(other, PLACE + 1, 192, 0);
	learn(other, 192);
	CHECK(!descriptor_is_learnt());
	check_stack(other, 0);
	set_stack(other, PLACE, 192, 0);
	learn(other, 192);
	CHECK(!descriptor_is_learnt());
}

static void two_places_teach_nothing(void)
{
	struct made *made = make();

	set_stack(made, PLACE, 0, 0);
	set_stack(made, PLACE + 20, 0, 0);
	learn(made, 0);
	for (size_t less = 64; less < 192; less += 64) {
		set_stack(made, PLACE, less, 0);
		learn(made, less);
	}
	CHECK(!descriptor_is_learnt());
}

/* As with a libc that has no such words, or whose handle is no address. */
static void handles_that_are_no_descriptor(void)
{
	static const uint64_t handles[] = {0, 1, 8, UINT64_MAX, UINT64_MAX - 7};
	struct made *made = make();

	for (size_t i = 0; i < COUNT_OF(handles); i++)
		descriptor_learn(handles[i], (uint64_t)made, sizeof(*made));
	descriptor_learn((uint64_t)made - 8, (uint64_t)made, sizeof(*made));
	descriptor_learn((uint64_t)(made + 1) + ARCH_DESCRIPTOR_BELOW - 8, (uint64_t)made,
			 sizeof(*made));
	descriptor_learn(descriptor_of(made), (uint64_t)made, 64);
	CHECK(!descriptor_is_learnt());
	learn_from_two();
}

CASE(words_that_fit_elsewhere_are_not_used)
CASE(decoys_on_both_sides)
CASE(specific_data_is_no_stack)
CASE(one_thread_teaches_nothing)
CASE(a_contradiction_is_final)
CASE(two_places_teach_nothing)
CASE(handles_that_are_no_descriptor)

/* ---- this libc's -------------------------------------------------------------- */

static void *wait_forever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void learn_as_the_library_does(void)
{
	CHECK(!descriptor_is_learnt());
	CHECK(ownthread_create(wait_forever) == 0);
	CHECK(!descriptor_is_learnt());
	CHECK(ownthread_create(wait_forever) == 0);
	CHECK(descriptor_is_learnt());
}

/* What pthread_getattr_np says of the calling thread. */
/* ---- musl: five words that agree (1.2.2 to 1.2.5 have them from the tenth on) ------------ */

#define MUSL_MAP   UINT64_C(0x7f1200000000)
#define MUSL_BYTES UINT64_C(0x23000)
#define MUSL_SELF  (MUSL_MAP + MUSL_BYTES - 1304)

static bool is_musls(const uint64_t words[5], uint64_t descriptor, struct descriptor_stack *out)
{
	uint64_t all[DESCRIPTOR_MUSL_WORDS] = {descriptor, MUSL_MAP + 64, descriptor, descriptor};

	memcpy(all + 9, words, 5 * sizeof(words[0]));
	return descriptor_musl_mapping(all, descriptor, out) == 0;
}

static void musls_words_have_to_agree(void)
{
	/* Mapping, its bytes, end of the stack, its bytes, guard. */
	const uint64_t good[5] = {MUSL_MAP, MUSL_BYTES, MUSL_SELF - 200,
				  MUSL_BYTES - 1304 - 200 - 0x2000, 0x2000};
	struct descriptor_stack stack;

	CHECK(is_musls(good, MUSL_SELF, &stack));
	CHECK(stack.start == MUSL_MAP + 0x2000 && stack.top == MUSL_MAP + MUSL_BYTES);
	for (size_t i = 0; i < 5; i++) {
		uint64_t words[5];
		memcpy(words, good, sizeof(words));
		words[i] += 16;
		CHECK(!is_musls(words, MUSL_SELF, &stack));
		words[i] = 0;
		CHECK(!is_musls(words, MUSL_SELF, &stack));
	}
	CHECK(!is_musls(good, MUSL_MAP + MUSL_BYTES, &stack));
	CHECK(!is_musls(good, MUSL_SELF - 400, &stack));
	/* The program's stack, with thread-local storage elsewhere, and with it on the stack. */
	const uint64_t apart[5] = {MUSL_MAP, MUSL_BYTES, 0x7f0000100000, 0x100000, 0};
	CHECK(is_musls(apart, MUSL_SELF, &stack) && stack.start == MUSL_MAP);
	const uint64_t inside[5] = {0, 0x100000, MUSL_SELF - 200, 0x100000 - 1504, 0};
	CHECK(!is_musls(inside, MUSL_SELF, &stack)); /* nothing is mapped */
}

CASE(musls_words_have_to_agree)

static void check_own_stack(void)
{
	struct descriptor_stack stack;
	pthread_attr_t attr;
	size_t bytes, guard;
	void *start;

	if (may_be_unknown(arch_thread_pointer()))
		return;
	CHECK(pthread_getattr_np(pthread_self(), &attr) == 0);
	CHECK(pthread_attr_getstack(&attr, &start, &bytes) == 0);
	CHECK(pthread_attr_getguardsize(&attr, &guard) == 0);
	CHECK(descriptor_stack(arch_thread_pointer(), &stack) == 0);
	CHECK(stack.start == (uint64_t)start || stack.start == (uint64_t)start + guard);
	CHECK(stack.top == arch_thread_pointer());
	CHECK(stack.top < (uint64_t)start + bytes);
	CHECK(saferead_stack_room(stack.start + 64) == 64);
	CHECK(saferead_stack_room(stack.top) == 0);
	pthread_attr_destroy(&attr);
}

/* Before the place is known, and after; with a word of the thread's that looks like a stack. */
static void *check_twice(void *key)
{
	uint64_t room;

	pthread_setspecific(*(pthread_key_t *)key, (void *)(arch_thread_pointer() + 4096));
	check_own_stack();
	saferead_lose(((uint64_t)&room & ~(uint64_t)(PAGE_BYTES - 1)) - 2 * PAGE_BYTES, PAGE_BYTES);
	room = saferead_stack_room((uint64_t)&room);
	CHECK(room < 2 * PAGE_BYTES);
	if (!descriptor_is_learnt())
		learn_as_the_library_does();
	CHECK(saferead_stack_room((uint64_t)&room) == room); /* what is lost remains lost */
	return NULL;
}

static void check_on_thread(size_t stack_bytes, size_t guard_bytes, void *stack)
{
	pthread_attr_t attr;
	pthread_t thread;
	pthread_key_t key;

	CHECK(pthread_key_create(&key, NULL) == 0);
	pthread_attr_init(&attr);
	CHECK(pthread_attr_setstacksize(&attr, stack_bytes) == 0);
	CHECK(pthread_attr_setguardsize(&attr, guard_bytes) == 0);
	if (stack)
		CHECK(pthread_attr_setstack(&attr, stack, stack_bytes) == 0);
	CHECK(pthread_create(&thread, &attr, check_twice, &key) == 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
}

static void real_threads(void)
{
	real_resolve();
	saferead_start();
	for (int i = 0; i < 2; i++) {
		check_on_thread(256 * KIB, PAGE_BYTES, NULL);
		CHECK(descriptor_is_learnt());
		check_on_thread(256 * KIB, 0, NULL);
		check_on_thread(300 * KIB, 3 * PAGE_BYTES, NULL);
		check_on_thread(256 * KIB + 24, 0, malloc(256 * KIB + 24));
	}
}

static void the_first_thread(void)
{
	struct descriptor_stack stack;

	real_resolve();
	saferead_start();
	for (int i = 0; i < 2; i++) {
		CHECK(descriptor_stack(arch_thread_pointer(), &stack) == -1);
		CHECK(saferead_stack_room((uint64_t)&stack) > 64 * KIB);
		if (i == 0)
			learn_as_the_library_does();
	}
}

CASE_WITHOUT_ASAN(real_threads)
CASE_WITHOUT_ASAN(the_first_thread)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words_that_fit_elsewhere_are_not_used),
		cmocka_unit_test(test_decoys_on_both_sides),
		cmocka_unit_test(test_specific_data_is_no_stack),
		cmocka_unit_test(test_one_thread_teaches_nothing),
		cmocka_unit_test(test_a_contradiction_is_final),
		cmocka_unit_test(test_two_places_teach_nothing),
		cmocka_unit_test(test_handles_that_are_no_descriptor),
		cmocka_unit_test(test_musls_words_have_to_agree),
		cmocka_unit_test(test_real_threads),
		cmocka_unit_test(test_the_first_thread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
