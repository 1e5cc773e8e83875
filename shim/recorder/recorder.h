/*
 * Room recorder: the record in a file, for after the end.  A thread of its own, or the server's; no
 * lock.
 *
 * The recorder: what is known of the process in a file, so that it can
 * still be read after kill -9 or the kernel's OOM killer (`cgoheap autopsy`).
 *
 * With CGOHEAP_BLACKBOX=dir the region goes to <dir>/<program>.<pid>.cgoheap, mode
 * 0600: in a file system in memory it is a shared mapping of it, so that stacks,
 * sites and live blocks are in it as they are made, at no cost; on a disk a thread
 * writes once a second what has changed (recorder_disk.h).  Behind the tables lies
 * struct recording: what turns addresses into names later, the last hour's figures, one
 * look a second, and the last account, by the server's thread.
 *
 * A look costs a few reads of /proc and the allocator's statistics, which take its
 * locks (allocator.h bounds how often).  An account is a pass over smaps: there is one a
 * second, but none before 200 times the processor time that the last one took (the first
 * one apart, which looks symbols up), so that accounts have 0.5 % of a core at most.  Where
 * that is more than a second, the account is that much older at the end.
 *
 * All of the file is allocated before it is used: what is full later cannot raise
 * SIGBUS in the host.  A lock on the file (flock) lasts as long as the mapping, or the
 * descriptor that it is written through: who holds none has ended.  Old files of ended processes
 * are removed, the oldest first, when a new one is made.
 *
 * Where anything is wrong one line says so, and the program runs on without.
 */
#ifndef CGOHEAP_RECORDER_H
#define CGOHEAP_RECORDER_H

#include <assert.h>

#include "base/base.h"
#include "config/config.h"
#include "proc/elffile.h"
#include "account/account.h"

#define RECORDER_SUFFIX    ".cgoheap"
#define RECORDER_FILES     16          /* kept, the new one included */
#define RECORDER_ALL_BYTES (512 * MIB) /* of them together */

#define RECORDING_MODULES       512
#define RECORDING_SECONDS       3600
#define RECORDING_GO_TABLES     7 /* names, cutab, filetab, pctab, funcs, ftab, gofunc */
#define RECORDING_PATH_BYTES    256
#define RECORDING_OWNERS        20 /* room */
#define RECORDING_ACCOUNTS      2
#define RECORDING_ACCOUNT_BYTES (64 * KIB)

/*
 * The command reads these by what tools/generate makes of them.  A change of layout is a new
 * REGION_VERSION.
 */

#define RECORDING_MODULE_MAIN    1u
#define RECORDING_MODULE_SHIM    2u
#define RECORDING_MODULE_HAS_ELF 4u /* load_bias is known */

struct recording_module {
	uint64_t start, end, file_offset, load_bias; /* as struct module */
	uint32_t flags;
	uint32_t reserved;
	char build_id[72];               /* hex; "" none */
	char path[RECORDING_PATH_BYTES]; /* a longer one is cut */
};

/* Figures in bytes; UINT64_MAX: not known. */
struct recording_second {
	uint64_t realtime_ns;
	uint64_t rss, anon, file, shmem, swap;
	uint64_t cgroup_current, cgroup_limit;
	uint64_t c_live_bytes, c_live_objects; /* malloc family, estimated */
	uint64_t c_mapped_bytes;
	uint64_t thread_stacks; /* resident; as of at most 10 s ago */
	uint64_t samples, dropped;
	uint32_t sample_bytes, configured_sample_bytes; /* 0: dormant */
	/* As the allocator and Go's runtime say (account.h); the allocator's may be older,
	 * allocator.h. */
	uint64_t allocator_in_use, allocator_free, allocator_system;
	uint64_t go_heap_in_use, go_heap_free, go_heap_released, go_stacks;
	/* What each owner had, by the last account before it: the account's time (0: there
	 * was none); pages of 4 KiB in its order of owners, UINT32_MAX: not known. */
	uint64_t account_ns;
	uint32_t owner_pages[RECORDING_OWNERS];
	uint32_t unexplained_pages;
	uint32_t reserved;
};

/*
 * An account as /v1/account would have answered it, as a gzip stream.  One is written over the
 * older of two; one whose crc is not right was being written, and the other is the last.
 */
struct recording_account {
	uint32_t crc;      /* CRC-32 (zlib's) of all that follows it, as far as json is used */
	uint32_t bytes;    /* of json; 0: none was written here */
	uint64_t sequence; /* from 1; the larger one is the newer */
	unsigned char json[RECORDING_ACCOUNT_BYTES - 16];
};

struct recording_table {
	uint64_t address, len; /* in the process */
};

struct recording {
	uint32_t account_bytes, module_room, second_room; /* of what lies behind, in this order */
	uint32_t module_count;
	uint64_t second_count; /* ever; the last is at (count - 1) % room */
	uint64_t go_text, go_etext;
	struct recording_table go_tables[RECORDING_GO_TABLES];
	uint32_t go_is_1_20;
	uint32_t reserved;
	char program[RECORDING_PATH_BYTES];
	char go_version[64];
	char shim_version[32];
	/* What of the environment it was started with a verdict asks for; "" not set, or too long.
	 */
	char go_memory_limit[32];  /* GOMEMLIMIT */
	char malloc_arena_max[32]; /* MALLOC_ARENA_MAX */
	struct recording_account accounts[RECORDING_ACCOUNTS];
	struct recording_module modules[RECORDING_MODULES];
	struct recording_second seconds[RECORDING_SECONDS];
};

/*
 * Makes the file and the region in it, in place of region_init.  0; or -1, after
 * one line on stderr where the recorder was asked for: the caller makes a region
 * without it.  Once, in the constructor, after gomodules_init.
 */
int recorder_open(const struct config *config);

bool recorder_is_on(void);
/* With the server's thread: makes another where the file is on a disk.  0, or an error number. */
int recorder_start(void);

/* Server's loop: writes what is due.  Nanoseconds until the next; UINT64_MAX where off. */
uint64_t recorder_tick(void);

/*
 * The child gets a region of its own, without a file: the file is its parent's.
 * goes_on: with all that is in it.  Before anything in it is changed.
 */
void recorder_after_fork_in_child(bool goes_on);

#endif
