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

/* Those that runtime/metrics has, by their names there: X(PLACE, name). */
#define CGOHEAP_GO_METRICS(X)                                                                      \
	X(HEAP_FREE, "/memory/classes/heap/free:bytes")                                            \
	X(HEAP_OBJECTS, "/memory/classes/heap/objects:bytes")                                      \
	X(HEAP_RELEASED, "/memory/classes/heap/released:bytes")                                    \
	X(HEAP_STACKS, "/memory/classes/heap/stacks:bytes")                                        \
	X(HEAP_UNUSED, "/memory/classes/heap/unused:bytes")                                        \
	X(METADATA_MCACHE_FREE, "/memory/classes/metadata/mcache/free:bytes")                      \
	X(METADATA_MCACHE_INUSE, "/memory/classes/metadata/mcache/inuse:bytes")                    \
	X(METADATA_MSPAN_FREE, "/memory/classes/metadata/mspan/free:bytes")                        \
	X(METADATA_MSPAN_INUSE, "/memory/classes/metadata/mspan/inuse:bytes")                      \
	X(METADATA_OTHER, "/memory/classes/metadata/other:bytes")                                  \
	X(OS_STACKS, "/memory/classes/os-stacks:bytes")                                            \
	X(OTHER, "/memory/classes/other:bytes")                                                    \
	X(PROFILING_BUCKETS, "/memory/classes/profiling/buckets:bytes")                            \
	X(TOTAL, "/memory/classes/total:bytes")                                                    \
	X(HEAP_LIVE, "/gc/heap/live:bytes")                                                        \
	X(HEAP_GOAL, "/gc/heap/goal:bytes")                                                        \
	X(ALLOCATED, "/gc/heap/allocs:bytes")   /* ever */                                         \
	X(MEMORY_LIMIT, "/gc/gomemlimit:bytes") /* INT64_MAX: none */                              \
	X(GOROUTINES, "/sched/goroutines:goroutines")

/* Later ones; not all releases of Go have them. */
#define CGOHEAP_GO_LATER_METRICS(X)                                                                \
	X(FINALIZERS_QUEUED, "/gc/finalizers/queued:finalizers") /* ever, since Go 1.26 */         \
	X(FINALIZERS_EXECUTED, "/gc/finalizers/executed:finalizers")                               \
	X(CLEANUPS_QUEUED, "/gc/cleanups/queued:cleanups")                                         \
	X(CLEANUPS_EXECUTED, "/gc/cleanups/executed:cleanups")

/*
 * CGOHEAP_GO_HEAP_FREE and so on; then others, in their own units.  New ones go to the end:
 * an answer may end after any figure from CGOHEAP_GO_FIRST on (an older package's), and the
 * library leaves out what it does not know (a newer package's).
 */
enum cgoheap_bridge_figure {
#define CGOHEAP_GO_PLACE(place, name) CGOHEAP_GO_##place,
	CGOHEAP_GO_METRICS(CGOHEAP_GO_PLACE)
		CGOHEAP_GO_LAST_GC, /* when it ended: Unix nanoseconds; 0: never */
	CGOHEAP_GO_FIRST,
	CGOHEAP_GO_GC_CYCLES = CGOHEAP_GO_FIRST, /* ever */
	CGOHEAP_GO_GC_PAUSE,                     /* of all of them: nanoseconds */
	CGOHEAP_GO_GC_PERCENT,                   /* GOGC; INT64_MAX: off */
	CGOHEAP_GO_GC_BEFORE_LAST, /* when the one before the last ended, as LAST_GC */
	CGOHEAP_GO_LATER_METRICS(CGOHEAP_GO_PLACE)
#undef CGOHEAP_GO_PLACE
		CGOHEAP_GO_FIGURES,
	CGOHEAP_GO_CLASSES = CGOHEAP_GO_TOTAL + 1 /* the /memory/classes/ come first */
};

#endif
