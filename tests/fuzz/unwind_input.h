/*
 * Input for the walk over stacks: bytes that become registers and words of a stack, which
 * are mostly what a walk follows: return addresses in the libraries that are loaded,
 * addresses of the stack itself and of its edges, addresses where nothing is.
 * Used by fuzz_unwind.c and by the unit test.
 */
#ifndef CGOHEAP_TESTS_UNWIND_INPUT_H
#define CGOHEAP_TESTS_UNWIND_INPUT_H

#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/seccomp.h"
#include "region/recstack.h"
#include "region/region.h"
#include "unwind/saferead.h"
#include "unwind/capture.h"
#include "unwind/cfi_register.h"
#include "record/labelsets.h"

#define UNWIND_TABLES 32
#define UNWIND_WORDS  1024

static struct {
	struct unwind_table {
		uint64_t header;
		uint32_t count;
	} tables[UNWIND_TABLES];
	size_t table_count;
	uint64_t nowhere; /* two pages: nothing, and one that can be read */
} unwind_world;

static int unwind_add_table(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size, (void)arg;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		struct unwind_table t = {info->dlpi_addr + info->dlpi_phdr[i].p_vaddr, 0};
		if (info->dlpi_phdr[i].p_type != PT_GNU_EH_FRAME ||
		    unwind_world.table_count == UNWIND_TABLES)
			continue;
		memcpy(&t.count, (void *)(t.header + 8), sizeof(t.count));
		unwind_world.tables[unwind_world.table_count++] = t;
	}
	return 0;
}

/* Once.  False: no memory. */
static bool unwind_world_make(void)
{
	char *p = mmap(NULL, 2 * PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + PAGE_BYTES, PAGE_BYTES, PROT_READ | PROT_WRITE) ||
	    region_init(32 * MIB) || recstack_init())
		return false;
	unwind_world.nowhere = (uint64_t)p;
	dl_iterate_phdr(unwind_add_table, NULL);
	capture_init(labelsets_keep);
	saferead_allow_copies(true);
	return unwind_world.table_count > 0;
}

/* What is left of the input; past its end zeroes. */
struct unwind_bytes {
	const uint8_t *at, *end;
};

static uint64_t unwind_take(struct unwind_bytes *b, size_t n)
{
	uint64_t word = 0;
	size_t left = (size_t)(b->end - b->at);

	memcpy(&word, b->at, n < left ? n : left);
	b->at += n < left ? n : left;
	return word;
}

/* Somewhere in a function that has unwind information. */
static uint64_t unwind_take_code(struct unwind_bytes *b)
{
	const struct unwind_table *t =
		&unwind_world.tables[unwind_take(b, 1) % unwind_world.table_count];
	uint64_t n = unwind_take(b, 3) % (t->count ? t->count : 1);
	int32_t distance;

	memcpy(&distance, (void *)(t->header + 12 + 8 * n), sizeof(distance));
	return t->header + (uint64_t)(int64_t)distance + unwind_take(b, 1);
}

static uint64_t unwind_take_word(struct unwind_bytes *b, const uint64_t *words)
{
	uint64_t tp = arch_thread_pointer();

	switch (unwind_take(b, 1) % 10) {
	case 0:
		return unwind_take(b, 8);
	case 1:
		return unwind_take(b, 1);
	case 2:
		return unwind_world.nowhere + unwind_take(b, 2) % (2 * PAGE_BYTES);
	case 3:
		return tp - 64 + 8 * (unwind_take(b, 1) % 16); /* the stack's top */
	case 4:
		return (uint64_t)words - 64 + unwind_take(b, 1) % 128; /* where the walk begins */
	case 5:
	case 6:
		return (uint64_t)&words[unwind_take(b, 2) % UNWIND_WORDS];
	default:
		return unwind_take_code(b);
	}
}

static void unwind_walk(const uint8_t *bytes, size_t count, uint64_t *words)
{
	struct unwind_bytes b = {bytes, bytes + count};
	struct capture captured;
	struct regs regs;

	regs.sp = (uint64_t)words;
	regs.ip = unwind_take_code(&b);
	STORE(&seccomp_seen, unwind_take(&b, 1) & 1 ? SECCOMP_IS_NONE : SECCOMP_IS_FILTER);
	for (unsigned r = 0; r < CFI_SAVED; r++)
		*cfi_register_in(&regs, r) = unwind_take_word(&b, words);
	for (size_t i = 0; i < UNWIND_WORDS; i++)
		words[i] = b.at < b.end ? unwind_take_word(&b, words) : 0;
	capture_stack(&captured, &regs, 0x1000);
	if (captured.count < 1 || captured.count > CAPTURE_MAX_FRAMES ||
	    captured.end >= CAPTURE_END_COUNT || captured.frames[0] != 0x1001)
		abort();
}

/* On the thread's own stack, whose top is known. */
static __attribute__((noinline)) void unwind_walk_here(const uint8_t *bytes, size_t count)
{
	uint64_t words[UNWIND_WORDS];

	unwind_walk(bytes, count, words);
}

/* On memory that is no thread's stack, with nothing above it. */
static void unwind_walk_elsewhere(const uint8_t *bytes, size_t count)
{
	static char *stack;

	if (!stack) {
		stack = mmap(NULL, 3 * PAGE_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (stack == MAP_FAILED || mprotect(stack + 2 * PAGE_BYTES, PAGE_BYTES, PROT_NONE))
			abort();
	}
	unwind_walk(bytes, count, (uint64_t *)(void *)stack);
}

#endif
