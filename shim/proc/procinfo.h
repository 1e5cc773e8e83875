/*
 * The figures that others go by: the process's in /proc/self/status, and those
 * of the memory cgroup it is charged to.
 */
#ifndef CGOHEAP_PROCINFO_H
#define CGOHEAP_PROCINFO_H

#include "base/pagemap.h"
#include "region/region.h"

struct process_stats { /* /proc/self/status, bytes; UNKNOWN where the kernel has no such line */
	uint64_t vm_rss, rss_anon, rss_file, rss_shmem, vm_data, vm_stk, vm_size, vm_swap, vm_hwm;
	uint64_t threads;
};

struct cgroup_stats {
	int version; /* 1, 2, 0: none found */
	char path[256];
	uint64_t current, limit, anon, file, kernel, swap; /* v1: usage, limit, rss, cache */
};

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
