/*
 * The sites that a thread met last, by stack and size, so that an allocation like an earlier one
 * needs no search.
 *
 * A thread's last capture carries a note (capture.h): the id of its stack, and the generation it
 * was found in. Stacks are only reclaimed after known_forget has begun another generation, so an
 * id of the current one is as good as a lookup: ask for the generation under a pin, before the
 * lookup or instead of it.
 *
 * Each thread has its own; no lock. A signal handler that interrupts known_add records nothing.
 */
#ifndef CGOHEAP_KNOWN_H
#define CGOHEAP_KNOWN_H

#include "base/base.h"
#include "base/hash.h"

#define KNOWN_BITS 4

struct known {
	uint32_t generation; /* of all sites here */
	struct known_site {
		uint64_t size;
		uint32_t stack, site;
	} sites[1 << KNOWN_BITS];
};
extern __thread struct known known_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
extern uint32_t known_current __attribute__((visibility("hidden"))); /* never 0 */

static inline uint32_t known_generation(void)
{
	return LOAD_ACQ(&known_current);
}

static inline uint64_t known_note(uint32_t stack, uint32_t generation)
{
	return stack ? (uint64_t)generation << 32 | stack : 0;
}

/* 0: not known. */
static inline uint32_t known_stack(uint64_t note, uint32_t generation)
{
	return note >> 32 == generation ? (uint32_t)note : 0;
}

static inline struct known_site *known_at(uint32_t stack, uint64_t size)
{
	return &known_self.sites[hash_spread(stack ^ size << 32) >> (64 - KNOWN_BITS)];
}

/* The site where the noted stack allocates blocks of this size; 0: not known. */
static inline uint32_t known_site(uint64_t note, uint32_t generation, uint64_t size)
{
	const struct known_site *k = known_at((uint32_t)note, size);

	return likely(note >> 32 == generation && known_self.generation == generation &&
		      k->stack == (uint32_t)note && k->size == size)
		       ? k->site
		       : 0;
}

void known_add(uint32_t generation, uint32_t stack, uint64_t size, uint32_t site);

/* Begins another generation: call before stacks are taken out of their table. */
void known_forget(void);

#endif
