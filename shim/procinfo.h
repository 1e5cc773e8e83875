/*
 * The figures that others go by: the process's in /proc/self/status, and those
 * of the memory cgroup it is charged to.
 */
#ifndef CGOHEAP_PROCINFO_H
#define CGOHEAP_PROCINFO_H

#include "account.h"

/* Every figure UNKNOWN where the kernel does not give it; path of status for tests, NULL its own.
 */
void procinfo_read_status(struct scratch *scratch, const char *path, struct process_stats *out);

/*
 * The cgroup of this process as seen through the file systems mounted here
 * (root: where /proc and the cgroup mounts are looked for, "" but in tests).
 * limit: the lowest on the way from the cgroup to the top of what is mounted;
 * UNKNOWN where there is none.
 */
void procinfo_read_cgroup(struct scratch *scratch, const char *root, struct cgroup_stats *out);

#endif
