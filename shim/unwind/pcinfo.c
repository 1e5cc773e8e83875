/* See pcinfo.h. */
#include "unwind/pcinfo.h"

#include <assert.h>
#include <string.h>

#include "base/ascii.h"
#include "base/hash.h"
#include "go/gomodules.h"
#include "go/gosym.h"
#include "region/region.h"
#include "unwind/cfi.h"
#include "unwind/codetables.h"

static_assert(sizeof(struct pcinfo) == 32, "two a cache line");
static_assert(CFI_SAVED == COUNT_OF(((struct pcinfo *)0)->saved), "one slot a register");

/* ---- looking up a pc ----------------------------------------------------- */

/* Go code is never unloaded, so its entries stay valid. */
static bool is_current(const struct pcinfo *info)
{
	return info->kind >= PCINFO_C_IN_GO || info->generation == codetables_generation();
}

/* mov $15,%rax; syscall: where a signal handler returns to. */
static bool is_sigreturn(const struct code_module *m, uint64_t pc)
{
	static const uint8_t code[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
	uint64_t start, end;

	/* The frame's "return address" is its first instruction, so pc may be one byte less. */
	if (!codetables_segment(m, pc, &start, &end) || end - pc <= sizeof(code))
		return false;
	return memcmp((const void *)pc, code, sizeof(code)) == 0 ||
	       memcmp((const void *)(pc + 1), code, sizeof(code)) == 0;
}

static void set_row(struct pcinfo *info, const struct cfi_row *row)
{
	info->kind = PCINFO_C;
	info->cfa_register = row->cfa_register;
	info->cfa_offset = row->cfa_offset;
	info->return_address = row->return_address;
	memcpy(info->saved, row->saved, sizeof(row->saved));
}

static void info_in_module(struct pcinfo *info, const struct code_module *m, uint64_t pc)
{
	struct fde_module tables;
	struct cfi_row row;
	bool failed;
	uint64_t fde = codetables_fde(m, pc, &tables, &failed);

	if (fde == 0) {
		/* The byte before a trampoline may have no FDE: try the next byte too. */
		fde = codetables_fde(m, pc + 1, &tables, &failed);
		info->kind = failed ? PCINFO_C_BAD_CFI : PCINFO_C_NO_CFI;
		if (fde && cfi_compile(&tables, fde, pc + 1, &row) == CFI_SIGNAL)
			info->kind = PCINFO_C_SIGNAL;
		return;
	}
	switch (cfi_compile(&tables, fde, pc, &row)) {
	case CFI_ROW:
		set_row(info, &row);
		return;
	case CFI_ROOT:
		info->kind = PCINFO_C_ROOT;
		return;
	case CFI_SIGNAL:
		info->kind = is_sigreturn(m, pc) ? PCINFO_C_SIGNAL : PCINFO_C_COMPLEX;
		return;
	case CFI_COMPLEX:
		info->kind = PCINFO_C_COMPLEX;
		return;
	case CFI_BAD:
		info->kind = PCINFO_C_BAD_CFI;
		return;
	}
}

/* PCINFO_UNKNOWN: cannot be looked up now. */
static void look_up_c(struct pcinfo *info, uint64_t pc)
{
	struct code_module m;

	if (codetables_begin_reading())
		return;
	info->kind = PCINFO_C_NO_CFI;
	if (codetables_module(pc, &m))
		info_in_module(info, &m, pc);
	/* Code without tables may be a Go plugin that was loaded unnoticed. */
	if (info->kind == PCINFO_C_NO_CFI && gomodules_look(pc))
		codetables_changed();
	codetables_end_reading();
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* By names as in pclntab: only symbol tables add ".abi0" to the names of ABI0 wrappers. */
static uint8_t kind_of_go_function(const struct gosym_func *function)
{
	const char *name = function->name;
	/* The same as in topofstack, runtime/traceback.go. */
	static const char *const roots[] = {"runtime.goexit", "runtime.mstart",
					    "runtime.mcall",  "runtime.morestack",
					    "runtime.rt0_go", "runtime.libInit"};

	if (strcmp(name, "runtime.asmcgocall") == 0)
		return PCINFO_ASMCGOCALL;
	if (strcmp(name, "crosscall2") == 0 || strcmp(name, "runtime/cgo.crosscall2") == 0)
		return PCINFO_CROSSCALL2;
	/* _rt0_ and libInit: a library's constructor, which starts the runtime's first thread. */
	if (is_one_of(name, roots, COUNT_OF(roots)) || ascii_begins(name, "_rt0_"))
		return PCINFO_GO_ROOT;
	if (strcmp(name, "callbackasm1") == 0)
		return PCINFO_CALLBACKASM;
	return function->is_c ? PCINFO_C_IN_GO : PCINFO_GO;
}

static void look_up(struct pcinfo *info, uint64_t pc)
{
	struct gosym_func function;

	*info = (struct pcinfo){.pc = pc, .generation = codetables_generation()};
	if (!gosym_in_text(pc))
		look_up_c(info, pc);
	if (!gosym_in_text(pc))
		return;
	if (gosym_find(pc, &function))
		info->kind = kind_of_go_function(&function);
	else
		info->kind = PCINFO_C_IN_GO;
}

/* ---- the cache --------------------------------------------------------- */

#define PROBES 8

/*
 * An entry's first word has its pc in the address bits and, above them, a count of writes.
 * So a reader notices an entry that was replaced and came back.
 */
#define PC_BITS    48
#define PC_MASK    ((UINT64_C(1) << PC_BITS) - 1)
#define PC_CLAIMED 1 /* the entry is being written */

static uint64_t lookups;

uint64_t pcinfo_lookups(void)
{
	return LOAD(&lookups);
}

/* Only possible code addresses are cached. */
static bool is_cacheable(uint64_t pc)
{
	return pc >= PAGE_BYTES && pc >> (PC_BITS - 1) == 0;
}

static size_t cache_slot(uint64_t pc, size_t count)
{
	return (size_t)(hash_spread(pc) >> 32) & (count - 1);
}

/* The number of entries: the largest power of two that fits. */
static size_t cache_count(void)
{
	size_t n = region_layout.rows.bytes / sizeof(struct pcinfo);

	return n == 0 ? 0 : (size_t)1 << (63 - __builtin_clzll(n));
}

/*
 * A writer claims the first word, stores the others, and stores the first word last.  If a
 * reader finds the first word unchanged after it read the others, they belong to it.  If
 * the entry is claimed, the reader looks the address up itself.
 */
typedef uint64_t info_word __attribute__((may_alias));
#define LAST_WORD 3
static_assert(sizeof(struct pcinfo) == 8 * (LAST_WORD + 1), "words");

static uint64_t load_word(const struct pcinfo *p, size_t i)
{
	return LOAD_ACQ((const info_word *)p + i);
}

/* Reads all words but the pc. */
static struct pcinfo load_words(const struct pcinfo *p)
{
	struct pcinfo out = {0};

	for (size_t i = LAST_WORD; i > 0; i--)
		((info_word *)&out)[i] = load_word(p, i);
	return out;
}

/* The caller has claimed the entry; key was its first word. */
static void store_words(struct pcinfo *p, const struct pcinfo *info, uint64_t key)
{
	uint64_t version = ((key >> PC_BITS) + 1) << PC_BITS;

	for (size_t i = 1; i <= LAST_WORD; i++)
		STORE_REL((info_word *)p + i, ((const info_word *)info)[i]);
	STORE_REL(&p->pc, info->pc | version);
}

static bool cache_get(uint64_t pc, struct pcinfo *out)
{
	struct pcinfo *table = region_at(region_layout.rows.offset);
	size_t count = cache_count();
	size_t slot = count ? cache_slot(pc, count) : 0;

	for (size_t i = 0; i < PROBES && count; i++) {
		struct pcinfo *p = &table[(slot + i) & (count - 1)];
		uint64_t key = LOAD_ACQ(&p->pc);
		if (key == 0)
			return false;
		if ((key & PC_MASK) == pc) {
			*out = load_words(p);
			out->pc = pc;
			return LOAD_ACQ(&p->pc) == key && is_current(out);
		}
	}
	return false;
}

/* Counts evictions, to choose the next victim: any will do. */
static uint32_t victims;

static bool cache_claim(struct pcinfo *p, uint64_t key)
{
	return key != PC_CLAIMED && __atomic_compare_exchange_n(&p->pc, &key, PC_CLAIMED, false,
								__ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Whether the entry may be overwritten: it is free or stale. */
static bool is_spare(const struct pcinfo *p, uint64_t key)
{
	struct pcinfo held = load_words(p);

	return key == 0 || (key != PC_CLAIMED && !is_current(&held));
}

/*
 * If all slots for the pc are taken, any one of them is evicted; an entry that is used often
 * comes back.  So unloaded or rarely used code never keeps out code in use.
 */
static void cache_put(const struct pcinfo *info)
{
	struct pcinfo *table = region_at(region_layout.rows.offset);
	size_t count = cache_count();
	size_t slot = count ? cache_slot(info->pc, count) : 0;
	struct pcinfo *p;
	uint64_t key;

	for (size_t i = 0; i < PROBES && count; i++) {
		p = &table[(slot + i) & (count - 1)];
		key = LOAD_ACQ(&p->pc);
		if (is_spare(p, key) && cache_claim(p, key))
			return store_words(p, info, key);
		if ((key & PC_MASK) == info->pc)
			return;
	}
	if (!count)
		return;
	p = &table[(slot + ADD(&victims, 1) % PROBES) & (count - 1)];
	key = LOAD_ACQ(&p->pc);
	if (cache_claim(p, key))
		store_words(p, info, key);
}

struct pcinfo pcinfo_at(uint64_t pc)
{
	struct pcinfo info;

	if (cache_get(pc, &info))
		return info;
	ADD(&lookups, 1);
	look_up(&info, pc);
	if (likely(info.kind != PCINFO_UNKNOWN && is_cacheable(pc)))
		cache_put(&info);
	return info;
}
