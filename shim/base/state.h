/* Whether the shim is active in this process. */
#ifndef CGOHEAP_STATE_H
#define CGOHEAP_STATE_H

enum shim_state {
	SHIM_LOADING, /* before the constructor: hooks pass through */
	SHIM_PASSIVE, /* permanent: not a Go program, no memory, or a forked child */
	SHIM_ACTIVE,
};
extern int shim_state;
extern const char *shim_passive_reason; /* for status and tests; NULL if active */

#endif
