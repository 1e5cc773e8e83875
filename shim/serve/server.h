/*
 * Room serve: requests and answers.  The server's thread; no lock.
 *
 * HTTP/1.1 on a unix socket and, if asked, on loopback TCP.
 *
 * One thread, all signals blocked, its stack from our own memory, non-blocking
 * I/O over poll: no client waits for another's reading or writing, none can
 * hold the host.  Bounds: 16 connections that are read or answered (a further one is
 * answered 503 at once), up to 64 (a sixteenth of the limit on descriptors) that wait for their
 * seconds= to pass beside them, 8 KiB of request, 5 s to send it, 5 s without progress and 2
 * minutes in all while it is answered, seconds= at most 3600.  Peer credentials: our own uid, or
 * root; on TCP nobody can say, so a request must name loopback as its Host.
 *
 * The host may close or reuse any descriptor; ours are looked at before each use
 * and given up when they are no longer ours.
 */
#ifndef CGOHEAP_SERVER_H
#define CGOHEAP_SERVER_H

#include "base/base.h"
#include "config/config.h"

/* Binds the sockets (a failure prints one line and leaves that socket out). Allocates nothing.
 * 0, or -1 where something that was asked for is missing. */
int server_bind(const struct config *config);
/* Starts the thread; once, first call wins.  Called when the host makes its first
 * thread, so that a program which must still be single-threaded in its
 * constructors (setns, unshare) is.  -1: no thread (one line on stderr if it was
 * refused; without a socket none is wanted); the host runs on.  errno untouched. */
int server_start(void);

const char *server_socket_path(void); /* "" where there is none */
bool server_is_retrying(void);        /* something that was asked for is not there, and tried for */
uint16_t server_tcp_port(void);       /* 0 where there is none */

/* Child of fork: forget everything, close our copies of the descriptors (a socket somebody
 * still holds looks alive, with nobody behind it), unlink nothing. */
void server_after_fork_in_child(void);
/* After that, in a child that goes on: a socket and a thread of its own. */
void server_bind_again(const struct config *config);

#endif
