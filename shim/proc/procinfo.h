/*
 * The kernel's totals: the process's from /proc/self/status, and those of its memory
 * cgroup.
 */
#ifndef CGOHEAP_PROCINFO_H
#define CGOHEAP_PROCINFO_H

#include "base/pagemap.h"
#include "region/region.h"

struct process_stats { /* /proc/self/status, in bytes; UNKNOWN if the kernel has no such line */
	uint64_t vm_rss, rss_anon, rss_file, rss_shmem, vm_data, vm_stk, vm_size, vm_swap, vm_hwm;
	uint64_t threads;
};

struct cgroup_stats {
	int version; /* 1, 2, 0: none found */
	char path[256];
	uint64_t current, limit, anon, file, kernel, swap; /* v1: usage, limit, rss, cache */
};

/* Figures that the kernel does not give are UNKNOWN.  path: a status file for tests, or NULL. */
void procinfo_read_status(struct scratch *scratch, const char *path, struct process_stats *out);

/*
 * From /proc/self/statm, which is read in a moment; UNKNOWN if it cannot be. No allocation. One
 * thread. It is read often, so its descriptor is kept: each open takes the program's lowest number
 * for a moment, and its dup2 to that number fails meanwhile.
 */
struct process_resident {
	uint64_t all, files; /* bytes; those of files among all */
};
struct process_resident procinfo_resident(void);
/* Call in the constructor, so that it is not opened beside the program's threads. */
void procinfo_open_resident(void);

/*
 * The memory cgroup of this process, found through the mounted file systems.  root:
 * prefix of /proc and of the cgroup mounts, "" except in tests.  limit: the lowest of the
 * cgroup and its ancestors up to the top of the mount; UNKNOWN if there is none.
 */
void procinfo_read_cgroup(struct scratch *scratch, const char *root, struct cgroup_stats *out);

/* The path of this process's executable, or "" if unknown.  Any thread; no allocation. */
void procinfo_executable(char *path, size_t bytes);

#endif
