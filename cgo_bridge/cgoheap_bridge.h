/*
 * What libcgoheap.so and the Go package cgo_bridge say to each other.  Both are
 * in one process; this header is compiled into both, and is all that they share.
 *
 * The package binds to cgoheap_bridge_v1 weakly: it is NULL where the library is
 * not preloaded.  Everything else goes over two kinds of socket pairs, of which
 * the function hands out one end: so a call waits for nothing but the kernel, Go
 * waits in its network poller, and the library never calls Go.
 */
#ifndef CGOHEAP_BRIDGE_ABI_H
#define CGOHEAP_BRIDGE_ABI_H

#include <stdint.h>

/* Of all below.  A change that an older side would misread is a new number. */
#define CGOHEAP_BRIDGE_PROTOCOL 1

struct cgoheap_bridge_about {
	uint32_t protocol;   /* the library's CGOHEAP_BRIDGE_PROTOCOL */
	uint32_t is_passive; /* it does nothing in this process; passive_reason says why */
	char version[32];    /* "0.1.0" */
	char passive_reason[64];
};

enum cgoheap_bridge_want {
	CGOHEAP_BRIDGE_ABOUT,   /* only *about */
	CGOHEAP_BRIDGE_REQUEST, /* a connection for one HTTP request (a stream socket) */
	CGOHEAP_BRIDGE_FIGURES, /* where the library asks for Go's figures (a packet socket) */
};

/*
 * Fills *about, and returns 0, or a new descriptor, which is the caller's to
 * close, or -errno: ENOTSUP passive, EPROTO another protocol, EAGAIN too many
 * under way, EBADF the program has closed the library's own descriptors.  version
 * is the package's.  A later FIGURES takes the place of an earlier one, which reads
 * end of file.  Any thread, any time; takes no lock but the kernel's.
 */
int cgoheap_bridge_v1(uint32_t protocol, const char *version, enum cgoheap_bridge_want want,
		      struct cgoheap_bridge_about *about);

/* ---- the figures' socket: one message each, in the machine's own byte order -------- */

enum cgoheap_bridge_kind {
	CGOHEAP_BRIDGE_ASK_FIGURES = 1, /* answer: the header, and one uint64_t each of figure */
	CGOHEAP_BRIDGE_ASK_HEAP = 2, /* answer: pieces of runtime/pprof's heap profile, in order */
};

/* Both ways.  An answer has the sequence of its question; of an older one nothing is kept. */
struct cgoheap_bridge_message {
	uint32_t kind;
	uint32_t sequence;
	uint64_t bytes; /* ASK_HEAP's answer: of the whole profile; 0 where there is none */
};

#define CGOHEAP_BRIDGE_PIECE_BYTES 32768 /* of a profile, in one message */

#define CGOHEAP_BRIDGE_UNKNOWN UINT64_MAX

/* The 14 /memory/classes/ of runtime/metrics, by name; then others, in their own units. */
enum cgoheap_bridge_figure {
	CGOHEAP_GO_HEAP_FREE,
	CGOHEAP_GO_HEAP_OBJECTS,
	CGOHEAP_GO_HEAP_RELEASED,
	CGOHEAP_GO_HEAP_STACKS,
	CGOHEAP_GO_HEAP_UNUSED,
	CGOHEAP_GO_METADATA_MCACHE_FREE,
	CGOHEAP_GO_METADATA_MCACHE_INUSE,
	CGOHEAP_GO_METADATA_MSPAN_FREE,
	CGOHEAP_GO_METADATA_MSPAN_INUSE,
	CGOHEAP_GO_METADATA_OTHER,
	CGOHEAP_GO_OS_STACKS,
	CGOHEAP_GO_OTHER,
	CGOHEAP_GO_PROFILING_BUCKETS,
	CGOHEAP_GO_TOTAL,
	CGOHEAP_GO_CLASSES,                        /* their number */
	CGOHEAP_GO_HEAP_LIVE = CGOHEAP_GO_CLASSES, /* /gc/heap/live:bytes */
	CGOHEAP_GO_HEAP_GOAL,                      /* /gc/heap/goal:bytes */
	CGOHEAP_GO_ALLOCATED,                      /* /gc/heap/allocs:bytes, ever */
	CGOHEAP_GO_MEMORY_LIMIT,                   /* /gc/gomemlimit:bytes; INT64_MAX: none */
	CGOHEAP_GO_GOROUTINES,                     /* /sched/goroutines:goroutines */
	CGOHEAP_GO_LAST_GC,                        /* when it ended: Unix nanoseconds; 0: never */
	CGOHEAP_GO_FIGURES
};

#endif
