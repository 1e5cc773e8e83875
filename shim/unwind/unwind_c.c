/* See unwind_c.h. */
#include "unwind/unwind_c.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>

#include "base/dynsym.h"
#include "base/libc.h"
#include "base/lock.h"
#include "base/sys.h"
#include "region/region.h"
#include "go/gomodules.h"
#include "go/gosym.h"
#include "unwind/cfi.h"
#include "unwind/fde.h"

static_assert(sizeof(struct place) == 32, "two places a cache line");
static_assert(CFI_SAVED == COUNT_OF(((struct place *)0)->saved), "one slot a register");

#define MAX_FRAME_BYTES ((uint64_t)64 << 20) /* one C frame; more is a broken chain */

/* ---- modules are not unloaded while they are read ------------------------ */

static uint32_t readers, unloaders;

/* Counts unloadings of code: what a place says holds for one of them. */
static uint32_t generation;

void unwind_c_forget(void)
{
	ADD(&generation, 1);
}

static void end_reading(void)
{
	__atomic_fetch_sub(&readers, 1, __ATOMIC_RELEASE);
}

/* False: an unloading is under way.  Each side says so before it looks at the other. */
static bool begin_reading(void)
{
	__atomic_fetch_add(&readers, 1, __ATOMIC_SEQ_CST);
	if (likely(!__atomic_load_n(&unloaders, __ATOMIC_SEQ_CST)))
		return true;
	end_reading();
	return false;
}

/* A reader needs microseconds, unless its thread was preempted, or ended in the middle. */
#define WAIT_NS   1000000
#define MAX_WAITS 100

void unwind_c_unload_begins(void)
{
	static const struct timespec moment = {.tv_nsec = WAIT_NS};
	uint32_t reading;

	__atomic_fetch_add(&unloaders, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < MAX_WAITS; i++) {
		reading = __atomic_load_n(&readers, __ATOMIC_SEQ_CST);
		if (!reading)
			return;
		sys_call(futex, &readers, FUTEX_WAIT, reading, &moment);
	}
}

void unwind_c_unload_ends(void)
{
	unwind_c_forget();
	__atomic_fetch_sub(&unloaders, 1, __ATOMIC_RELEASE);
}

void unwind_c_after_fork_in_child(void)
{
	STORE(&readers, 0);
	STORE(&unloaders, 0);
}

/* ---- a module's tables --------------------------------------------------- */

/* glibc 2.35; looked up, since even a weak reference would demand that version of the loader. */
static int (*find_object)(void *address, struct dl_find_object *result);

void unwind_c_init(void)
{
	find_object = (__typeof__(find_object))dynsym_loader("_dl_find_object");
}

/* The module that pc lies in. */
struct module {
	const ElfW(Phdr) * headers;
	size_t count;
	uint64_t bias;
	uint64_t table; /* .eh_frame_hdr; 0: none */
};

/* The readable segment that address lies in; false: none. */
static bool segment_of(const struct module *m, uint64_t address, uint64_t *start, uint64_t *end)
{
	for (size_t i = 0; i < m->count; i++) {
		const ElfW(Phdr) *p = &m->headers[i];
		*start = m->bias + p->p_vaddr;
		*end = *start + p->p_filesz;
		if (p->p_type == PT_LOAD && (p->p_flags & PF_R) && address >= *start &&
		    address < *end)
			return true;
	}
	return false;
}

/* By the program headers in its first page, where every linker puts them. */
static bool module_of_object(const struct dl_find_object *object, struct module *out)
{
	const ElfW(Ehdr) *header = object->dlfo_map_start;

	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phoff % 8 ||
	    header->e_phoff + (uint64_t)header->e_phnum * sizeof(ElfW(Phdr)) > PAGE_BYTES)
		return false;
	*out = (struct module){.headers = (const void *)((const char *)header + header->e_phoff),
			       .count = header->e_phnum,
			       .table = (uint64_t)object->dlfo_eh_frame};
	for (size_t i = 0; i < out->count; i++)
		if (out->headers[i].p_type == PT_LOAD) {
			out->bias = (uint64_t)header -
				    (out->headers[i].p_vaddr & ~(uint64_t)(PAGE_BYTES - 1));
			return true;
		}
	return false;
}

struct module_search {
	uint64_t pc;
	struct module *out;
};

static int module_of_headers(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct module_search *search = arg;
	struct module m = {info->dlpi_phdr, info->dlpi_phnum, info->dlpi_addr, 0};
	uint64_t start, end;

	(void)size;
	if (!segment_of(&m, search->pc, &start, &end))
		return 0;
	for (size_t i = 0; i < m.count; i++)
		if (m.headers[i].p_type == PT_GNU_EH_FRAME)
			m.table = m.bias + m.headers[i].p_vaddr;
	*search->out = m;
	return 1;
}

static bool find_module(uint64_t pc, struct module *out)
{
	struct dl_find_object object;
	struct module_search search = {pc, out};

	if (!find_object)
		return libc.dl_iterate_phdr(module_of_headers, &search) == 1;
	return find_object((void *)pc, &object) == 0 && module_of_object(&object, out);
}

/* The FDE that covers pc, 0 where there is none; *failed where it does not decode. */
static uint64_t find_fde(const struct module *m, uint64_t pc, struct fde_module *tables,
			 bool *failed)
{
	uint64_t fde;
	int covers;

	*failed = false;
	tables->table = m->table;
	if (!m->table || !segment_of(m, m->table, &tables->start, &tables->end))
		return 0;
	fde = fde_find(tables, pc);
	covers = fde ? cfi_covers(tables, fde, pc) : 0;
	*failed = covers < 0;
	return covers > 0 ? fde : 0;
}

/* ---- what stands at a pc ----------------------------------------------- */

/* Go's text is the program's: it is never unloaded. */
static bool is_current(const struct place *place)
{
	return place->kind >= PLACE_C_IN_GO || place->generation == LOAD(&generation);
}

/* mov $15,%rax; syscall: what the kernel returns to from a signal handler. */
static bool is_sigreturn(const struct module *m, uint64_t pc)
{
	static const uint8_t code[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
	uint64_t start, end;

	/* The frame's "return address" is the first instruction; we may look from one byte before.
	 */
	if (!segment_of(m, pc, &start, &end) || end - pc <= sizeof code)
		return false;
	return memcmp((const void *)pc, code, sizeof code) == 0 ||
	       memcmp((const void *)(pc + 1), code, sizeof code) == 0;
}

static void set_row(struct place *place, const struct cfi_row *row)
{
	place->kind = PLACE_C;
	place->cfa_register = row->cfa_register;
	place->cfa_offset = row->cfa_offset;
	place->return_address = row->return_address;
	memcpy(place->saved, row->saved, sizeof row->saved);
}

static void place_in_module(struct place *place, const struct module *m, uint64_t pc)
{
	struct fde_module tables;
	struct cfi_row row;
	bool failed;
	uint64_t fde = find_fde(m, pc, &tables, &failed);

	if (fde == 0) {
		/* One byte before a trampoline lies no FDE of its: ask for the next byte too. */
		fde = find_fde(m, pc + 1, &tables, &failed);
		place->kind = failed ? PLACE_C_BAD_CFI : PLACE_C_NO_CFI;
		if (fde && cfi_compile(&tables, fde, pc + 1, &row) == CFI_SIGNAL)
			place->kind = PLACE_C_SIGNAL;
		return;
	}
	switch (cfi_compile(&tables, fde, pc, &row)) {
	case CFI_ROW:
		set_row(place, &row);
		return;
	case CFI_ROOT:
		place->kind = PLACE_C_ROOT;
		return;
	case CFI_SIGNAL:
		place->kind = is_sigreturn(m, pc) ? PLACE_C_SIGNAL : PLACE_C_COMPLEX;
		return;
	case CFI_COMPLEX:
		place->kind = PLACE_C_COMPLEX;
		return;
	case CFI_BAD:
		place->kind = PLACE_C_BAD_CFI;
		return;
	}
}

/* PLACE_UNKNOWN: not to be looked up now. */
static void place_c(struct place *place, uint64_t pc)
{
	struct module m;

	if (!begin_reading())
		return;
	place->kind = PLACE_C_NO_CFI;
	if (find_module(pc, &m))
		place_in_module(place, &m, pc);
	/* Code that no table describes may be that of a plugin, which nothing has told of. */
	if (place->kind == PLACE_C_NO_CFI && gomodules_look(pc))
		unwind_c_forget();
	end_reading();
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* Names as pclntab has them; ABI0 wrappers carry the suffix ".abi0" in symbol tables only. */
static uint8_t kind_of_go_function(const struct gosym_func *function)
{
	const char *name = function->name;
	/* As topofstack in runtime/traceback.go has them. */
	static const char *const roots[] = {"runtime.goexit", "runtime.mstart",
					    "runtime.mcall",  "runtime.morestack",
					    "runtime.rt0_go", "runtime.libInit"};

	if (strcmp(name, "runtime.asmcgocall") == 0)
		return PLACE_ASMCGOCALL;
	if (strcmp(name, "crosscall2") == 0 || strcmp(name, "runtime/cgo.crosscall2") == 0)
		return PLACE_CROSSCALL2;
	/* _rt0_ and libInit: a library's constructor, which starts the runtime's first thread. */
	if (is_one_of(name, roots, COUNT_OF(roots)) || strncmp(name, "_rt0_", 5) == 0)
		return PLACE_GO_ROOT;
	if (strcmp(name, "callbackasm1") == 0)
		return PLACE_CALLBACKASM;
	return function->is_c ? PLACE_C_IN_GO : PLACE_GO;
}

static void place_look_up(struct place *place, uint64_t pc)
{
	struct gosym_func function;

	*place = (struct place){.pc = pc, .generation = LOAD(&generation)};
	if (!gosym_in_text(pc))
		place_c(place, pc);
	if (!gosym_in_text(pc))
		return;
	if (gosym_find(pc, &function))
		place->kind = kind_of_go_function(&function);
	else
		place->kind = PLACE_C_IN_GO;
}

/* ---- the cache --------------------------------------------------------- */

#define PROBES 8

/*
 * An entry's first word is its pc and, above the bits that an address has, how often
 * the entry was written, so that one that was replaced and came back is not taken for
 * one that stood still.
 */
#define PC_BITS    48
#define PC_MASK    ((UINT64_C(1) << PC_BITS) - 1)
#define PC_CLAIMED 1 /* an entry that is being written */

static uint64_t lookups;

uint64_t unwind_c_lookups(void)
{
	return LOAD(&lookups);
}

/* What is not an address of code is not remembered. */
static bool is_cacheable(uint64_t pc)
{
	return pc >= PAGE_BYTES && pc >> (PC_BITS - 1) == 0;
}

static size_t cache_slot(uint64_t pc, size_t count)
{
	return (size_t)((pc * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (count - 1);
}

/* The largest power of two of places that fits. */
static size_t cache_count(void)
{
	size_t n = region_layout.rows.bytes / sizeof(struct place);

	return n == 0 ? 0 : (size_t)1 << (63 - __builtin_clzll(n));
}

/*
 * The writer claims the first word, stores the others, and the first one last.  A
 * reader who finds the first word as it was before he read the others has read what
 * belongs to it.  Where the entry is claimed, he looks the address up himself.
 */
typedef uint64_t place_word __attribute__((may_alias));
#define LAST_WORD 3
static_assert(sizeof(struct place) == 8 * (LAST_WORD + 1), "words");

static uint64_t load_word(const struct place *p, size_t i)
{
	return LOAD_ACQ((const place_word *)p + i);
}

/* All but the pc. */
static struct place load_words(const struct place *p)
{
	struct place out = {0};

	for (size_t i = LAST_WORD; i > 0; i--)
		((place_word *)&out)[i] = load_word(p, i);
	return out;
}

/* By who has claimed the entry, whose first word was key. */
static void store_words(struct place *p, const struct place *place, uint64_t key)
{
	uint64_t version = ((key >> PC_BITS) + 1) << PC_BITS;

	for (size_t i = 1; i <= LAST_WORD; i++)
		STORE_REL((place_word *)p + i, ((const place_word *)place)[i]);
	STORE_REL(&p->pc, place->pc | version);
}

static bool cache_get(uint64_t pc, struct place *out)
{
	struct place *table = region_at(region_layout.rows.offset);
	size_t count = cache_count();
	size_t slot = count ? cache_slot(pc, count) : 0;

	for (size_t i = 0; i < PROBES && count; i++) {
		struct place *p = &table[(slot + i) & (count - 1)];
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

/* The places that were given up, for the next one: any will do. */
static uint32_t victims;

static bool cache_claim(struct place *p, uint64_t key)
{
	return key != PC_CLAIMED && __atomic_compare_exchange_n(&p->pc, &key, PC_CLAIMED, false,
								__ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Whether the entry may be written over: it is free, or what it says holds no more. */
static bool is_spare(const struct place *p, uint64_t key)
{
	struct place held = load_words(p);

	return key == 0 || (key != PC_CLAIMED && !is_current(&held));
}

/*
 * Where a neighbourhood is full one of it gives way, any: what is needed often comes
 * back.  So code that is gone, or met once, never keeps what is in use out.
 */
static void cache_put(const struct place *place)
{
	struct place *table = region_at(region_layout.rows.offset);
	size_t count = cache_count();
	size_t slot = count ? cache_slot(place->pc, count) : 0;
	struct place *p;
	uint64_t key;

	for (size_t i = 0; i < PROBES && count; i++) {
		p = &table[(slot + i) & (count - 1)];
		key = LOAD_ACQ(&p->pc);
		if (is_spare(p, key) && cache_claim(p, key))
			return store_words(p, place, key);
		if ((key & PC_MASK) == place->pc)
			return;
	}
	if (!count)
		return;
	p = &table[(slot + ADD(&victims, 1) % PROBES) & (count - 1)];
	key = LOAD_ACQ(&p->pc);
	if (cache_claim(p, key))
		store_words(p, place, key);
}

struct place unwind_c_place(uint64_t pc)
{
	struct place place;

	if (cache_get(pc, &place))
		return place;
	ADD(&lookups, 1);
	place_look_up(&place, pc);
	if (likely(place.kind != PLACE_UNKNOWN && is_cacheable(pc)))
		cache_put(&place);
	return place;
}

/* ---- stepping ---------------------------------------------------------- */

static int step_by_row(struct saferead *memory, const struct place *place, struct regs *regs)
{
	struct regs caller = *regs;
	uint64_t cfa;

	/* The cache lies in the region, and that a host may have written over. */
	if (place->cfa_register >= CFI_REGISTERS)
		return CAPTURE_BAD_CFI;
	cfa = *cfi_register_in(regs, place->cfa_register) + (uint64_t)(int64_t)place->cfa_offset;
	if (cfa <= regs->sp || cfa - regs->sp > MAX_FRAME_BYTES)
		return CAPTURE_BAD_STACK;
	caller.sp = cfa;
	if (!saferead_read(memory, cfa + (uint64_t)(8 * place->return_address), &caller.ip))
		return CAPTURE_BAD_STACK;
	for (unsigned r = 0; r < CFI_SAVED; r++)
		if (place->saved[r] != CFI_SAME &&
		    !saferead_read(memory, cfa + (uint64_t)(8 * (int64_t)place->saved[r]),
				   &caller.bp + r))
			return CAPTURE_BAD_STACK;
	*regs = caller;
	return 0;
}

/*
 * The interrupted registers lie in the ucontext that the kernel pushed right
 * above the handler's return address (arch/x86/include/asm/sigframe.h, struct
 * rt_sigframe; uc_mcontext at 40, then r8-r15 rdi rsi rbp rbx rdx rax rcx rsp rip).
 */
static int step_over_signal(struct saferead *memory, struct regs *regs)
{
	uint64_t gregs = regs->sp + 40;
	struct regs interrupted;

	if (!saferead_read(memory, gregs + 8 * 4, &interrupted.r12) ||
	    !saferead_read(memory, gregs + 8 * 5, &interrupted.r13) ||
	    !saferead_read(memory, gregs + 8 * 6, &interrupted.r14) ||
	    !saferead_read(memory, gregs + 8 * 7, &interrupted.r15) ||
	    !saferead_read(memory, gregs + 8 * 10, &interrupted.bp) ||
	    !saferead_read(memory, gregs + 8 * 11, &interrupted.bx) ||
	    !saferead_read(memory, gregs + 8 * 15, &interrupted.sp) ||
	    !saferead_read(memory, gregs + 8 * 16, &interrupted.ip))
		return CAPTURE_BAD_STACK;
	*regs = interrupted;
	saferead_go_on_at(memory, interrupted.sp);
	return 0;
}

static int step_in_module(struct saferead *memory, const struct module *m, uint64_t pc,
			  struct regs *regs, bool *exact)
{
	struct fde_module tables;
	struct regs caller = *regs;
	bool failed;
	uint64_t fde = find_fde(m, pc, &tables, &failed);

	if (!fde)
		return failed ? CAPTURE_BAD_CFI : CAPTURE_NO_CFI;
	switch (cfi_step(&tables, fde, pc, memory, &caller, exact)) {
	case CFI_ROW:
		break;
	case CFI_ROOT:
		caller.ip = 0; /* which ends the walk */
		break;
	default:
		return CAPTURE_BAD_STACK;
	}
	if (caller.ip && (caller.sp <= regs->sp || caller.sp - regs->sp > MAX_FRAME_BYTES))
		return CAPTURE_BAD_STACK;
	*regs = caller;
	return 0;
}

static int step_by_rules(struct saferead *memory, uint64_t pc, struct regs *regs, bool *exact)
{
	struct module m;
	int result = CAPTURE_NO_CFI;

	if (!begin_reading())
		return CAPTURE_UNWINDER;
	if (find_module(pc, &m))
		result = step_in_module(memory, &m, pc, regs, exact);
	end_reading();
	return result;
}

int unwind_c_step(struct saferead *memory, const struct place *place, struct regs *regs,
		  bool *exact)
{
	*exact = false;
	switch (place->kind) {
	case PLACE_C:
		return step_by_row(memory, place, regs);
	case PLACE_C_SIGNAL:
		*exact = true;
		return step_over_signal(memory, regs);
	case PLACE_C_COMPLEX:
		return step_by_rules(memory, place->pc, regs, exact);
	case PLACE_C_BAD_CFI:
		return CAPTURE_BAD_CFI;
	case PLACE_UNKNOWN:
		return CAPTURE_UNWINDER;
	default:
		return CAPTURE_NO_CFI;
	}
}
