/*
 * A listening socket: made in the constructor, bound where only its owner can
 * reach it, and given up without harm when the host takes its descriptor.
 *
 * The default unix socket is cgoheap-<euid>/<pid>.sock in $XDG_RUNTIME_DIR where
 * that is set, absolute and can hold our directory, else in /tmp.  Our directory
 * has mode 0700; one that is a symbolic link, somebody else's, or writable by
 * others is refused.  The socket has mode 0600 from the moment it exists.  A
 * socket file nobody listens on is what a Go program leaves behind (it exits by
 * exit_group, no destructor runs) and is replaced; one in use never is.  Those that
other processes left in our directory are swept.
 */
#ifndef CGOHEAP_ENDPOINT_H
#define CGOHEAP_ENDPOINT_H

#include "base/base.h"
#include "base/ownfd.h"
#include "config/config.h"

/*
 * Binds and listens: 0; -1 after one line on stderr, or without if quiet.  ENDPOINT_TAKEN is
 * such a -1, too, but in time it may be another: who has it, most often the same service a
 * moment before it ends, is alive.  Nothing is allocated.  bound: the path it is at, as config
 * gave it.
 */
#define ENDPOINT_TAKEN 1
int endpoint_open_unix(struct own_fd *own, const struct config *config, bool quiet,
		       char bound[CONFIG_PATH_BYTES]);

/*
 * Removes from the directory of bound, which must be ours (the default path), the sockets named
 * PID.sock that processes which are gone have left: of our user, older than a moment, and nothing
 * listens.  On the server's thread; says nothing; looks at 4096 names and removes 256 at most.
 */
void endpoint_sweep(const char *bound);

/* address in host order; port 0 = any free one; *bound is the one it got. */
int endpoint_open_tcp(struct own_fd *own, uint32_t address, uint16_t port, bool quiet,
		      uint16_t *bound);

#endif
