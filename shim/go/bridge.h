/*
 * The other end of the Go package cgo_bridge, where the program has it: its
 * requests, and what Go knows of itself.
 *
 * The package asks by HTTP over a socket pair, as any client does over a socket
 * with a name.  Go's figures come the other way: the server asks on a socket pair
 * that the package reads, and waits for the answer, but never long.  Go is never
 * called, and no lock is held.
 */
#ifndef CGOHEAP_BRIDGE_H
#define CGOHEAP_BRIDGE_H

#include "../../cgo_bridge/cgoheap_bridge.h"
#include "base/base.h"
#include "region/region.h"

#define BRIDGE_FIGURES_NS UINT64_C(100000000)  /* what a figure may take to come */
#define BRIDGE_HEAP_NS    UINT64_C(2000000000) /* a whole heap profile */
#define BRIDGE_REST_NS    UINT64_C(5000000000) /* after one that did not come none is asked for */
/* A larger profile of Go's heap is refused. */
#define BRIDGE_HEAP_MAX_BYTES (8 * MIB)

/* Once per server_bind: where the package leaves what it wants; start_server (server_start) is
 * called when it does.  Says nothing where it fails: the package does, when it is there. */
void bridge_open(int (*start_server)(void));
/* In a child of fork: closes its copies, and forgets. */
void bridge_forget(void);

/* What cgoheap_bridge_v1 does (interpose.c exports it). */
int bridge_want(uint32_t protocol, const char *version, enum cgoheap_bridge_want want,
		struct cgoheap_bridge_about *about);
/* Somebody has wanted something: the server is to run, also without a socket of its own. */
bool bridge_is_wanted(void);

/* ---- server's thread ----------------------------------------------------- */

/* To poll for POLLIN; -1 none. */
int bridge_inbox(void);
/* What has come there: a descriptor to serve, or -1.  A socket for figures is taken here. */
int bridge_accept(void);

/* The package reads the figures' socket, as far as is known; its version, "" where it does not. */
bool bridge_is_attached(void);
const char *bridge_package_version(void);

/* Asked in vain, ever. */
uint64_t bridge_missed(void);

/* Go's figures now.  False: no package, or no answer in BRIDGE_FIGURES_NS. */
bool bridge_read_figures(uint64_t out[CGOHEAP_GO_FIGURES]);

/*
 * Go's own heap profile now, as runtime/pprof writes it (gzip); in scratch.  False: no
 * package, no answer in BRIDGE_HEAP_NS, or no room for it.  The server waits for it, so that
 * a Go that does not answer is left alone for BRIDGE_REST_NS: who asks then is told at once.
 */
bool bridge_read_heap(struct scratch *scratch, const uint8_t **bytes, size_t *count);

#endif
