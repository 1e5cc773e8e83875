/*
 * Room serve: requests and answers. The server's thread; no lock.
 *
 * HTTP/1.1 on a unix socket and, if requested, on loopback TCP.
 *
 * One thread, all signals blocked, its stack from our own memory, non-blocking I/O over poll: no
 * client waits for another's reads or writes, and none can hold the host. Limits: 16 connections
 * being read or answered (a further one gets 503 at once); beside them up to 64 (a sixteenth of
 * the descriptor limit) waiting for their seconds= to pass, and 2 reading events; 8 KiB per
 * request, 5 s to send it;
 * for the answer, 5 s without progress and 2 minutes in all; seconds= at most 3600. Peer
 * credentials: our own uid, or root. TCP has no credentials, so a request must name loopback as
 * its Host.
 *
 * The host may close or reuse any descriptor, so ours are checked before each use and abandoned
 * when they are no longer ours.
 */
#ifndef CGOHEAP_SERVER_H
#define CGOHEAP_SERVER_H

#include "base/base.h"
#include "config/config.h"

/* Binds the sockets. A failure prints one line and leaves that socket out. Allocates nothing.
 * Returns 0, or -1 if a requested socket is missing. */
int server_bind(const struct config *config);
/* Starts the thread; only the first call has an effect. Called when the host creates its
 * first thread, so that a program that must be single-threaded in its constructors (setns,
 * unshare) still is. -1: no thread (one line on stderr if it was refused; without a socket
 * none is wanted); the host runs on. errno untouched. */
int server_start(void);

const char *server_socket_path(void); /* "" if there is none */
bool server_is_retrying(void);        /* a requested socket is missing, and binding is retried */
uint16_t server_tcp_port(void);       /* 0 if there is none */

/* Child of fork: forgets everything, closes our copies of the descriptors (an open copy makes
 * a socket look alive with no server behind it), unlinks nothing. */
void server_after_fork_in_child(void);
/* After that, in a child that keeps profiling: creates a socket and a thread for it. */
void server_bind_again(const struct config *config);

#endif
