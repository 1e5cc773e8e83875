/*
 * What growth is measured from: the figures at the time of a request with
 * seconds=, kept until its answer is due.
 *
 * Each such request has its own while all of them together are small beside the
 * scratch that answers are built in.  Beyond that one that is at most a second old
 * is shared: the answer says what time it covers.
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

/* How many users there may be: each has a descriptor of the host's. */
void baseline_set_places(uint64_t places);
uint32_t baseline_places(void); /* at most BASELINES_MAX */
bool baseline_is_full(void);
/* An empty one for the caller to fill.  Not where it is full. */
struct baseline *baseline_new(uint64_t min_age_ns);
/* One of the same kind to share: where memory is short, and one is there that is new enough.  Else
 * NULL. */
struct baseline *baseline_share(uint64_t min_age_ns, bool with_go);
/* The last user's gives its memory back; NULL is fine. */
void baseline_release(struct baseline *b);

/* In a child of fork: what was kept is the parent's. */
void baseline_forget_all(void);

#endif
