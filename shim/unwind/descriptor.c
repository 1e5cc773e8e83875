/* See descriptor.h. */
#include "unwind/descriptor.h"

#include "base/arch.h"
#include "base/libc.h"

#define WORDS 256 /* searched; the descriptor is larger, or ends at the thread pointer */

/*
 * A small number before a pointer may have the sum of a stack's start and size: thread-specific
 * data lies in the descriptor as such pairs, and one of them is the stack's end (threads.c).
 */
#define STACK_LOWEST MIB
#define STACK_MOST   (UINT64_C(1) << 36)

enum { UNKNOWN, SEEN_ONCE, LEARNT, CONTRADICTED, IS_MUSL };
static struct {
	uint32_t state;
	uint32_t word;  /* index of the stack's start */
	uint64_t bytes; /* of the first thread's stack */
} place;

/* Its thread may be writing others of its words. */
__attribute__((no_sanitize("thread"))) static uint64_t word_at(uint64_t descriptor, size_t i)
{
	return LOAD((const uint64_t *)(descriptor - ARCH_DESCRIPTOR_BELOW) + i);
}

static bool is_stack_at(uint64_t descriptor, size_t i, struct descriptor_stack *out)
{
	uint64_t start = word_at(descriptor, i), bytes = word_at(descriptor, i + 1),
		 guard = word_at(descriptor, i + 2), above = start + bytes - descriptor;

	if (start >= descriptor || start < STACK_LOWEST || bytes > STACK_MOST ||
	    bytes <= descriptor - start || guard >= descriptor - start ||
	    (guard & (PAGE_BYTES - 1)) || above < ARCH_STACK_END_LEAST ||
	    above > ARCH_STACK_END_MOST)
		return false;
	*out = (struct descriptor_stack){ALIGN_UP(start + guard, 8), descriptor & ~UINT64_C(7)};
	return true;
}

static __attribute__((noinline)) int search(uint64_t descriptor, struct descriptor_stack *out)
{
	struct descriptor_stack other;
	bool is_found = false;

	/* Where it begins is not known: what is below it may be unmapped.  One thread has shown it.
	 */
	if (ARCH_DESCRIPTOR_BELOW)
		return LOAD_ACQ(&place.state) == SEEN_ONCE &&
				       is_stack_at(descriptor, place.word, out)
			       ? 0
			       : -1;
	for (size_t i = 0; i + 3 <= WORDS; i++) {
		if (!is_stack_at(descriptor, i, is_found ? &other : out))
			continue;
		if (is_found && other.start != out->start)
			return -1;
		is_found = true;
	}
	return is_found ? 0 : -1;
}

/* ---- musl ----------------------------------------------------------------- */

/*
 * musl maps guard, stack, thread-local storage and the descriptor at once.  On a stack that the
 * program gave it, it maps nothing or the storage and the descriptor alone.
 */
struct musl_words {
	uint64_t map, mapped, top, bytes, guard;
};

static bool do_agree(uint64_t descriptor, const struct musl_words *w)
{
	uint64_t start = w->top - w->bytes;

	if (!w->bytes || w->bytes > STACK_MOST || w->mapped > STACK_MOST || start < STACK_LOWEST ||
	    start >= w->top || (w->guard | w->map) & (PAGE_BYTES - 1))
		return false;
	if (!w->map)
		return !w->guard && w->bytes < w->mapped &&
		       descriptor - w->top < w->mapped - w->bytes;
	if (w->mapped & (PAGE_BYTES - 1) || descriptor - w->map >= w->mapped)
		return false;
	return start == w->map + w->guard ? w->top <= descriptor
					  : !w->guard && start - w->map >= w->mapped;
}

/* words: the descriptor, or a copy of it. */
static int musl_words(const uint64_t *words, uint64_t descriptor, struct musl_words *out)
{
	int found = 0;

	for (size_t i = 0; i + 5 <= DESCRIPTOR_MUSL_WORDS; i++) {
		struct musl_words w = {LOAD(&words[i]), LOAD(&words[i + 1]), LOAD(&words[i + 2]),
				       LOAD(&words[i + 3]), LOAD(&words[i + 4])};
		if (!do_agree(descriptor, &w))
			continue;
		*out = w;
		found++;
	}
	return found == 1 ? 0 : -1;
}

static int musl_stack(uint64_t descriptor, struct descriptor_stack *out)
{
	struct musl_words w;

	/* As in search: below the thread pointer, where it begins is not known. */
	if (ARCH_DESCRIPTOR_BELOW || musl_words((const uint64_t *)descriptor, descriptor, &w))
		return -1;
	*out = (struct descriptor_stack){ALIGN_UP(w.top - w.bytes, 8), w.top & ~UINT64_C(7)};
	return 0;
}

int descriptor_musl_mapping(const uint64_t words[DESCRIPTOR_MUSL_WORDS], uint64_t descriptor,
			    struct descriptor_stack *out)
{
	struct musl_words w;

	if (musl_words(words, descriptor, &w) || !w.map)
		return -1;
	*out = (struct descriptor_stack){w.map + w.guard, w.map + w.mapped};
	return 0;
}

void descriptor_init(void)
{
	if (libc_kind() == LIBC_MUSL)
		STORE_REL(&place.state, IS_MUSL);
}

int descriptor_stack(uint64_t descriptor, struct descriptor_stack *out)
{
	if (LOAD_ACQ(&place.state) == IS_MUSL)
		return musl_stack(descriptor, out);
	if (unlikely(!descriptor_is_learnt()))
		return search(descriptor, out);
	return is_stack_at(descriptor, place.word, out) ? 0 : -1;
}

bool descriptor_is_learnt(void)
{
	uint32_t state = LOAD_ACQ(&place.state);

	return state == LEARNT || state == IS_MUSL;
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
	uint64_t first = descriptor - ARCH_DESCRIPTOR_BELOW;

	return descriptor % 8 == 0 && bytes > WORDS * 8 && first >= start &&
	       first - start <= bytes - WORDS * 8;
}

void descriptor_learn(uint64_t descriptor, uint64_t start, uint64_t bytes)
{
	/* Another library may have given it another stack. */
	if (place.state == IS_MUSL || !is_on(descriptor, start, bytes))
		return;
	uint32_t word = only_place_of(descriptor, start, bytes);
	if (word == WORDS || (place.state != UNKNOWN && word != place.word))
		STORE(&place.state, CONTRADICTED);
	else if (place.state == UNKNOWN) {
		place.word = word;
		place.bytes = bytes;
		STORE_REL(&place.state, SEEN_ONCE);
	} else if (place.state == SEEN_ONCE && bytes != place.bytes)
		STORE_REL(&place.state, LEARNT);
}
