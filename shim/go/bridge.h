/*
 * The connection to the Go package cgo_bridge, if the program has it: its requests, and
 * what Go knows about itself.
 *
 * The package sends HTTP requests over a socket pair, like any client of the socket.  Go's
 * figures go the other way: the server sends a question on a socket pair that the package
 * reads, and waits a bounded time for the answer.  It never calls Go and holds no lock.
 */
#ifndef CGOHEAP_BRIDGE_H
#define CGOHEAP_BRIDGE_H

#include "../../cgo_bridge/cgoheap_bridge.h"
#include "base/base.h"
#include "region/region.h"

#define BRIDGE_FIGURES_NS UINT64_C(100000000)  /* timeout for figures */
#define BRIDGE_HEAP_NS    UINT64_C(2000000000) /* timeout for a whole heap profile */
#define BRIDGE_REST_NS                                                                             \
	UINT64_C(5000000000) /* after a timeout of the profile, none is requested                  \
			      */
/* Larger profiles of Go's heap are refused. */
#define BRIDGE_HEAP_MAX_BYTES (8 * MIB)

/* Once per server_bind: opens the inbox, where the package leaves its requests; start_server
 * (server_start) is called for each.  Reports no failure: the package does, if it is there. */
void bridge_open(int (*start_server)(void));
/* In a forked child: closes its copies and forgets the connection. */
void bridge_forget(void);

/* The implementation of cgoheap_bridge_v1 (interpose.c exports it). */
int bridge_want(uint32_t protocol, const char *version, enum cgoheap_bridge_want want,
		struct cgoheap_bridge_about *about);
/* The package has asked for something: the server must run, even without its own socket. */
bool bridge_is_wanted(void);

/* ---- server's thread ----------------------------------------------------- */

/* The descriptor to poll for POLLIN; -1 none. */
int bridge_inbox(void);
/* Takes from the inbox a descriptor to serve, or -1.  A socket for figures is kept here. */
int bridge_accept(void);

/* Whether the package is known to read the figures' socket; its version, "" if not. */
bool bridge_is_attached(void);
const char *bridge_package_version(void);

/* Questions without an answer, since the start. */
uint64_t bridge_missed(void);

/* Go's current figures.  -1: no package, or no answer within BRIDGE_FIGURES_NS. */
int bridge_read_figures(uint64_t out[CGOHEAP_GO_FIGURES]);

/*
 * Go's current heap profile as runtime/pprof writes it (gzip), in scratch.  -1: no
 * package, no answer within BRIDGE_HEAP_NS, or no room.  The server waits for the answer.
 * After a timeout it does not ask again for BRIDGE_REST_NS, and returns -1 at once.
 */
int bridge_read_heap(struct scratch *scratch, const uint8_t **bytes, size_t *count);

#endif
