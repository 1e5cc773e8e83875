/* What glibc keeps, compared with what malloc_trim then returns. */
#include "child.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proc/smaps.h"
#include "account/account.h"
#include "account/glibcheap.h"
#include "account/glibckept.h"

enum { BLOCKS = 1000 };
#define BLOCK_BYTES (16 * KIB)

static struct glibckept read_now(void)
{
	struct scratch s = SCRATCH_INIT(8 * MIB);
	struct glibcheap h;
	struct glibcheap_hints none = {.big_bytes = UNKNOWN};
	struct glibckept_places places = {.heaps = &h.found, .what = GLIBCHEAP_ARENA};
	struct glibckept out;
	struct smaps maps;
	struct smaps_mapping m;
	glibcheap_init(&h, &s);
	CHECK(smaps_open_path(&maps, &s, "/proc/self/maps") == 0);
	while (smaps_next(&maps, &m)) {
		if (!m.path[0] && m.writable && !m.shared)
			glibcheap_look(&h, m.start, m.end);
		if (strcmp(m.path, "[heap]") == 0) {
			/* In a child of fork it is two mappings. */
			if (!places.brk_start)
				places.brk_start = m.start;
			places.brk_end = m.end;
		}
		if (strstr(m.path, "/libc.so") && m.writable) {
			places.data_start = m.start;
			places.data_end = m.end;
		}
	}
	smaps_close(&maps);
	glibcheap_finish(&h, &none);
	glibckept_read(&places, &out);
	scratch_release(&s);
	return out;
}

static bool near(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) <= 256 * KIB;
}

static void take_blocks(void **blocks)
{
	for (int i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(BLOCK_BYTES - 16);
		CHECK(blocks[i]);
		memset(blocks[i], 1, BLOCK_BYTES - 16);
	}
}

static void free_blocks(void **blocks)
{
	for (int i = BLOCKS - 1; i >= 0; i--)
		free(blocks[i]);
}

/* As glibc sets them itself after a block of 32 MiB was freed. */
static void begin(void)
{
	CHECK(mallopt(M_MMAP_THRESHOLD, 32 << 20) && mallopt(M_TRIM_THRESHOLD, 64 << 20));
}

static pthread_barrier_t done;

/* Frees everything, or all but one small block above the rest. */
static void *in_an_arena(void *keeps)
{
	void *blocks[BLOCKS];
	static __thread void *volatile kept;
	take_blocks(blocks);
	if (keeps)
		kept = malloc(3000);
	free_blocks(blocks);
	pthread_barrier_wait(&done);
	pthread_barrier_wait(&done); /* lives on, so that its arena is not reused */
	return kept;
}

static void start_threads(unsigned count, bool keeps)
{
	pthread_t thread;
	CHECK(pthread_barrier_init(&done, NULL, count + 1) == 0);
	for (unsigned i = 0; i < count; i++)
		CHECK(pthread_create(&thread, NULL, in_an_arena, keeps ? &done : NULL) == 0);
	pthread_barrier_wait(&done);
}

static void ends_of_arenas(void)
{
	begin();
	struct glibckept before = read_now();
	start_threads(3, false);
	struct glibckept k = read_now();
	CHECK(before.arena_ends == 0 && before.returnable < MIB);
	CHECK(near(k.arena_ends, 3 * BLOCKS * BLOCK_BYTES) && k.end_count == 3);
	CHECK(near(k.returnable, before.returnable));
	malloc_trim(0);
	CHECK(near(read_now().arena_ends, 3 * BLOCKS * BLOCK_BYTES)); /* malloc_trim does not
								       * return these */
}
CASE_WITHOUT_ASAN(ends_of_arenas)

static void below_a_live_block(void)
{
	begin();
	start_threads(3, true);
	struct glibckept k = read_now();
	CHECK(near(k.returnable, 3 * BLOCKS * BLOCK_BYTES) && k.arena_ends < 3 * 256 * KIB);
	malloc_trim(0);
	CHECK(read_now().returnable < 256 * KIB);
}
CASE_WITHOUT_ASAN(below_a_live_block)

static void the_main_arena(void)
{
	static void *blocks[BLOCKS];
	void *volatile above;
	begin();
	take_blocks(blocks);
	above = malloc(3000);
	for (int i = 0; i < BLOCKS; i += 2) /* no two adjacent */
		free(blocks[i]);
	/* Of each four pages and a header, three pages are entirely free. */
	CHECK(near(read_now().returnable, BLOCKS / 2 * 3 * PAGE_BYTES));
	free(above);
	for (int i = 1; i < BLOCKS; i += 2)
		free(blocks[i]);
	CHECK(near(read_now().returnable, BLOCKS * BLOCK_BYTES)); /* its end counts too */
	CHECK(read_now().end_count == 0);
	malloc_trim(0);
	CHECK(read_now().returnable < 256 * KIB);
}
CASE_WITHOUT_ASAN(the_main_arena)

/* A page's worth of bytes is free on each page, next to a block in use. */
static void pinned(void)
{
	static void *blocks[20 * BLOCKS];
	begin();
	for (int i = 0; i < 20 * BLOCKS; i++)
		CHECK((blocks[i] = malloc(1500)) != NULL);
	for (int i = 0; i < 20 * BLOCKS; i++)
		if (i % 2)
			free(blocks[i]);
	CHECK(read_now().returnable < 256 * KIB);
}
CASE_WITHOUT_ASAN(pinned)

/* An invalid list: no figures, and no harm. */
static void a_broken_list(void)
{
	static void *blocks[BLOCKS];
	begin();
	take_blocks(blocks);
	free(blocks[10]); /* the first in the unsorted bin: its links are in the block */
	void *links[2];
	memcpy(links, blocks[10], sizeof(links));
	for (int i = 0; i < 2; i++) {
		void *volatile *link = (void *volatile *)blocks[10] + i;
		*link = (void *)0x10;
		CHECK(read_now().returnable == UNKNOWN && read_now().arena_ends == UNKNOWN);
		*link = links[i];
	}
	CHECK(read_now().returnable != UNKNOWN);
}
CASE_WITHOUT_ASAN(a_broken_list)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends_of_arenas), cmocka_unit_test(test_below_a_live_block),
		cmocka_unit_test(test_the_main_arena), cmocka_unit_test(test_pinned),
		cmocka_unit_test(test_a_broken_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
