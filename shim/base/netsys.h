/*
 * Raw system calls on sockets, like those for files in sys.h: they bypass every hook,
 * leave errno untouched and return a value or -errno.
 */
#ifndef CGOHEAP_NETSYS_H
#define CGOHEAP_NETSYS_H

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/sys.h"

static inline long net_socket(int family)
{
	return sys_move_up(sys_call(socket, family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

/* A connected pair of sockets within this process.  0 or -errno. */
static inline long net_pair(int type, int pair[2])
{
	long r = sys_call(socketpair, AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);
	if (sys_failed(r))
		return r;
	long one = sys_move_up(pair[0]), other = sys_move_up(pair[1]);
	pair[0] = (int)one;
	pair[1] = (int)other;
	if (!sys_failed(one) && !sys_failed(other))
		return 0;
	if (!sys_failed(one))
		sys_close((int)one);
	if (!sys_failed(other))
		sys_close((int)other);
	return -EMFILE;
}

static inline long net_bind(int fd, const void *address, size_t n)
{
	return sys_call(bind, fd, address, n);
}

static inline long net_listen(int fd, int backlog)
{
	return sys_call(listen, fd, backlog);
}

static inline long net_connect(int fd, const void *address, size_t n)
{
	return sys_call(connect, fd, address, n);
}

static inline long net_accept(int fd)
{
	return sys_move_up(sys_call(accept4, fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

static inline long net_get_option(int fd, int level, int name, void *value, socklen_t *n)
{
	return sys_call(getsockopt, fd, level, name, value, n);
}

static inline long net_set_option(int fd, int level, int name, const void *value, socklen_t n)
{
	return sys_call(setsockopt, fd, level, name, value, n);
}

static inline long net_own_name(int fd, void *address, socklen_t *n)
{
	return sys_call(getsockname, fd, address, n);
}

/* If the peer is gone: EPIPE, never SIGPIPE. */
static inline long net_send(int fd, const void *bytes, size_t n)
{
	return sys_call(sendto, fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static inline long net_receive(int fd, void *bytes, size_t n)
{
	return sys_call(recvfrom, fd, bytes, n, MSG_DONTWAIT);
}

static inline long net_end_sending(int fd)
{
	return sys_call(shutdown, fd, SHUT_WR);
}

static inline long net_poll(struct pollfd *list, size_t n, const struct timespec *timeout)
{
	/* The kernel writes the remaining time back into the timespec. */
	struct timespec left = timeout != NULL ? *timeout : (struct timespec){0, 0};
	return sys_call(ppoll, list, n, timeout != NULL ? (long)&left : 0);
}

#endif
