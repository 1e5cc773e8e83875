/* Whether the shim is active in this process. */
#ifndef CGOHEAP_STATE_H
#define CGOHEAP_STATE_H

#include "base/base.h"

enum shim_state {
	SHIM_LOADING, /* before the constructor: hooks pass through */
	SHIM_PASSIVE, /* permanent: not a Go program, no memory, or a forked child */
	SHIM_ACTIVE,
};
extern int shim_state;
extern const char *shim_passive_reason; /* for status and tests; NULL if active */

/*
 * Go may come to a process that has many threads, so what a state needs (the region and all that
 * the constructor sets up, or the reason) is there before the state, for whoever asks for it here.
 */
static inline enum shim_state shim_state_now(void)
{
	return (enum shim_state)LOAD_ACQ(&shim_state);
}
static inline void shim_state_set(enum shim_state state)
{
	STORE_REL(&shim_state, (int)state);
}

#endif
