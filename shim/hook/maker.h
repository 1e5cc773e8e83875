/*
 * Identifies the creator of a mapping: C code, with its site; the allocator; or the Go runtime.
 *
 * When C code maps, calls sbrk, or makes reserved memory usable, its stack is captured, up to
 * 1,000 times a second after a burst of 4,096. Beyond that, and if the thread is already inside
 * the shim, the site is the caller alone. So the hooks cost a program at most half a percent of
 * one processor however fast it maps, and no byte is missing from the profile.
 *
 * In a hook. Call under a pin (pins.h), and hold it until the site is stored.
 */
#ifndef CGOHEAP_MAKER_H
#define CGOHEAP_MAKER_H

#include "base/arch.h"
#include "base/base.h"
#include "record/mappings.h"
#include "record/stacks.h"

/* One call of the host. */
struct maker_call {
	const struct regs *host;
	uint64_t size; /* as asked */
	uint64_t leaf; /* the function that was called */
	uint64_t caller;
	enum origin origin;
	bool usable;
};

struct maker {
	uint32_t site;
	enum mappings_kind kind;
};

struct maker maker_find(const struct maker_call *call);

/* The site for the caller of leaf: with its stack if it may be captured now, otherwise with
 * the caller alone. 0: no room. host: recstack.h. */
uint32_t maker_site(const struct regs *host, uint64_t size, enum origin origin, uint64_t leaf,
		    uint64_t caller);

#endif
