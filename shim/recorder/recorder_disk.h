/*
 * The recorder's tables on a disk.
 *
 * A mapping of a file on a disk makes whoever writes to it wait for that disk: for
 * write-back, for a file system that a backup agent has frozen, for a server that
 * is gone.  So only a file in memory (tmpfs) is mapped.  Beside any other the tables
 * are anonymous memory, and a thread of ours writes what of them has changed to the
 * file, once a second: it is the only one that ever waits, and a process that is
 * killed loses that second at most.
 */
#ifndef CGOHEAP_RECORDER_DISK_H
#define CGOHEAP_RECORDER_DISK_H

#include "base/base.h"
#include "recorder/recorder_file.h"

/* The region is to be written to that file, which is this module's from now on.  0, or -1: no
 * memory. */
int recorder_disk_open(const struct recorder_file *file);
/* Makes the thread, beside the server's; once.  0, or an error number. */
int recorder_disk_start(void);

/*
 * Writes all that has changed since the last time.  -1: not all of it could be
 * written; the rest is tried again with the next.  The thread's own, and tests'.
 */
int recorder_disk_write(void);

/* In a child of fork: the file is its parent's.  True: there was one. */
bool recorder_disk_forget(void);

#endif
