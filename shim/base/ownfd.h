/*
 * A descriptor that may stop being ours.
 *
 * The host owns the descriptor table: a daemon may close every descriptor, and the
 * number is soon reused for another file.  So each of ours is kept with the device and
 * inode it had when we got it, and they must still match before it is used or closed.
 * If the host closes it between that check and the use, the use hits another file; the
 * race is a few instructions wide and cannot be closed.
 */
#ifndef CGOHEAP_OWNFD_H
#define CGOHEAP_OWNFD_H

#include "base/sys.h"

struct own_fd {
	int fd; /* -1: none */
	uint64_t device, inode;
};

#define OWN_FD_NONE ((struct own_fd){.fd = -1})

static inline struct own_fd own_fd_take(int fd)
{
	struct stat st;
	if (fd < 0 || sys_call(fstat, fd, &st) != 0)
		return OWN_FD_NONE;
	return (struct own_fd){.fd = fd, .device = st.st_dev, .inode = st.st_ino};
}

static inline bool own_fd_is_ours(const struct own_fd *own)
{
	struct own_fd now = own_fd_take(own->fd);
	return now.fd >= 0 && now.device == own->device && now.inode == own->inode;
}

/* Forgets the descriptor, and closes it if it is still ours. */
static inline void own_fd_close(struct own_fd *own)
{
	if (own_fd_is_ours(own))
		sys_close(own->fd);
	*own = OWN_FD_NONE;
}

#endif
