/*
 * The flight recorder: what is known of the process in a file, so that it can
 * still be read after kill -9 or the kernel's OOM killer (`cgoheap autopsy`).
 *
 * With CGOHEAP_BLACKBOX=dir the region is a shared mapping of
 * <dir>/<program>.<pid>.cgoheap, mode 0600: stacks, sites and live blocks are in
 * it as they are made, at no cost of their own.  Behind them lies struct
 * blackbox: what turns addresses into names later, and the last hour's figures,
 * one moment a second, by the server's thread.
 *
 * All of the file is allocated on the disk before it is mapped: a disk that is
 * full later cannot raise SIGBUS in the host.  A lock on the file (flock) lasts as long
 * as the mapping: who holds none has ended.  Old files of ended processes are
 * removed, the oldest first, when a new one is made.
 *
 * Where anything is wrong one line says so, and the program runs on without.
 */
#ifndef CGOHEAP_BLACKBOX_H
#define CGOHEAP_BLACKBOX_H

#include <assert.h>

#include "base.h"
#include "config.h"
#include "elffile.h"

#define BLACKBOX_SUFFIX    ".cgoheap"
#define BLACKBOX_FILES     16          /* kept, the new one included */
#define BLACKBOX_ALL_BYTES (512 * MIB) /* of them together */

#define BLACKBOX_MODULES    512
#define BLACKBOX_MOMENTS    3600
#define BLACKBOX_GO_TABLES  7 /* names, cutab, filetab, pctab, funcs, ftab, gofunc */
#define BLACKBOX_PATH_BYTES 256

/* Fixed: cli/blackbox.go reads these.  A change of layout is a new REGION_VERSION. */

#define BLACKBOX_MODULE_MAIN    1u
#define BLACKBOX_MODULE_SHIM    2u
#define BLACKBOX_MODULE_HAS_ELF 4u /* load_bias is known */

struct blackbox_module {
	uint64_t start, end, file_offset, load_bias; /* as struct module */
	uint32_t flags;
	uint32_t reserved;
	char build_id[72];              /* hex; "" none */
	char path[BLACKBOX_PATH_BYTES]; /* a longer one is cut */
};

/* Figures in bytes; UINT64_MAX: not known. */
struct blackbox_moment {
	uint64_t realtime_ns;
	uint64_t rss, anon, file, shmem, swap;
	uint64_t cgroup_current, cgroup_limit;
	uint64_t c_live_bytes, c_live_objects; /* malloc family, estimated */
	uint64_t c_mapped_bytes;
	uint64_t thread_stack_bytes; /* resident; as of at most 10 moments ago */
	uint64_t samples, dropped;
	uint32_t sample_bytes, configured_sample_bytes; /* 0: dormant */
};

struct blackbox {
	uint32_t module_bytes, moment_bytes; /* of one entry below */
	uint32_t module_room, moment_room;
	uint32_t module_count;
	uint32_t go_is_1_20;
	uint64_t moment_count; /* ever; the last is at (count - 1) % room */
	uint64_t go_text, go_etext;
	struct {
		uint64_t address, len; /* in the process */
	} go_tables[BLACKBOX_GO_TABLES];
	char program[BLACKBOX_PATH_BYTES];
	char go_version[64];
	char shim_version[32];
	struct blackbox_module modules[BLACKBOX_MODULES];
	struct blackbox_moment moments[BLACKBOX_MOMENTS];
};
static_assert(sizeof(struct blackbox_module) == 368, "region layout");
static_assert(sizeof(struct blackbox_moment) == 120, "region layout");
static_assert(offsetof(struct blackbox, modules) == 512, "region layout");

/*
 * Makes the file and the region in it, in place of region_init.  0; or -1, after
 * one line on stderr where the recorder was asked for: the caller makes a region
 * without it.  Once, in the constructor, after gosym_init.
 */
int blackbox_open(const struct config *config);

bool blackbox_is_on(void);

/* Server's loop: writes what is due.  Nanoseconds until the next; UINT64_MAX where off. */
uint64_t blackbox_tick(void);

/*
 * The child gets a region of its own, without a file: the file is its parent's.
 * goes_on: with all that is in it.  Before anything in it is changed.
 */
void blackbox_after_fork_in_child(bool goes_on);

#endif
