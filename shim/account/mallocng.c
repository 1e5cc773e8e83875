/* See mallocng.h. */
#include "account/mallocng.h"

#include <string.h>

#include "base/libc.h"
#include "base/selfmem.h"
#include "base/work.h"

#define UNIT       16
#define AREA_BYTES UINT64_C(4096) /* of a page of descriptions, whatever a page is */
#define BIG_CLASS  63
#define MOST_BYTES (UINT64_C(1) << 47)
#define AREA_NS    20000 /* to read one */

/* Of a slot, in units. */
static const uint16_t class_units[] = {1,    2,    3,    4,    5,    6,    7,    8,    9,    10,
				       12,   15,   18,   20,   25,   31,   36,   42,   50,   63,
				       72,   84,   102,  127,  146,  170,  204,  255,  292,  340,
				       409,  511,  584,  682,  818,  1023, 1169, 1364, 1637, 2047,
				       2340, 2730, 3276, 4095, 4680, 5460, 6552, 8191};

struct meta {
	uint64_t previous, next, group;
	uint32_t never_used, freed; /* slots, as bits */
	uint64_t bits;
};

struct area {
	uint64_t check, next;
	uint32_t count, pad;
	struct meta metas[(AREA_BYTES - 24) / sizeof(struct meta)];
};

static inline uint32_t last_slot(const struct meta *m)
{
	return m->bits & 31;
}

/* Not so where the gaps between a library's segments were made a group. */
static inline bool can_be_freed(const struct meta *m)
{
	return m->bits >> 5 & 1;
}

static inline uint32_t class_of(const struct meta *m)
{
	return m->bits >> 6 & 63;
}

/* 0: it is a slot of another group. */
static inline uint64_t mapped_bytes(const struct meta *m)
{
	return m->bits >> 12 << 12;
}

/* ---- the context ---------------------------------------------------------- */

/* The words between the number and the list's head: six in all releases. */
#define HEAD_FROM 4
#define HEAD_TO   14

static struct {
	uint64_t check;
	uint64_t head_at; /* address of the list's head; 0: not found */
} context;

static bool is_area(uint64_t address, uint64_t check)
{
	uint64_t found;

	return address && address % AREA_BYTES == 0 && check &&
	       selfmem_read(address, &found, sizeof(found)) == 0 && found == check;
}

/* words: of libc's variables, from address on. */
static bool look_in(const uint64_t *words, size_t count, uint64_t address)
{
	for (size_t i = 0; i + HEAD_TO + 1 < count; i++)
		for (size_t n = HEAD_FROM; n <= HEAD_TO; n++)
			if (is_area(words[i + n], words[i]) &&
			    is_area(words[i + n + 1], words[i])) {
				context.check = words[i];
				context.head_at = address + 8 * (i + n);
				return true;
			}
	return false;
}

#define OVERLAP (HEAD_TO + 2)

bool mallocng_is_in(uint64_t start, uint64_t end)
{
	uint64_t words[OVERLAP + PAGE_BYTES / 8] = {0};

	for (uint64_t page = start & ~(uint64_t)(PAGE_BYTES - 1); page < end; page += PAGE_BYTES) {
		memmove(words, words + PAGE_BYTES / 8, OVERLAP * 8);
		if (selfmem_read(page, words + OVERLAP, PAGE_BYTES))
			memset(words + OVERLAP, 0, PAGE_BYTES);
		if (look_in(words, COUNT_OF(words), page - OVERLAP * 8))
			return true;
	}
	return false;
}

bool mallocng_find(const struct modules *modules)
{
	const struct module *m = modules_find(modules, (uint64_t)libc_address());
	struct elffile f;
	Elf64_Phdr s;

	if (context.head_at)
		return true;
	if (libc_kind() != LIBC_MUSL || !m || !m->elf_ok ||
	    elffile_init_image(&f, m->image, m->image_end))
		return false;
	for (uint32_t i = 0; elffile_segment(&f, i, &s); i++)
		if (s.p_type == PT_LOAD && (s.p_flags & PF_W) &&
		    mallocng_is_in(m->load_bias + s.p_vaddr, m->load_bias + s.p_vaddr + s.p_memsz))
			return true;
	return false;
}

/* ---- groups ---------------------------------------------------------------- */

static uint64_t slot_bytes(const struct meta *m)
{
	if (last_slot(m) == 0 && mapped_bytes(m))
		return mapped_bytes(m) - UNIT;
	return UNIT * (uint64_t)class_units[class_of(m)];
}

/* Of the slot that holds a group of so many bytes. */
static uint64_t holder_bytes(uint64_t group_bytes)
{
	for (size_t i = 0; i < COUNT_OF(class_units); i++)
		if (UNIT * (uint64_t)class_units[i] >= group_bytes)
			return UNIT * (uint64_t)class_units[i];
	return 0;
}

/* One that is being made may look like anything for a moment. */
static bool is_group(const struct meta *m)
{
	return m->group && m->group % UNIT == 0 && m->group < MOST_BYTES &&
	       mapped_bytes(m) < MOST_BYTES && (!mapped_bytes(m) || m->group % AREA_BYTES == 0) &&
	       (class_of(m) < COUNT_OF(class_units) ||
		(class_of(m) == BIG_CLASS && mapped_bytes(m)));
}

static void count_slots(struct mallocng *out, const struct meta *m)
{
	uint32_t all = (uint32_t)((UINT64_C(2) << last_slot(m)) - 1);
	uint32_t unused = (m->never_used | m->freed) & all;
	uint64_t slots = last_slot(m) + 1, bytes = slot_bytes(m);

	out->in_use += bytes * (uint64_t)__builtin_popcount(all & ~unused);
	out->free += bytes * (uint64_t)__builtin_popcount(unused);
	if (!mapped_bytes(m)) /* the slot that it lies in counts as handed out there */
		out->in_use -= holder_bytes(UNIT + slots * bytes);
}

struct reading {
	struct mallocng *out;
	struct scratch *scratch;
	struct rangeset *ranges; /* NULL: not wanted */
};

static int note(const struct reading *r, uint64_t start, uint64_t bytes, enum mallocng_what what)
{
	return r->ranges ? rangeset_add(r->scratch, r->ranges, start, start + bytes, what, 0) : 0;
}

static int read_group(const struct reading *r, const struct meta *m)
{
	bool is_big = class_of(m) == BIG_CLASS;
	uint64_t bytes = mapped_bytes(m);

	if (!is_group(m) || (!bytes && !can_be_freed(m)))
		return 0;
	r->out->groups++;
	r->out->system += bytes;
	if (is_big) {
		r->out->in_use += bytes;
		r->out->big += bytes;
	} else {
		count_slots(r->out, m);
	}
	return bytes ? note(r, m->group, bytes, is_big ? MALLOCNG_BIG : MALLOCNG_GROUPS) : 0;
}

/* Its pages are claimed one by one; neighbours become one claim. */
static int read_area(const struct reading *r, uint64_t address, const struct area *a)
{
	uint32_t count = a->count < COUNT_OF(a->metas) ? a->count : COUNT_OF(a->metas);

	for (uint32_t i = 0; i < count; i++)
		if (read_group(r, &a->metas[i]))
			return -1;
	r->out->system += AREA_BYTES;
	return note(r, address, AREA_BYTES, MALLOCNG_GROUPS);
}

int mallocng_read(struct mallocng *out, struct scratch *scratch, struct rangeset *ranges)
{
	struct reading r = {out, scratch, ranges};
	struct area a;
	uint64_t at, seen = 0; /* one of the list, ever further on: a damaged list may be a ring */

	*out = (struct mallocng){0};
	if (!context.head_at || selfmem_read(context.head_at, &at, sizeof(at)))
		return -1;
	for (uint64_t count = 1; at; at = a.next, count++) {
		if (at == seen || at % AREA_BYTES || !work_may_go_on(AREA_NS) ||
		    selfmem_read(at, &a, sizeof(a)) || a.check != context.check ||
		    read_area(&r, at, &a))
			return -1;
		if ((count & (count - 1)) == 0)
			seen = at;
	}
	return ranges ? rangeset_sort(scratch, ranges) : 0;
}
