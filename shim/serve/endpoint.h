/*
 * A listening socket: created in the constructor, bound where only its owner can reach it, and
 * abandoned safely if the host takes over its descriptor.
 *
 * The default unix socket is cgoheap-<euid>/<pid>.sock in the first of these that can hold it:
 * $XDG_RUNTIME_DIR if that is set, absolute and ours; /tmp; /dev/shm. Our directory has mode
 * 0700; a directory that is a symbolic link, belongs to another user or is writable by others is
 * refused, in a line, and the next place is tried. The socket has mode 0600 from the moment it
 * exists. A socket file without a listener was left by a Go program, which exits by exit_group
 * without running destructors; it is replaced. A socket in use is never replaced: in our directory
 * it is one of another container with the same process IDs, and the name gets a number. Sockets
 * that other processes left in our directory are swept.
 */
#ifndef CGOHEAP_ENDPOINT_H
#define CGOHEAP_ENDPOINT_H

#include "base/base.h"
#include "base/ownfd.h"
#include "config/config.h"

/*
 * Binds and listens. Returns 0, or -1 after printing one line on stderr (none if quiet).
 * ENDPOINT_TAKEN is also an error, but may be temporary: the process that holds the address is
 * alive, most often the same service just before it exits. Allocates nothing. bound: the path in
 * use, as config gave it.
 */
#define ENDPOINT_TAKEN 1
int endpoint_open_unix(struct own_fd *own, const struct config *config, bool quiet,
		       char bound[CONFIG_PATH_BYTES]);

/*
 * Removes sockets named PID.sock or PID-N.sock that dead processes left in the directory of bound,
 * which must be ours (the default path): those of our user, older than a moment, and without a
 * listener. On the server's thread; prints nothing; reads at most 4096 names and removes at most
 * 256.
 */
void endpoint_sweep(const char *bound);

/* address in host order; port 0 = any free port, returned in *bound. */
int endpoint_open_tcp(struct own_fd *own, uint32_t address, uint16_t port, bool quiet,
		      uint16_t *bound);

#endif
