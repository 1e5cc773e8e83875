/*
 * Every system call that the library makes.  sys.h compiles only for the calls listed
 * here.
 *
 * COMMON: common filters allow it (systemd's @system-service, the default profiles of
 * Docker and containerd; tests/programs/seccomp runs under each).  RARE: at least one
 * of them does not; it is never made under a filter, and callers work without it
 * (sys_rare).  LIBC: made not by our code but by libc functions that it calls.
 *
 * Columns: name, an error it can really return (for tests/programs/faults), when it is
 * made, what is missing without it.  When: `start` (the constructor), `hook` (a slow
 * path on the host's thread), `thread` (a shim thread, unprompted), `request` (a shim
 * thread, for a request).
 */
#ifndef CGOHEAP_SYSCALLS_H
#define CGOHEAP_SYSCALLS_H

#define SYSCALLS(COMMON, RARE, LIBC)                                                               \
	COMMON(mmap, ENOMEM, "start, thread, request", "everything: no memory to record in")       \
	COMMON(munmap, ENOMEM, "thread, request", "memory of answers is not freed")                \
	COMMON(mprotect, ENOMEM, "start", "the guard pages of our stacks")                         \
	COMMON(mremap, ENOMEM, "start", "the recorder")                                            \
	COMMON(madvise, EAGAIN, "start", "children of a raw clone go unnoticed")                   \
	COMMON(openat, EMFILE, "start, thread, request", "accounts, symbols, the recorder")        \
	COMMON(close, EIO, "start, thread, request", "descriptors")                                \
	COMMON(read, EIO, "start, request", "accounts, symbols")                                   \
	COMMON(pread64, EIO, "start, request", "accounts, symbols")                                \
	COMMON(write, ENOSPC, "start", "complaints on stderr")                                     \
	COMMON(fstat, ENOMEM, "start, thread, request", "the check that the socket is ours")       \
	COMMON(newfstatat, ENOMEM, "start, thread", "the socket's directory, the recorder")        \
	COMMON(readlinkat, ENOMEM, "start, request", "the executable's name")                      \
	COMMON(unlinkat, EROFS, "start, thread", "old files of the recorder, dead sockets stay")   \
	COMMON(linkat, EXDEV, "start", "names in a leak check, where the program's file goes")     \
	COMMON(getdents64, EIO, "start, thread", "old files, dead sockets stay")                   \
	COMMON(lseek, EINVAL, "start, thread", "old files, dead sockets stay")                     \
	COMMON(flock, EWOULDBLOCK, "start, thread", "the recorder; names of dead sockets")         \
	COMMON(prlimit64, EPERM, "start", "the recorder; first stacks; seconds=")                  \
	COMMON(fstatfs, ENOSYS, "start", "a recorder without a delay on tmpfs")                    \
	COMMON(pwrite64, EIO, "start, thread", "the recorder, on a disk")                          \
	COMMON(fallocate, ENOSPC, "start", "the recorder")                                         \
	COMMON(mkdirat, ENOSPC, "start", "the socket, if its directory is missing")                \
	COMMON(fchmodat, EROFS, "start", "the socket's mode under a strange umask")                \
	COMMON(fchmod, EROFS, "start", "the socket's mode from the first moment")                  \
	COMMON(fcntl, EMFILE, "start", "descriptors above the host's")                             \
	COMMON(ioctl, ENOTTY, "request", "fast residency; a slow way is used")                     \
	COMMON(socket, EMFILE, "start, thread", "the socket")                                      \
	COMMON(socketpair, EMFILE, "start", "the server")                                          \
	COMMON(bind, EADDRINUSE, "start", "the socket")                                            \
	COMMON(listen, EADDRINUSE, "start", "the socket")                                          \
	COMMON(connect, ECONNREFUSED, "start, thread", "dead sockets' files stay")                 \
	COMMON(accept4, EMFILE, "thread", "answers")                                               \
	COMMON(getsockopt, ENOBUFS, "request", "answers: the client is unknown")                   \
	COMMON(setsockopt, ENOBUFS, "start", "reuse of a TCP port")                                \
	COMMON(getsockname, ENOBUFS, "start", "the TCP port")                                      \
	COMMON(sendto, ENOBUFS, "request", "answers")                                              \
	COMMON(recvfrom, ENOMEM, "request", "answers")                                             \
	COMMON(shutdown, ENOTCONN, "request", "a clean end of answers")                            \
	COMMON(ppoll, ENOMEM, "start, thread", "answers")                                          \
	COMMON(nanosleep, EINTR, "thread, hook", "the recorder, on a disk; fork's wait for us")    \
	COMMON(futex, EINTR, "thread, request, hook", "sleeping while a lock is held")             \
	COMMON(prctl, EPERM, "thread", "our threads' names")                                       \
	COMMON(gettid, ENOSYS, "hook", "a thread's ID at its first sample")                        \
	COMMON(getpid, ENOSYS, "start, thread, request", "the socket's name")                      \
	COMMON(geteuid, ENOSYS, "start, request", "the check of the client's user")                \
	COMMON(tgkill, ESRCH, "thread", "noticing threads that ended")                             \
	COMMON(clock_gettime, EINVAL, "thread, request", "the limit on our own CPU time")          \
	RARE(mincore, EAGAIN, "request", "residency without /proc/self/pagemap")                   \
	RARE(process_vm_readv, EPERM, "hook, request",                                             \
	     "fast reading of own memory (/proc/self/mem still works); coroutine stacks")          \
	RARE(rt_sigaction, EINVAL, "hook, thread",                                                 \
	     "recording on the stack that a handler without SA_ONSTACK expects")                   \
	LIBC(clone3, EAGAIN, "start", "our threads")                                               \
	LIBC(clone, EAGAIN, "start", "our threads")                                                \
	LIBC(set_robust_list, ENOSYS, "thread", "nothing")                                         \
	LIBC(rseq, ENOSYS, "thread", "nothing")                                                    \
	LIBC(brk, ENOMEM, "request", "trim")                                                       \
	LIBC(exit, ENOSYS, "thread", "nothing")

/* SYSCALL_openat = SYS_openat.  A rare call is SYSCALL_RARE_mincore; libc's have no name. */
#define SYSCALL_COMMON_NUMBER(name, error, when, missing) SYSCALL_##name = SYS_##name,
#define SYSCALL_RARE_NUMBER(name, error, when, missing)   SYSCALL_RARE_##name = SYS_##name,
#define SYSCALL_NO_NUMBER(name, error, when, missing)
enum syscall_number { SYSCALLS(SYSCALL_COMMON_NUMBER, SYSCALL_RARE_NUMBER, SYSCALL_NO_NUMBER) };

#endif
