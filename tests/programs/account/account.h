/*
 * For a program that compares its account before and after a change whose size it knows.
 */
#ifndef CGOHEAP_TESTS_ACCOUNT_H
#define CGOHEAP_TESTS_ACCOUNT_H

#include "../hooks/hooks.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#define MIB  (1LL << 20)
#define PAGE 4096

enum owner {
	GO_HEAP,
	GO_STACKS,
	GO_METADATA,
	C_LIVE,
	C_RETAINED,
	C_MMAP,
	C_BRK,
	FILE_COPIES,
	DEVICE_MAPS,
	THREAD_STACKS,
	PROGRAM,
	LIBRARIES,
	MAPPED_FILES,
	SHARED_MEMORY,
	SHIM,
	KERNEL,
	UNTRACKED_MMAP,
	OWNERS
};

static const char *const owner_names[OWNERS] = {
	"go_heap", "go_stacks",     "go_metadata",  "c_live",        "c_retained",
	"c_mmap",  "c_brk",         "file_copies",  "device_maps",   "thread_stacks",
	"program", "libraries",     "mapped_files", "shared_memory", "shim",
	"kernel",  "untracked_mmap"};

struct seen {
	long long rss, unexplained;
	long long owner[OWNERS]; /* -1: null */
};

/* The number after "key": from `at` on; -1: null. */
static inline long long number_after(const char *at, const char *key)
{
	char quoted[64];
	snprintf(quoted, sizeof(quoted), "\"%s\":", key);
	CHECK(at && (at = strstr(at, quoted)) != NULL);
	at += strlen(quoted);
	return strncmp(at, "null", 4) == 0 ? -1 : atoll(at);
}

static inline struct seen parse_account(const char *json)
{
	struct seen s = {.rss = number_after(json, "rss_bytes"),
			 .unexplained = number_after(json, "unexplained_bytes")};
	long long sum = s.unexplained;
	for (int i = 0; i < OWNERS; i++) {
		char name[64];
		snprintf(name, sizeof(name), "{\"name\":\"%s\",", owner_names[i]);
		s.owner[i] = number_after(strstr(json, name), "bytes");
		sum += s.owner[i] > 0 ? s.owner[i] : 0;
	}
	CHECK(sum == s.rss);
	return s;
}

/* Rss in smaps_rollup, read without the heap. */
static inline long long rollup_rss(void)
{
	char text[4096];
	int fd = open("/proc/self/smaps_rollup", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	CHECK(fd >= 0 && n > 0);
	close(fd);
	text[n] = 0;
	const char *at = strstr(text, "Rss:");
	CHECK(at);
	return atoll(at + 4) * 1024;
}

/* Waits until the allocator's figures are current: on a busy machine they may come late. */
static inline const char *fresh_account(void)
{
	const char *json;
	while (strstr(json = hooks_get("/v1/account"), "figures are from an earlier account"))
		usleep(10000);
	return json;
}

static inline struct seen take_account(void)
{
	struct seen s = parse_account(fresh_account());
	long long rss = rollup_rss(), most = rss / 100 > MIB ? rss / 100 : MIB;
	if (s.unexplained > most || llabs(s.rss - rss) > most) {
		dprintf(2, "rss %lld, unexplained %lld, smaps_rollup %lld\n", s.rss, s.unexplained,
			rss);
		_exit(1);
	}
	return s;
}

/* Checks each owner's growth, in bytes, within 2 %; other owners may grow by at most 2 % of
 * the total and 256 KiB. The shim's own memory is ignored. */
static inline void expect_growth(const struct seen *a, const struct seen *b,
				 const long long want[OWNERS])
{
	long long total = 0;
	for (int i = 0; i < OWNERS; i++)
		total += llabs(want[i]);
	for (int i = 0; i < OWNERS; i++) {
		long long grown = b->owner[i] - a->owner[i];
		long long most = want[i] ? llabs(want[i]) / 50 : total / 50;
		if (i == SHIM || llabs(grown - want[i]) <= most + 256 * 1024)
			continue;
		dprintf(2, "%s grew by %lld, true is %lld\n", owner_names[i], grown, want[i]);
		dprintf(2, "%s\n", hooks_get("/v1/account"));
		_exit(1);
	}
}

static inline void touch(void *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += PAGE)
		((volatile char *)p)[i] = 1;
}

#endif
