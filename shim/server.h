/*
 * HTTP/1.1 on a unix socket and, if asked, on loopback TCP.
 *
 * One thread, all signals blocked, its stack from our own memory, non-blocking
 * I/O over poll: no client waits for another, none can hold the host.  Bounds:
 * 8 connections, 8 KiB of request, 5 s to send it, 5 s without progress while
 * it is answered, seconds= at most 3600.  Peer credentials: our own uid, or root.
 */
#ifndef CGOHEAP_SERVER_H
#define CGOHEAP_SERVER_H

#include "base.h"
#include "config.h"

/* Binds the sockets (a failure prints one line and leaves that socket out). Allocates nothing. */
int server_bind(const struct config *config);
/* Starts the thread; once, first call wins.  Called when the host makes its first
 * thread, so that a program which must still be single-threaded in its
 * constructors (setns, unshare) is. -1: no thread; the host runs on. */
int server_start(void);

const char *server_socket_path(void); /* "" where there is none */
uint16_t server_tcp_port(void);       /* 0 where there is none */

/* Child of fork: forget everything, close nothing the child does not own, unlink nothing. */
void server_after_fork_in_child(void);

#endif
