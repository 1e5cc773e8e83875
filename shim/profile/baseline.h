/*
 * Baselines for growth: the figures at the time of a request with seconds=, kept until its
 * answer is due.
 *
 * Each such request has its own baseline while all of them together are small compared to the
 * scratch that answers are built in. Beyond that, a request shares a baseline that is at most a
 * second old, and the answer says what time it covers.
 *
 * The server's thread only.
 */
#ifndef CGOHEAP_BASELINE_H
#define CGOHEAP_BASELINE_H

#include "base/base.h"
#include "region/region.h"
#include "record/stacks.h"
#include "profile/profile.h"

#define BASELINES_MAX 64 /* requests that wait for growth */

struct baseline {
	uint32_t users; /* 0: free */
	uint64_t min_age_ns;
	struct scratch scratch; /* owns what the others point to */
	struct snapshot snapshot;
	struct go_heap go; /* empty without Go's heap */
};

/* Limits the number of users; each holds a descriptor in the host. */
void baseline_set_places(uint64_t places);
uint32_t baseline_places(void); /* at most BASELINES_MAX */
bool baseline_is_full(void);
/* A new empty baseline for the caller to fill, or NULL if all are in use. */
struct baseline *baseline_new(uint64_t min_age_ns);
/* If memory is short, shares a recent baseline of the same kind. Otherwise, or if there is
 * none, NULL. */
struct baseline *baseline_share(uint64_t min_age_ns, bool with_go);
/* The last user's release frees its memory. NULL is allowed. */
void baseline_release(struct baseline *b);

/* In a child of fork: the baselines belong to the parent. */
void baseline_forget_all(void);

#endif
