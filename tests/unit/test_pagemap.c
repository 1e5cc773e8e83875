/* Which pages are resident, compared with what was done to them. */
#include "child.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/base.h"
#include "base/pagemap.h"
#include "base/seccomp.h"
#include "base/selfmem.h"

#define COUNT 1500

static char *map_pages(size_t count)
{
	char *p = mmap(NULL, count * PAGE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	madvise(p, count * PAGE_BYTES, MADV_NOHUGEPAGE);
	return p;
}

/* Writes every third page and only reads every fifth, which makes it the zero page. */
static char *make_pages(uint8_t *written, uint8_t *present)
{
	char *p = map_pages(COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		volatile char *page = p + i * PAGE_BYTES;
		written[i] = i % 3 == 0;
		present[i] = written[i] || i % 5 == 0;
		if (written[i])
			*page = 1;
		else if (present[i])
			CHECK(*page == 0);
	}
	return p;
}

static uint64_t sum_of(const uint8_t *pages)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < COUNT; i++)
		sum += pages[i] * PAGE_BYTES;
	return sum;
}

static void present(void)
{
	uint8_t written[COUNT], present[COUNT], seen[COUNT];
	char *p = make_pages(written, present);

	CHECK(pagemap_present((uint64_t)p, COUNT, seen) == 0);
	/* Before Linux 6.7 the zero page cannot be told. */
	if (memcmp(seen, present, COUNT) != 0)
		CHECK(memcmp(seen, written, COUNT) == 0);
	CHECK(pagemap_resident_bytes((uint64_t)p, (uint64_t)p + COUNT * PAGE_BYTES) ==
	      sum_of(seen));
}
CASE(present)

static void not_mapped(void)
{
	uint8_t seen[8];
	char *p = map_pages(8);
	memset(p, 1, 8 * PAGE_BYTES);
	CHECK(munmap(p + 4 * PAGE_BYTES, PAGE_BYTES) == 0);
	CHECK(pagemap_present((uint64_t)p, 8, seen) == 0 && seen[3] && !seen[4] && seen[7]);
	CHECK(pagemap_resident_bytes((uint64_t)p, (uint64_t)p + 8 * PAGE_BYTES) == 7 * PAGE_BYTES);
}
CASE(not_mapped)

/* Without descriptors there is no pagemap.  mincore answers instead, but never under a filter. */
static void without_pagemap(void)
{
	struct rlimit none = {0, 0};
	struct pagemap_window w = {.end = 0};
	uint8_t seen[8];
	char *p = map_pages(8);
	uint64_t start = (uint64_t)p, end = start + 8 * PAGE_BYTES;
	p[0] = 1;
	CHECK(seccomp_look() == SECCOMP_IS_NONE);
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHECK(pagemap_present(start, 8, seen) == 0 && seen[0] && !seen[1]);
	seccomp_seen = SECCOMP_IS_FILTER;
	CHECK(pagemap_present(start, 8, seen) == -1);
	CHECK(pagemap_resident_bytes(start, end) == UNKNOWN);
	CHECK(pagemap_window_bytes(&w, start, start + 100, end) == UNKNOWN);
}
CASE(without_pagemap)

/* Ranges of any position and length, compared with a sum over pages. */
static void windows(void)
{
	uint8_t written[COUNT], present[COUNT], seen[COUNT];
	char *p = make_pages(written, present);
	uint64_t start = (uint64_t)p, end = start + COUNT * PAGE_BYTES, at = 0;
	struct pagemap_window w = {.end = 0};
	CHECK(pagemap_present(start, COUNT, seen) == 0);
	srandom(1);
	while (at < COUNT * PAGE_BYTES) {
		uint64_t bytes = (uint64_t)random() % (at % 7 ? 5000 : 3 * MIB), want = 0;
		uint64_t to = at + bytes < COUNT * PAGE_BYTES ? at + bytes : COUNT * PAGE_BYTES;
		for (uint64_t i = at; i < to; i++)
			want += seen[i / PAGE_BYTES];
		CHECK(pagemap_window_bytes(&w, start + at, start + to, end) == want);
		at += (uint64_t)random() % 60000;
	}
	CHECK(pagemap_window_bytes(&w, start + 100, start + 100, end) == 0);
}
CASE(windows)

/* ---- reading memory ------------------------------------------------------ */

static void reads_what_is_there(void)
{
	char *p = map_pages(3), text[32];
	strcpy(p + PAGE_BYTES - 3, "over the edge");
	CHECK(selfmem_read((uint64_t)p + PAGE_BYTES - 3, text, 14) == 0);
	CHECK(strcmp(text, "over the edge") == 0);
	CHECK(selfmem_read((uint64_t)p, text, 0));
	CHECK(selfmem_read(UINT64_MAX - 3, text, 8));
	CHECK(selfmem_read(0, text, 8));
}
CASE(reads_what_is_there)

/* Reading must not make absent pages present. */
static void touches_nothing(void)
{
	char *p = map_pages(3), text[32];
	uint8_t seen[3];
	p[0] = 1;
	CHECK(selfmem_read((uint64_t)p + PAGE_BYTES, text, 8));
	CHECK(selfmem_read((uint64_t)p + PAGE_BYTES - 4, text, 8));
	CHECK(pagemap_present((uint64_t)p, 3, seen) == 0);
	CHECK(seen[0] && !seen[1] && !seen[2]);
	CHECK(munmap(p, PAGE_BYTES) == 0);
	CHECK(selfmem_read((uint64_t)p, text, 8));
}
CASE(touches_nothing)

/* Some of many addresses are unmapped: the rest is read, each into its place. */
static void each_that_is_there(void)
{
	uint64_t addresses[SELFMEM_EACH], words[SELFMEM_EACH];
	bool ok[SELFMEM_EACH];
	char *p = map_pages(SELFMEM_EACH);
	for (uint64_t i = 0; i < SELFMEM_EACH; i++) {
		addresses[i] = (uint64_t)p + i * PAGE_BYTES + 8;
		*(uint64_t *)addresses[i] = i + 1000;
	}
	for (uint64_t i = 0; i < SELFMEM_EACH; i += 1 + i % 4)
		CHECK(munmap(p + i * PAGE_BYTES, PAGE_BYTES) == 0);
	selfmem_read_each(addresses, SELFMEM_EACH, words, 8, ok);
	for (uint64_t i = 0, gone = 0; i < SELFMEM_EACH; i++) {
		if (i == gone) {
			CHECK(!ok[i]);
			gone += 1 + gone % 4;
		} else {
			CHECK(ok[i] && words[i] == i + 1000);
		}
	}
}
CASE(each_that_is_there)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_present),
		cmocka_unit_test(test_not_mapped),
		cmocka_unit_test(test_without_pagemap),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_reads_what_is_there),
		cmocka_unit_test(test_touches_nothing),
		cmocka_unit_test(test_each_that_is_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
