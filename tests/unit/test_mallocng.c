/*
 * musl's malloc as its structures describe it: written here by the facts in its sources, since this
 * process has another libc. Programs under musl are in tests/programs/roots.
 */
#include "child.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#include "account/mallocng.h"

#define SECRET UINT64_C(0x1d6f3c5a99e7b082)

struct meta {
	uint64_t previous, next, group;
	uint32_t never_used, freed;
	uint64_t bits;
};
struct area {
	uint64_t check, next;
	uint32_t count, pad;
	struct meta metas[101];
	uint64_t rest[4];
};

/* As of 1.2.3: what is in front of and behind the context is libc's. */
static struct {
	uint64_t others[700];
	uint64_t check;
	uint32_t init_done, mmap_counter;
	uint64_t free_head, avail, avail_count, area_count, shift;
	struct area *head, *tail;
	uint64_t more[100];
} variables;

static_assert(sizeof(struct area) == 4096, "a page");

static struct area *areas; /* two pages, the second further away */
static char *memory;

static uint64_t bits(uint64_t last, uint64_t can_be_freed, uint64_t class, uint64_t pages)
{
	return last | can_be_freed << 5 | class << 6 | pages << 12;
}

static void *pages(size_t count)
{
	void *p = mmap(NULL, count * PAGE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

static void make(void)
{
	areas = pages(4);
	memory = pages(64);
	areas[0].check = areas[3].check = SECRET;
	areas[0].count = areas[3].count = 101;
	areas[0].next = (uint64_t)&areas[3];
	memset(variables.others, 0x33, sizeof(variables.others));
	variables.others[100] = (uint64_t)memory; /* whole pages, but no area */
	variables.check = SECRET;
	variables.init_done = 1;
	variables.head = &areas[0];
	variables.tail = &areas[3];
	CHECK(mallocng_is_in((uint64_t)&variables, (uint64_t)(&variables + 1)));
}

static void figures_of_groups(void)
{
	struct scratch s = SCRATCH_INIT(MIB);
	struct rangeset found = {0};
	struct mallocng m;

	make();
	uint64_t at = (uint64_t)memory;
	CHECK(mallocng_read(&m, NULL, NULL) == 0 && m.groups == 0 && m.in_use == 0);
	/* 15 slots of 496 bytes; 3 never used, 2 freed. */
	areas[0].metas[3] = (struct meta){
		.group = at, .never_used = 0x7000, .freed = 0x3, .bits = bits(14, 1, 15, 2)};
	CHECK(mallocng_read(&m, NULL, NULL) == 0);
	CHECK(m.groups == 1 && m.in_use == UINT64_C(10) * 496 && m.free == UINT64_C(5) * 496);
	CHECK(m.system == 4 * PAGE_BYTES && m.big == 0);
	/* In one of these, a group of 30 slots of 16 bytes, of which 12 are handed out: it takes
	 * 16 + 30 * 16 of 496 bytes. */
	areas[3].metas[100] = (struct meta){
		.group = at + 16 + 496, .freed = 0x3ffff000, .bits = bits(29, 1, 0, 0)};
	CHECK(mallocng_read(&m, NULL, NULL) == 0);
	CHECK(m.in_use == UINT64_C(9) * 496 + 12 * 16);
	CHECK(m.free == UINT64_C(5) * 496 + 18 * 16);
	/* A big block, and one that is alone in its mapping but not big. */
	areas[3].metas[0] = (struct meta){.group = at + 8 * PAGE_BYTES, .bits = bits(0, 1, 63, 40)};
	areas[3].metas[1] = (struct meta){.group = at + 2 * PAGE_BYTES, .bits = bits(0, 1, 44, 4)};
	CHECK(mallocng_read(&m, &s, &found) == 0);
	CHECK(m.big == 40 * PAGE_BYTES);
	CHECK(m.in_use == UINT64_C(9) * 496 + 12 * 16 + 44 * PAGE_BYTES - 16);
	CHECK(m.system == (2 + 2 + 40 + 4) * PAGE_BYTES);
	CHECK(rangeset_find(&found, at)->what == MALLOCNG_GROUPS);
	CHECK(rangeset_find(&found, at + 5 * PAGE_BYTES)->what == MALLOCNG_GROUPS);
	CHECK(!rangeset_find(&found, at + 6 * PAGE_BYTES));
	CHECK(rangeset_find(&found, at + 47 * PAGE_BYTES)->what == MALLOCNG_BIG);
	CHECK(rangeset_find(&found, (uint64_t)&areas[3])->what == MALLOCNG_GROUPS);
	CHECK(!rangeset_find(&found, (uint64_t)&areas[1]));
}

/* Gaps of libraries, groups that are being made, and garbage. */
static void others_are_left_out(void)
{
	struct mallocng m;

	make();
	uint64_t at = (uint64_t)memory;
	areas[0].metas[0] = (struct meta){.group = at + 64, .bits = bits(0, 0, 20, 0)};
	areas[0].metas[1] = (struct meta){.group = 0, .bits = bits(14, 1, 15, 2)};
	areas[0].metas[2] = (struct meta){.group = at, .bits = bits(14, 1, 50, 2)};
	areas[0].metas[3] = (struct meta){.group = at + 8, .bits = bits(14, 1, 15, 0)};
	areas[0].metas[4] = (struct meta){.group = at + 16, .bits = bits(14, 1, 15, 2)};
	areas[0].metas[5] = (struct meta){.group = at, .bits = bits(0, 1, 63, 0)};
	areas[0].metas[6] = (struct meta){.group = at, .bits = ~UINT64_C(0)};
	CHECK(mallocng_read(&m, NULL, NULL) == 0 && m.groups == 0 && m.in_use == 0);
}

static void a_broken_list_gives_no_figures(void)
{
	struct mallocng m;

	make();
	CHECK(mallocng_read(&m, NULL, NULL) == 0);
	areas[3].check ^= 1;
	CHECK(mallocng_read(&m, NULL, NULL) == -1);
	areas[3].check ^= 1;
	areas[3].next = (uint64_t)&areas[0] + 8;
	CHECK(mallocng_read(&m, NULL, NULL) == -1);
	areas[3].next = (uint64_t)&areas[0]; /* a ring */
	CHECK(mallocng_read(&m, NULL, NULL) == -1);
	areas[3].next = 0;
	munmap(&areas[3], PAGE_BYTES);
	CHECK(mallocng_read(&m, NULL, NULL) == -1);
}

static void no_other_variables_look_like_it(void)
{
	struct mallocng m;

	areas = pages(1);
	variables.check = SECRET;
	variables.head = variables.tail = areas;
	CHECK(!mallocng_is_in((uint64_t)&variables, (uint64_t)(&variables + 1)));
	areas->check = SECRET;
	variables.tail = NULL;
	CHECK(!mallocng_is_in((uint64_t)&variables, (uint64_t)(&variables + 1)));
	variables.check = areas->check = 0;
	variables.tail = areas;
	CHECK(!mallocng_is_in((uint64_t)&variables, (uint64_t)(&variables + 1)));
	CHECK(mallocng_read(&m, NULL, NULL) == -1);
}

CASE(figures_of_groups)
CASE(others_are_left_out)
CASE(a_broken_list_gives_no_figures)
CASE(no_other_variables_look_like_it)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_figures_of_groups),
		cmocka_unit_test(test_others_are_left_out),
		cmocka_unit_test(test_a_broken_list_gives_no_figures),
		cmocka_unit_test(test_no_other_variables_look_like_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
