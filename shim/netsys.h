/*
 * Raw system calls on sockets, as shim/sys.h has them for files: past every
 * hook, errno untouched, a value or -errno.
 */
#ifndef CGOHEAP_NETSYS_H
#define CGOHEAP_NETSYS_H

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "sys.h"

static inline long net_socket(int family)
{
	return sys_move_up(arch_syscall6(SYS_socket, family,
					 SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, 0, 0, 0));
}

/* Two ends of one connection, within this process.  0, or -errno. */
static inline long net_pair(int type, int pair[2])
{
	long r = arch_syscall6(SYS_socketpair, AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
			       (long)pair, 0, 0);
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
	return arch_syscall6(SYS_bind, fd, (long)address, (long)n, 0, 0, 0);
}

static inline long net_listen(int fd, int backlog)
{
	return arch_syscall6(SYS_listen, fd, backlog, 0, 0, 0, 0);
}

static inline long net_connect(int fd, const void *address, size_t n)
{
	return arch_syscall6(SYS_connect, fd, (long)address, (long)n, 0, 0, 0);
}

static inline long net_accept(int fd)
{
	return sys_move_up(
		arch_syscall6(SYS_accept4, fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC, 0, 0));
}

static inline long net_get_option(int fd, int level, int name, void *value, socklen_t *n)
{
	return arch_syscall6(SYS_getsockopt, fd, level, name, (long)value, (long)n, 0);
}

static inline long net_set_option(int fd, int level, int name, const void *value, socklen_t n)
{
	return arch_syscall6(SYS_setsockopt, fd, level, name, (long)value, n, 0);
}

static inline long net_own_name(int fd, void *address, socklen_t *n)
{
	return arch_syscall6(SYS_getsockname, fd, (long)address, (long)n, 0, 0, 0);
}

/* A peer that is gone answers EPIPE, never SIGPIPE. */
static inline long net_send(int fd, const void *bytes, size_t n)
{
	return arch_syscall6(SYS_sendto, fd, (long)bytes, (long)n, MSG_NOSIGNAL | MSG_DONTWAIT, 0,
			     0);
}

static inline long net_receive(int fd, void *bytes, size_t n)
{
	return arch_syscall6(SYS_recvfrom, fd, (long)bytes, (long)n, MSG_DONTWAIT, 0, 0);
}

static inline long net_end_sending(int fd)
{
	return arch_syscall6(SYS_shutdown, fd, SHUT_WR, 0, 0, 0, 0);
}

static inline long net_poll(struct pollfd *list, size_t n, const struct timespec *timeout)
{
	/* The kernel writes the time left back into the timespec. */
	struct timespec left = timeout != NULL ? *timeout : (struct timespec){0, 0};
	return arch_syscall6(SYS_ppoll, (long)list, (long)n, timeout != NULL ? (long)&left : 0, 0,
			     0, 0);
}

#endif
