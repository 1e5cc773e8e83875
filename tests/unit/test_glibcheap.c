/* Recognises glibc's memory, and rejects memory that only looks like it. */
#include "child.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "proc/smaps.h"
#include "account/account.h"
#include "account/glibcheap.h"

/* Searches every anonymous writable mapping. */
static void look_everywhere(struct glibcheap *h, struct scratch *s)
{
	struct smaps maps;
	struct smaps_mapping m;
	CHECK(smaps_open_path(&maps, s, "/proc/self/maps") == 0);
	while (smaps_next(&maps, &m))
		if (!m.path[0] && m.writable && !m.shared)
			glibcheap_look(h, m.start, m.end);
	smaps_close(&maps);
}

static void find(struct glibcheap *h, struct scratch *s, const uint64_t *blocks, size_t count)
{
	struct glibcheap_hints hints = {.big_bytes = mallinfo2().hblkhd,
					.blocks = blocks,
					.block_count = count,
					.max_pages = 1 << 20};
	glibcheap_init(h, s);
	look_everywhere(h, s);
	glibcheap_finish(h, &hints);
	CHECK(!h->failed);
}

static uint8_t what_at(const struct glibcheap *h, const void *p)
{
	const struct rangeset_range *c = rangeset_find(&h->found, (uint64_t)p);
	return c ? c->what : 0;
}

static char *raw_pages(size_t bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	memset(p, 0x5a, bytes);
	return p;
}

static void big_blocks_among_others(void)
{
	struct scratch s = SCRATCH_INIT(8 * MIB);
	struct glibcheap h;
	void *blocks[30], *raw[30];
	mallopt(M_MMAP_THRESHOLD, 128 * 1024); /* fixed from now on */
	for (int i = 0; i < 30; i++) {
		blocks[i] = malloc((size_t)(150 + 37 * i) * KIB);
		raw[i] = raw_pages((size_t)(1 + i % 5) * 16 * PAGE_BYTES);
	}
	for (int i = 0; i < 30; i += 7) {
		free(blocks[i]);
		blocks[i] = NULL;
	}
	find(&h, &s, NULL, 0);
	CHECK(h.big_bytes == mallinfo2().hblkhd);
	for (int i = 0; i < 30; i++) {
		CHECK(!blocks[i] || what_at(&h, blocks[i]) == GLIBCHEAP_BIG);
		CHECK(what_at(&h, raw[i]) == 0 && what_at(&h, (char *)raw[i] + 4096) == 0);
	}
	scratch_release(&s);
}
CASE_WITHOUT_ASAN(big_blocks_among_others)

/* An aligned block that has grown: the start of its mapping gives an old size. */
static void aligned_and_grown(void)
{
	struct scratch s = SCRATCH_INIT(8 * MIB);
	struct glibcheap h;
	uint64_t blocks[2];
	for (int i = 0; i < 2; i++) {
		void *p = memalign(64 * KIB, 3 * MIB);
		p = realloc(p, (size_t)(9 + i) * MIB);
		CHECK(p);
		blocks[i] = (uint64_t)p;
	}
	find(&h, &s, blocks, 2);
	for (int i = 0; i < 2; i++) {
		CHECK(what_at(&h, (void *)blocks[i]) == GLIBCHEAP_BIG);
		CHECK(what_at(&h, (char *)blocks[i] + 9 * MIB - 1) == GLIBCHEAP_BIG);
	}
	scratch_release(&s);
}
CASE_WITHOUT_ASAN(aligned_and_grown)

static pthread_barrier_t barrier;

static void *allocate(void *out)
{
	void **blocks = out;
	for (int i = 0; i < 800; i++) {
		char *p = malloc(100 * KIB); /* 80 MiB: more than one heap */
		CHECK(p);
		p[0] = 1;
		blocks[i] = p;
	}
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void arenas_of_several_heaps(void)
{
	static void *blocks[3][800];
	struct scratch s = SCRATCH_INIT(8 * MIB);
	struct glibcheap h;
	pthread_t threads[3];
	CHECK(pthread_barrier_init(&barrier, NULL, 4) == 0);
	mallopt(M_ARENA_MAX, 64);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&threads[i], NULL, allocate, blocks[i]) == 0);
	pthread_barrier_wait(&barrier);
	find(&h, &s, NULL, 0);
	CHECK(h.arenas == 3);
	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 800; k++)
			CHECK(what_at(&h, blocks[i][k]) == GLIBCHEAP_ARENA);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	scratch_release(&s);
}
CASE_WITHOUT_ASAN(arenas_of_several_heaps)

/* A page that starts like a big block in other memory: accepted only as far as the allocator
 * reports such blocks. */
static void false_headers(void)
{
	struct scratch s = SCRATCH_INIT(8 * MIB);
	struct glibcheap h;
	struct glibcheap_hints none = {.big_bytes = 0, .max_pages = 1 << 20};
	char *p = raw_pages(64 * PAGE_BYTES);
	((uint64_t *)(p + 8 * PAGE_BYTES))[0] = 0;
	((uint64_t *)(p + 8 * PAGE_BYTES))[1] = 4 * PAGE_BYTES | 2;
	glibcheap_init(&h, &s);
	glibcheap_look(&h, (uint64_t)p, (uint64_t)p + 64 * PAGE_BYTES);
	glibcheap_finish(&h, &none);
	CHECK(h.found.count == 0 && h.big_bytes == 0);
	scratch_release(&s);
}
CASE(false_headers)

/* Invalid sizes: past the end, not whole pages, wrong flags. */
static void broken_headers(void)
{
	static const uint64_t heads[][2] = {
		{0, 65 * PAGE_BYTES | 2},
		{0, 2},
		{0, 4 * PAGE_BYTES | 3},
		{0, 4 * PAGE_BYTES | 6},
		{PAGE_BYTES, 4 * PAGE_BYTES | 2},
		{0, (4 * PAGE_BYTES + 16) | 2},
		{0, UINT64_MAX - 5},
		{0, 4 * PAGE_BYTES},
	};
	uint64_t *p = (uint64_t *)raw_pages(64 * PAGE_BYTES);
	for (size_t i = 0; i < COUNT_OF(heads); i++) {
		struct scratch s = SCRATCH_INIT(MIB);
		struct glibcheap h;
		p[0] = heads[i][0];
		p[1] = heads[i][1];
		glibcheap_init(&h, &s);
		glibcheap_look(&h, (uint64_t)p, (uint64_t)p + 64 * PAGE_BYTES);
		CHECK(h.found.count == 0);
		CHECK(h.unknown.count >= 1);
		scratch_release(&s);
	}
	p[0] = 0;
	p[1] = 64 * PAGE_BYTES | 2; /* a valid one */
	struct scratch s = SCRATCH_INIT(MIB);
	struct glibcheap h;
	glibcheap_init(&h, &s);
	glibcheap_look(&h, (uint64_t)p, (uint64_t)p + 64 * PAGE_BYTES);
	CHECK(h.found.count == 1 && h.big_bytes == 64 * PAGE_BYTES && h.unknown.count == 0);
	scratch_release(&s);
}
CASE(broken_headers)

/* Random bytes in place of a heap's header. */
static void any_bytes(void)
{
	const size_t heap = 64 * MIB;
	char *p = mmap(NULL, 2 * heap, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(p != MAP_FAILED);
	uint64_t start = ALIGN_UP((uint64_t)p, heap);
	srandom(2);
	for (int i = 0; i < 20000; i++) {
		struct scratch s = SCRATCH_INIT(MIB);
		struct glibcheap h;
		uint64_t *words = (uint64_t *)start;
		for (int k = 0; k < 4; k++)
			words[k] = random() % 2
					   ? (uint64_t)random() << (random() % 34)
					   : (random() % 2 ? start + (uint64_t)(random() % 4096)
							   : (uint64_t)(random() % 20000) * 4096);
		glibcheap_init(&h, &s);
		glibcheap_look(&h, start, start + 16 * PAGE_BYTES);
		for (size_t k = 0; k < h.found.count; k++)
			CHECK(h.found.list[k].start >= start &&
			      h.found.list[k].end <= start + 16 * PAGE_BYTES &&
			      h.found.list[k].end > h.found.list[k].start);
		scratch_release(&s);
	}
}
CASE(any_bytes)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_big_blocks_among_others),
		cmocka_unit_test(test_aligned_and_grown),
		cmocka_unit_test(test_arenas_of_several_heaps),
		cmocka_unit_test(test_false_headers),
		cmocka_unit_test(test_broken_headers),
		cmocka_unit_test(test_any_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
