/*
 * Goroutine labels read from handmade memory: every layout, intact and damaged; and the
 * tables and code of a program that say where labels are.  (tests/e2e has real programs.)
 */
#include "child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/arch.h"
#include "gonote.h"
#include "machine.h"
#include "go/gomodules.h"
#include "go/gosym.h"
#include "unwind/golabels.h"

/* ---- a fake Go heap -------------------------------------------------------- */

struct go_string {
	const char *bytes;
	uint64_t count;
};

/* Followed by an unreadable page; everything parsed is at its end. */
#define HEAP_BYTES (60 * KIB)
static char *heap_start;
static uint64_t *heap_end;

static void heap_init(void)
{
	char *p = mmap(NULL, 64 * KIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED && !mprotect(p + HEAP_BYTES, 4 * KIB, PROT_NONE));
	heap_start = p;
	heap_end = (uint64_t *)(void *)(p + HEAP_BYTES);
	saferead_start();
}

/* The fake heap and this program's constants. */
static struct saferead heap_memory(void)
{
	extern const char __executable_start[], end[];

	return (struct saferead){
		.top_is_known = true,
		.stack = {(uint64_t)__executable_start, (uint64_t)(end - __executable_start)},
		.goroutine = {(uint64_t)heap_start, HEAP_BYTES}};
}

static void *heap_take(size_t words)
{
	heap_end -= words;
	return heap_end;
}

static struct go_string text(const char *s)
{
	return (struct go_string){s, strlen(s)};
}

static enum golabels_result parse(const void *labels, bool is_map, struct golabels *out)
{
	struct saferead memory = heap_memory();

	return golabels_parse(&memory, (uint64_t)labels, is_map, out);
}

static bool text_is(const struct golabel_text *t, const char *s)
{
	return t->count == strlen(s) && !t->is_cut && memcmp(t->bytes, s, t->count) == 0;
}

/* ---- Go 1.24 and later ------------------------------------------------------ */

struct pair {
	struct go_string key, value;
};

struct slice {
	struct pair *list;
	uint64_t count, room;
};

static struct slice *make_slice(size_t count)
{
	struct slice *s = heap_take(3);

	s->list = heap_take(4 * count);
	s->count = s->room = count;
	for (size_t i = 0; i < count; i++) {
		char *key = heap_take(2);
		snprintf(key, 16, "key%03u", (unsigned)i % 1000);
		s->list[i] = (struct pair){text(key), text("value")};
	}
	return s;
}

static void a_slice_is_read(void)
{
	struct golabels out;

	heap_init();
	for (size_t n = 1; n <= GOLABELS_MAX; n++) {
		struct slice *s = make_slice(n);
		CHECK(parse(s, false, &out) == GOLABELS_READ && out.count == n && out.total == n);
		for (size_t i = 0; i < n; i++) {
			char key[16];
			snprintf(key, sizeof(key), "key%03u", (unsigned)i % 1000);
			CHECK(text_is(&out.list[i].key, key) &&
			      text_is(&out.list[i].value, "value"));
		}
	}
	CHECK(parse(make_slice(0), false, &out) == GOLABELS_NONE && out.count == 0);
	CHECK(parse(make_slice(100), false, &out) == GOLABELS_READ);
	CHECK(out.count == GOLABELS_MAX && out.total == 100 &&
	      text_is(&out.list[15].key, "key015"));
}
CASE(a_slice_is_read)

static void texts_are_cut_and_may_be_empty(void)
{
	static char bytes[1000];
	struct golabels out;
	struct slice *s;

	heap_init();
	s = make_slice(3);
	memset(bytes, 'x', sizeof(bytes));
	s->list[0] = (struct pair){{bytes, GOLABELS_BYTES}, {NULL, 0}};
	s->list[1] = (struct pair){{bytes, GOLABELS_BYTES + 1}, {bytes, sizeof(bytes)}};
	s->list[2] = (struct pair){text("z"), {"a\0b", 3}};
	CHECK(parse(s, false, &out) == GOLABELS_READ && out.count == 3);
	CHECK(out.list[0].key.count == GOLABELS_BYTES && !out.list[0].key.is_cut);
	CHECK(out.list[0].value.count == 0 && !out.list[0].value.is_cut);
	CHECK(out.list[1].key.count == GOLABELS_BYTES && out.list[1].key.is_cut);
	CHECK(out.list[1].value.count == GOLABELS_BYTES && out.list[1].value.is_cut);
	CHECK(out.list[2].value.count == 3 && !memcmp(out.list[2].value.bytes, "a\0b", 3));
}
CASE(texts_are_cut_and_may_be_empty)

/* ---- up to Go 1.23 ---------------------------------------------------------- */

struct bucket {
	uint8_t top[8];
	struct go_string keys[8], values[8];
	struct bucket *overflow;
};

struct map {
	uint64_t count;
	uint8_t flags, b;
	uint16_t overflows;
	uint32_t seed;
	struct bucket *buckets, *old;
	uint64_t evacuated, extra;
};

static struct bucket *make_buckets(size_t count)
{
	return heap_take(count * sizeof(struct bucket) / 8);
}

static void put(struct bucket *b, size_t slot, int n)
{
	char *key = heap_take(2);

	snprintf(key, 16, "key%03d", n);
	b->top[slot] = (uint8_t)(5 + n * 7 % 251);
	b->keys[slot] = text(key);
	b->values[slot] = text("value");
}

static struct map *make_map(uint8_t b)
{
	struct map *m = heap_take(sizeof(*m) / 8);

	m->b = b;
	m->buckets = make_buckets((size_t)1 << b);
	return m;
}

/* labelMap: g.labels points to the map's pointer. */
static struct map **pointer_to(struct map *m)
{
	struct map **p = heap_take(1);

	*p = m;
	return p;
}

static bool has_keys(const struct golabels *l, int from, int to)
{
	char key[16];

	for (int n = from; n < to; n++) {
		snprintf(key, sizeof(key), "key%03d", n);
		if (!text_is(&l->list[n - from].key, key))
			return false;
	}
	return l->count == (uint32_t)(to - from);
}

static void a_map_is_read_in_any_order(void)
{
	static const int order[] = {5, 3, 7, 0, 2, 6, 1, 4};
	struct golabels out;
	struct map *m;

	heap_init();
	m = make_map(0);
	for (size_t i = 0; i < 8; i++)
		put(m->buckets, i, order[i]);
	m->count = 8;
	CHECK(parse(pointer_to(m), true, &out) == GOLABELS_READ && has_keys(&out, 0, 8));
	m->buckets->top[3] = 1; /* deleted: key 0 */
	m->count = 7;
	CHECK(parse(pointer_to(m), true, &out) == GOLABELS_READ && has_keys(&out, 1, 8));
	m->count = 0;
	CHECK(parse(pointer_to(m), true, &out) == GOLABELS_NONE);
	CHECK(parse(pointer_to(NULL), true, &out) == GOLABELS_NONE);
}
CASE(a_map_is_read_in_any_order)

static void buckets_overflow(void)
{
	struct golabels out;
	struct map *m;

	heap_init();
	m = make_map(1);
	m->buckets[1].overflow = make_buckets(1);
	m->buckets[1].overflow->overflow = make_buckets(1);
	put(&m->buckets[0], 0, 2);
	put(&m->buckets[1], 7, 1);
	put(m->buckets[1].overflow, 4, 3);
	put(m->buckets[1].overflow->overflow, 0, 0);
	m->count = 4;
	CHECK(parse(pointer_to(m), true, &out) == GOLABELS_READ && has_keys(&out, 0, 4));
}
CASE(buckets_overflow)

/* Old buckets 0 and 2 have been moved; 1 and 3 still have their entries. */
static void half_grown_maps_are_read_whole(void)
{
	struct golabels out;
	struct map *m;

	heap_init();
	m = make_map(3);
	m->old = make_buckets(4);
	put(&m->buckets[0], 0, 0);
	put(&m->buckets[4], 0, 1);
	put(&m->buckets[6], 5, 2);
	put(&m->old[0], 0, 0);
	m->old[0].top[0] = 2; /* moved to the lower half */
	put(&m->old[0], 1, 1);
	m->old[0].top[1] = 3;
	m->old[2].top[0] = 4; /* empty before it was moved */
	put(&m->old[2], 1, 2);
	put(&m->old[1], 2, 3);
	put(&m->old[3], 0, 4);
	m->old[3].overflow = make_buckets(1);
	put(m->old[3].overflow, 7, 5);
	m->count = 6;
	CHECK(parse(pointer_to(m), true, &out) == GOLABELS_READ && has_keys(&out, 0, 6));
	/* Growth to the same size: as many old buckets as new. */
	m->b = 2;
	m->flags = 8;
	m->buckets[4].top[0] = m->buckets[6].top[5] = 0;
	m->count = 4;
	CHECK(parse(pointer_to(m), true, &out) == GOLABELS_READ && out.count == 4);
	CHECK(text_is(&out.list[3].key, "key005"));
}
CASE(half_grown_maps_are_read_whole)

static void of_many_the_first_by_key(void)
{
	struct golabels out;
	struct map *m;

	heap_init();
	m = make_map(3);
	for (int n = 0; n < 48; n++)
		put(&m->buckets[n % 8], (size_t)n / 8, n * 29 % 48);
	m->count = 48;
	CHECK(parse(pointer_to(m), true, &out) == GOLABELS_READ);
	CHECK(has_keys(&out, 0, GOLABELS_MAX) && out.total == 48);
	m->count = 47; /* changed while it is read: must be refused */
	CHECK(parse(pointer_to(m), true, &out) == GOLABELS_BAD);
	m->count = 48;
	m->b = 7;
	CHECK(parse(pointer_to(m), true, &out) == GOLABELS_BAD);
}
CASE(of_many_the_first_by_key)

/* ---- damage ------------------------------------------------------------------- */

static const uint64_t wrongs[] = {0,
				  1,
				  8,
				  4096,
				  UINT64_C(0x10000),
				  UINT64_C(0x7fffffffeff8),
				  UINT64_C(0x8000000000000000),
				  UINT64_MAX - 7,
				  UINT64_MAX};

/* Sets every word of [from, to) to every wrong value: any answer, but no crash. */
static void damage(uint64_t *from, uint64_t *to, const void *labels, bool is_map)
{
	struct golabels out;

	for (uint64_t *word = from; word < to; word++) {
		uint64_t kept = *word;
		for (size_t i = 0; i < COUNT_OF(wrongs) + 2; i++) {
			*word = i < COUNT_OF(wrongs)    ? wrongs[i]
				: i == COUNT_OF(wrongs) ? kept + 4
							: (uint64_t)to;
			if (parse(labels, is_map, &out) == GOLABELS_READ)
				CHECK(out.count && out.count <= GOLABELS_MAX);
		}
		*word = kept;
	}
	CHECK(parse(labels, is_map, &out) == GOLABELS_READ);
}

static void damaged_slices(void)
{
	uint64_t *top;
	struct slice *s;

	heap_init();
	top = heap_end;
	s = make_slice(20);
	damage(heap_end, top, s, false);
	struct golabels out;
	s->count = s->room + 1;
	CHECK(parse(s, false, &out) == GOLABELS_BAD);
	s->count = s->room = UINT64_MAX / 32;
	CHECK(parse(s, false, &out) == GOLABELS_BAD);
	CHECK(parse((char *)s + 4, false, &out) == GOLABELS_BAD);
	CHECK(parse((void *)8, false, &out) == GOLABELS_BAD);
	CHECK(parse((void *)(UINT64_MAX - 7), false, &out) == GOLABELS_BAD);
	CHECK(parse(top, false, &out) == GOLABELS_BAD);
	CHECK(parse(top - 2, false, &out) == GOLABELS_BAD); /* its third word is unreadable */
}
CASE(damaged_slices)

static void damaged_maps(void)
{
	struct golabels out;
	struct map *m, **p;
	uint64_t *top;

	heap_init();
	top = heap_end;
	m = make_map(1);
	m->old = make_buckets(1);
	m->old[0].top[0] = 4;
	m->buckets[0].overflow = make_buckets(1);
	for (int n = 0; n < 20; n++)
		put(n < 8    ? &m->buckets[0]
		    : n < 16 ? &m->buckets[1]
			     : m->buckets[0].overflow,
		    (size_t)n % 8, n);
	m->count = 20;
	p = pointer_to(m);
	damage(heap_end, top, p, true);
	m->buckets[0].overflow->overflow = m->buckets; /* a ring */
	CHECK(parse(p, true, &out) == GOLABELS_BAD);
	CHECK(parse((void *)16, true, &out) == GOLABELS_BAD);
	CHECK(parse(top, true, &out) == GOLABELS_BAD);
}
CASE(damaged_maps)

/* ---- the code that sets them ---------------------------------------------------- */

static bool finds_changed(size_t at, uint8_t byte)
{
	uint8_t code[sizeof(machine_setter)];
	uint32_t offset;

	memcpy(code, machine_setter, sizeof(code));
	code[at] = byte;
	return arch_field_of_g(code, sizeof(code), &offset);
}

static void code_is_decoded(void)
{
	uint32_t offset;

	CHECK(arch_field_of_g((const uint8_t *)machine_setter, sizeof(machine_setter), &offset) &&
	      offset == 0x160);
	CHECK(arch_field_of_g((const uint8_t *)machine_setter_race, sizeof(machine_setter_race),
			      &offset) &&
	      offset == 0x158);
	for (size_t n = 0; n < MACHINE_SETTER_STORED; n++)
		CHECK(!arch_field_of_g((const uint8_t *)machine_setter, n, &offset));
	CHECK(!finds_changed(MACHINE_SETTER_ELSEWHERE));
	CHECK(!finds_changed(MACHINE_SETTER_NOT_G));
}
CASE(code_is_decoded)

/* Tables of a Go program, with one function more than its code needs (gotables.c). */
static struct fake {
	uint64_t header[9];
	char names[128];
	uint32_t cutab[2];
	char files[32];
	uint8_t pctab[64];
	uint8_t funcs[256];
	uint32_t ftab[2 * 3];
	uint8_t gofunc[64];
	uint8_t text[256];
	uint64_t module[48];
	uint8_t build_info[96] __attribute__((aligned(16)));
} fake = {.header = {1}}; /* not zero, to be in .data: the file must fill it */

static void set_slice(size_t word, const void *start, size_t len)
{
	fake.module[word] = (uint64_t)start;
	fake.module[word + 1] = fake.module[word + 2] = len;
}

static void make_program(const char *version, const char *function)
{
	uint32_t name = 8, func = 8;

	memset(&fake, 0, sizeof(fake));
	strcpy(fake.names, "runtim");
	strcpy(fake.names + name, function);
	fake.header[0] = 0x08000000fffffff1 | (uint64_t)ARCH_CODE_BYTES << 48;
	fake.header[1] = 2;
	fake.header[4] = offsetof(struct fake, names);
	fake.module[0] = (uint64_t)fake.header;
	set_slice(1, fake.names, sizeof(fake.names));
	set_slice(4, fake.cutab, COUNT_OF(fake.cutab));
	set_slice(7, fake.files, sizeof(fake.files));
	set_slice(10, fake.pctab, sizeof(fake.pctab));
	set_slice(13, fake.funcs, sizeof(fake.funcs));
	set_slice(16, fake.ftab, 3);
	fake.module[20] = fake.module[22] = (uint64_t)fake.text;
	fake.module[21] = fake.module[23] = (uint64_t)fake.text + sizeof(fake.text);
	fake.module[37] = (uint64_t)fake.header;
	fake.module[38] = (uint64_t)&fake;
	fake.module[40] = (uint64_t)fake.gofunc;
	fake.ftab[1] = 128; /* function 0: names[0] */
	fake.ftab[2] = 128;
	fake.ftab[3] = func;
	memcpy(fake.funcs + func + 4, &name, sizeof(name));
	fake.ftab[4] = sizeof(fake.text);
	memcpy(fake.text + 128, machine_setter, sizeof(machine_setter));
	memcpy(fake.build_info, "\xff Go buildinf:\x08\x02", 16);
	fake.build_info[32] = (uint8_t)strlen(version);
	memcpy(fake.build_info + 33, version, strlen(version));
}

static bool status_is(const char *status)
{
	CHECK(gomodules_init() == 0);
	golabels_init();
	return strcmp(golabels_status(), status) == 0;
}

#define SETTER "runtime/pprof.runtime_setProfLabel"

static void table_and_code_have_to_agree(void)
{
	CHECK(!golabels_status());
	make_program("go1.26.8", SETTER);
	CHECK(status_is("known"));
	make_program("go1.24.1 X:boringcrypto", SETTER);
	CHECK(status_is("known"));
	make_program("go1.25.14", SETTER);
	CHECK(status_is("unknown: the offset in " SETTER " is not that of its release"));
	make_program("go1.26.8", SETTER);
	fake.text[128 + 53] = 0x68;
	CHECK(status_is("unknown: unrecognized code in " SETTER));
	make_program("go1.26.8", "runtime/pprof.runtime_setProfLabels");
	CHECK(status_is("none_used"));
	make_program("go1.26.8", "x" SETTER);
	CHECK(status_is("none_used"));
	make_program("go1.28.0", SETTER);
	CHECK(status_is("unknown: Go release go1.28.0"));
	make_program("devel go1.27-abc", SETTER);
	CHECK(status_is("unknown: Go release devel go1.27-abc"));
	make_program("", SETTER);
	CHECK(status_is("unknown: Go release not known"));
}
CASE(table_and_code_have_to_agree)

static void found_in_the_goroutine(void)
{
	struct saferead memory;
	struct golabels out;
	uint64_t *g, labels;

	heap_init();
	memory = heap_memory();
	g = heap_take(0x168 / 8);
	labels = g[0x160 / 8] = (uint64_t)make_slice(2);
	make_program("go1.27.1", SETTER);
	CHECK(status_is("known"));
	CHECK(golabels_of(&memory, gomodules_get(0), (uint64_t)g) == labels);
	CHECK(golabels_read(&memory, gomodules_get(0), labels, &out) == GOLABELS_READ &&
	      out.count == 2);
	g[0x160 / 8] = 0;
	CHECK(golabels_of(&memory, gomodules_get(0), (uint64_t)g) == 0);
	/* A g on the next page: once readable, once not. */
	heap_end = (uint64_t *)(((uint64_t)g & ~UINT64_C(4095)) + 64);
	g = heap_take(0x100 / 8);
	g[0x160 / 8] = 4711;
	CHECK(golabels_of(&memory, gomodules_get(0), (uint64_t)g) == 4711);
	heap_init();
	memory = heap_memory();
	CHECK(golabels_of(&memory, gomodules_get(0), (uint64_t)heap_take(0x160 / 8)) == 0);
	make_program("go1.25.14", SETTER); /* not the release that the code is from */
	CHECK(!status_is("known"));
	CHECK(golabels_of(&memory, gomodules_get(0), (uint64_t)g) == 0); /* not read */
}
CASE(found_in_the_goroutine)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_slice_is_read),
		cmocka_unit_test(test_texts_are_cut_and_may_be_empty),
		cmocka_unit_test(test_a_map_is_read_in_any_order),
		cmocka_unit_test(test_buckets_overflow),
		cmocka_unit_test(test_half_grown_maps_are_read_whole),
		cmocka_unit_test(test_of_many_the_first_by_key),
		cmocka_unit_test(test_damaged_slices),
		cmocka_unit_test(test_damaged_maps),
		cmocka_unit_test(test_code_is_decoded),
		cmocka_unit_test(test_table_and_code_have_to_agree),
		cmocka_unit_test(test_found_in_the_goroutine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
