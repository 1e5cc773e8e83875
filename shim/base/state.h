/* How the shim is in this process. */
#ifndef CGOHEAP_STATE_H
#define CGOHEAP_STATE_H

enum shim_state {
	SHIM_LOADING, /* before the constructor: hooks pass through */
	SHIM_PASSIVE, /* not a Go program, no memory, or child of fork: for good */
	SHIM_ACTIVE,
};
extern int shim_state;
extern const char *shim_passive_reason; /* for status and tests; NULL when active */

#endif
