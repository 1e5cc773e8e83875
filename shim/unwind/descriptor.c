/* See descriptor.h. */
#include "unwind/descriptor.h"

#define WORDS     256  /* searched; the descriptor is larger */
#define MAX_BYTES 8192 /* of the descriptor, with its alignment */

/*
 * A small number before a pointer may have the sum of a stack's start and size: thread-specific
 * data lies in the descriptor as such pairs, and one of them is the stack's end (threads.c).
 */
#define STACK_LOWEST MIB
#define STACK_MOST   (UINT64_C(1) << 36)

enum { UNKNOWN, SEEN_ONCE, LEARNT, CONTRADICTED };
static struct {
	uint32_t state;
	uint32_t word;  /* index of the stack's start */
	uint64_t bytes; /* of the first thread's stack */
} place;

/* Its thread may be writing others of its words. */
__attribute__((no_sanitize("thread"))) static uint64_t word_at(uint64_t descriptor, size_t i)
{
	return LOAD((const uint64_t *)descriptor + i);
}

static bool is_stack_at(uint64_t descriptor, size_t i, struct descriptor_stack *out)
{
	uint64_t start = word_at(descriptor, i), bytes = word_at(descriptor, i + 1),
		 guard = word_at(descriptor, i + 2), above = start + bytes - descriptor;

	if (start >= descriptor || start < STACK_LOWEST || bytes > STACK_MOST ||
	    bytes <= descriptor - start || guard >= descriptor - start ||
	    (guard & (PAGE_BYTES - 1)) || above < WORDS * 8 || above > MAX_BYTES)
		return false;
	*out = (struct descriptor_stack){ALIGN_UP(start + guard, 8), descriptor & ~UINT64_C(7)};
	return true;
}

static __attribute__((noinline)) int search(uint64_t descriptor, struct descriptor_stack *out)
{
	struct descriptor_stack other;
	bool is_found = false;

	for (size_t i = 0; i + 3 <= WORDS; i++) {
		if (!is_stack_at(descriptor, i, is_found ? &other : out))
			continue;
		if (is_found && other.start != out->start)
			return -1;
		is_found = true;
	}
	return is_found ? 0 : -1;
}

int descriptor_stack(uint64_t descriptor, struct descriptor_stack *out)
{
	if (unlikely(!descriptor_is_learnt()))
		return search(descriptor, out);
	return is_stack_at(descriptor, place.word, out) ? 0 : -1;
}

bool descriptor_is_learnt(void)
{
	return LOAD_ACQ(&place.state) == LEARNT;
}

/* The only place of these two words, or WORDS: none, or several. */
static uint32_t only_place_of(uint64_t descriptor, uint64_t start, uint64_t bytes)
{
	uint32_t found = WORDS;

	for (uint32_t i = 0; i + 3 <= WORDS; i++) {
		if (word_at(descriptor, i) != start || word_at(descriptor, i + 1) != bytes)
			continue;
		if (found != WORDS)
			return WORDS;
		found = i;
	}
	return found;
}

/* Its words are read only if they lie on the stack that was given. */
static bool is_on(uint64_t descriptor, uint64_t start, uint64_t bytes)
{
	return descriptor % 8 == 0 && bytes > WORDS * 8 && descriptor >= start &&
	       descriptor - start <= bytes - WORDS * 8;
}

void descriptor_learn(uint64_t descriptor, uint64_t start, uint64_t bytes)
{
	if (!is_on(descriptor, start, bytes)) /* another library may have given it another stack */
		return;
	uint32_t word = only_place_of(descriptor, start, bytes);
	if (word == WORDS || (place.state != UNKNOWN && word != place.word))
		STORE(&place.state, CONTRADICTED);
	else if (place.state == UNKNOWN) {
		place.word = word;
		place.bytes = bytes;
		STORE(&place.state, SEEN_ONCE);
	} else if (place.state == SEEN_ONCE && bytes != place.bytes)
		STORE_REL(&place.state, LEARNT);
}
