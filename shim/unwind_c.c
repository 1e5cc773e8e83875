/* See unwind_c.h. */
#include "unwind_c.h"

#include <assert.h>
#include <dlfcn.h>
#include <link.h>
#include <libunwind.h>
#include <setjmp.h>
#include <string.h>

#include "cfi.h"
#include "fde.h"
#include "gomodules.h"
#include "gosym.h"
#include "region.h"
#include "sys.h"

static_assert(sizeof(struct place) == 32, "two places a cache line");
static_assert(CFI_REGISTERS == COUNT_OF(((struct place *)0)->saved), "one slot a register");

#define MAX_FRAME_BYTES ((uint64_t)64 << 20) /* one C frame; more is a broken chain */

/* What libunwind takes of the stack: 6 KiB were measured. */
#define UNWINDER_STACK_BYTES (12 * KIB)

/* ---- the loader's answer without the loader's lock --------------------- */

/* glibc 2.35; looked up, since even a weak reference would demand that version of the loader. */
static int (*find_object)(void *address, struct dl_find_object *result);

void unwind_c_init(void)
{
	find_object = (__typeof__(find_object))dlsym(RTLD_DEFAULT, "_dl_find_object");
	if (!find_object)
		dlerror(); /* ours to hear, not the host's */
}

int __real_dl_iterate_phdr(int (*callback)(struct dl_phdr_info *, size_t, void *), void *data);
int __wrap_dl_iterate_phdr(int (*callback)(struct dl_phdr_info *, size_t, void *), void *data);
void __wrap_abort(void) __attribute__((noreturn));
void __wrap___assert_fail(const char *, const char *, unsigned, const char *)
	__attribute__((noreturn));
char *__wrap_getenv(const char *name);

/* State of a call into libunwind by this thread. */
struct unwinder_call {
	void *escape[5]; /* __builtin_setjmp: where abort() ends up */
	uint64_t pc;     /* looked up */
	bool active;
};
static __thread struct unwinder_call unwinder __attribute__((tls_model("initial-exec")));

/* libunwind prints when certain variables are set; the shim prints nothing. */
char *__wrap_getenv(const char *name)
{
	(void)name;
	return NULL;
}

/*
 * libunwind ends the process on tables it does not like.  Here it ends the
 * walk.  No lock is held at that point: the loader's is never taken (below),
 * and libunwind's own is only read-locked around its cache of registered FDEs,
 * which has no entries.
 */
static void __attribute__((noreturn)) escape_unwinder(void)
{
	if (unwinder.active)
		__builtin_longjmp(unwinder.escape, 1);
	/* Some other library of ours, on the server's thread: it stops, the host does not. */
	for (;;)
		sys_call(pause);
}

void __wrap_abort(void)
{
	escape_unwinder();
}

void __wrap___assert_fail(const char *expression, const char *file, unsigned line,
			  const char *function)
{
	(void)expression;
	(void)file;
	(void)line;
	(void)function;
	escape_unwinder();
}

/* The program headers of the module that holds the pc in question, from its own memory. */
static bool describe_module(struct dl_phdr_info *info)
{
	struct dl_find_object found;
	const ElfW(Ehdr) * header;

	if (find_object((void *)unwinder.pc, &found) != 0)
		return false;
	header = found.dlfo_map_start;
	if (!sys_readable(header) || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_phentsize != sizeof(ElfW(Phdr)) ||
	    header->e_phoff + (uint64_t)header->e_phnum * sizeof(ElfW(Phdr)) > PAGE_BYTES)
		return false;
	*info = (struct dl_phdr_info){
		.dlpi_addr = found.dlfo_link_map->l_addr,
		.dlpi_name = found.dlfo_link_map->l_name,
		.dlpi_phdr = (const void *)((const char *)header + header->e_phoff),
		.dlpi_phnum = header->e_phnum,
	};
	return true;
}

int __wrap_dl_iterate_phdr(int (*callback)(struct dl_phdr_info *, size_t, void *), void *data)
{
	struct dl_phdr_info info;

	if (!find_object)
		return __real_dl_iterate_phdr(callback, data);
	return describe_module(&info) ? callback(&info, sizeof info, data) : 0;
}

/* ---- libunwind, fenced ------------------------------------------------- */

static void context_of_regs(unw_context_t *context, const struct regs *regs)
{
	/* The order of libunwind's own unw_getcontext on x86_64: rax rbx rcx rdx rdi rsi rbp rsp
	 * r8-r15 rip. */
	memset(context, 0, sizeof *context);
	context->data[1] = regs->bx;
	context->data[6] = regs->bp;
	context->data[7] = regs->sp;
	context->data[12] = regs->r12;
	context->data[13] = regs->r13;
	context->data[14] = regs->r14;
	context->data[15] = regs->r15;
	context->data[16] = regs->ip;
}

static void regs_of_cursor(unw_cursor_t *cursor, struct regs *regs)
{
	unw_get_reg(cursor, UNW_REG_IP, (unw_word_t *)&regs->ip);
	unw_get_reg(cursor, UNW_REG_SP, (unw_word_t *)&regs->sp);
	unw_get_reg(cursor, UNW_X86_64_RBP, (unw_word_t *)&regs->bp);
	unw_get_reg(cursor, UNW_X86_64_RBX, (unw_word_t *)&regs->bx);
	unw_get_reg(cursor, UNW_X86_64_R12, (unw_word_t *)&regs->r12);
	unw_get_reg(cursor, UNW_X86_64_R13, (unw_word_t *)&regs->r13);
	unw_get_reg(cursor, UNW_X86_64_R14, (unw_word_t *)&regs->r14);
	unw_get_reg(cursor, UNW_X86_64_R15, (unw_word_t *)&regs->r15);
}

/* The FDE that covers pc, 0 where there is none; *failed when libunwind gave up. */
static uint64_t __attribute__((noinline)) find_fde_by_unwinder(uint64_t pc, bool *failed)
{
	unw_context_t context;
	unw_cursor_t cursor;
	unw_proc_info_t info;
	struct regs regs = {.ip = pc};
	volatile uint64_t fde = 0;

	*failed = true;
	context_of_regs(&context, &regs);
	unwinder.pc = pc;
	unwinder.active = true;
	if (__builtin_setjmp(unwinder.escape) == 0) {
		unw_init_local(&cursor, &context);
		if (unw_get_proc_info(&cursor, &info) == UNW_ESUCCESS)
			fde = info.unwind_info;
		*failed = false;
	}
	unwinder.active = false;
	return fde;
}

/* The same, of the module's table, of which only what fits the module is believed. */
static uint64_t find_fde(uint64_t pc, bool *failed)
{
	struct dl_find_object found;
	struct fde_module module;
	uint64_t fde;
	int covers;

	if (!find_object)
		return find_fde_by_unwinder(pc, failed);
	*failed = false;
	if (find_object((void *)pc, &found) != 0)
		return 0;
	module = (struct fde_module){.table = (uint64_t)found.dlfo_eh_frame,
				     .start = (uint64_t)found.dlfo_map_start,
				     .end = (uint64_t)found.dlfo_map_end};
	fde = fde_find(&module, pc);
	covers = fde ? cfi_covers(fde, pc) : 0;
	*failed = covers < 0;
	return covers > 0 ? fde : 0;
}

/* One frame by libunwind.  Its reads are unchecked: the frame must lie in readable memory. */
static int __attribute__((noinline))
step_by_unwinder(struct memory *memory, uint64_t pc, struct regs *regs)
{
	unw_context_t context;
	unw_cursor_t cursor;
	struct regs caller;
	uint64_t word;
	volatile int result = CAPTURE_UNWINDER;

	if (!memory_has_stack(UNWINDER_STACK_BYTES))
		return CAPTURE_UNWINDER;
	if (!memory_read(memory, regs->sp, &word) || !memory_read(memory, regs->bp & ~7ul, &word))
		return CAPTURE_BAD_STACK;
	context_of_regs(&context, regs);
	context.data[16] = pc;
	unwinder.pc = pc;
	unwinder.active = true;
	if (__builtin_setjmp(unwinder.escape) == 0) {
		unw_init_local(&cursor, &context);
		/* 0 is "no information on the caller", which is then ours to find. */
		if (unw_step(&cursor) >= 0) {
			regs_of_cursor(&cursor, &caller);
			result = 0;
		}
	}
	unwinder.active = false;
	if (result == 0 && (caller.sp <= regs->sp || caller.sp - regs->sp > MAX_FRAME_BYTES))
		return CAPTURE_BAD_STACK;
	if (result == 0)
		*regs = caller;
	return result;
}

/* ---- what stands at a pc ----------------------------------------------- */

/* Counts unloadings of code: what a place says holds for one of them. */
static uint16_t generation;

void unwind_c_forget(void)
{
	ADD(&generation, 1);
}

/* Go's text is the program's: it is never unloaded. */
static bool is_current(const struct place *place)
{
	return place->kind >= PLACE_C_IN_GO || place->generation == LOAD(&generation);
}

/* mov $15,%rax; syscall: what the kernel returns to from a signal handler. */
static bool is_sigreturn(uint64_t pc)
{
	static const uint8_t code[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};

	/* The frame's "return address" is the first instruction; we may look from one byte before.
	 */
	return memcmp((const void *)pc, code, sizeof code) == 0 ||
	       memcmp((const void *)(pc + 1), code, sizeof code) == 0;
}

static void place_c(struct place *place, uint64_t pc)
{
	struct cfi_row row;
	bool failed;
	uint64_t fde = find_fde(pc, &failed);

	if (fde == 0) {
		/* One byte before a trampoline lies no FDE of its: ask for the next byte too. */
		fde = find_fde(pc + 1, &failed);
		if (fde == 0 || cfi_compile(fde, pc + 1, &row) != CFI_SIGNAL) {
			place->kind = failed ? PLACE_C_BAD_CFI : PLACE_C_NO_CFI;
			return;
		}
		place->kind = PLACE_C_SIGNAL;
		return;
	}
	switch (cfi_compile(fde, pc, &row)) {
	case CFI_ROW:
		place->kind = PLACE_C;
		place->cfa_register = row.cfa_register;
		place->cfa_offset = row.cfa_offset;
		place->return_address = row.return_address;
		memcpy(place->saved, row.saved, sizeof row.saved);
		return;
	case CFI_ROOT:
		place->kind = PLACE_C_ROOT;
		return;
	case CFI_SIGNAL:
		place->kind = is_sigreturn(pc) ? PLACE_C_SIGNAL : PLACE_C_COMPLEX;
		return;
	case CFI_COMPLEX:
		place->kind = PLACE_C_COMPLEX;
		return;
	case CFI_BAD:
		place->kind = PLACE_C_BAD_CFI;
		return;
	}
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
	return function->is_c ? PLACE_C_IN_GO : PLACE_GO;
}

static void place_look_up(struct place *place, uint64_t pc)
{
	struct gosym_func function;

	*place = (struct place){.pc = pc, .generation = LOAD(&generation)};
	if (!gosym_in_text(pc))
		place_c(place, pc);
	/* Code that no table describes may be that of a plugin, which nothing has told of. */
	if (place->kind == PLACE_C_NO_CFI && gomodules_look(pc))
		unwind_c_forget();
	if (!gosym_in_text(pc))
		return;
	if (gosym_find(pc, &function))
		place->kind = kind_of_go_function(&function);
	else
		place->kind = PLACE_C_IN_GO;
}

/* ---- the cache --------------------------------------------------------- */

#define PROBES     8
#define PC_CLAIMED 1 /* an entry that is being written */

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
 * Entries are written once, and once more for each unloading of code after which
 * they are asked for again, then with another generation.  The writer claims the
 * pc, and stores the word with the generation last but for the pc.  A reader
 * loads that word first: it is the new one, and then the others are, or it is
 * another one by the time the pc is what it was.  Then, and where the pc is
 * claimed, he looks the address up himself.
 */
typedef uint64_t place_word __attribute__((may_alias));
#define LAST_WORD 3
static_assert(sizeof(struct place) == 8 * (LAST_WORD + 1) &&
		      offsetof(struct place, generation) / 8 == LAST_WORD,
	      "the generation is in the last word");

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

/* By who has claimed the entry. */
static void store_words(struct place *p, const struct place *place)
{
	for (size_t i = 1; i <= LAST_WORD; i++)
		STORE_REL((place_word *)p + i, ((const place_word *)place)[i]);
	STORE_REL(&p->pc, place->pc);
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
		if (key == pc) {
			*out = load_words(p);
			out->pc = LOAD_ACQ(&p->pc);
			return out->pc == pc &&
			       load_word(p, LAST_WORD) == load_word(out, LAST_WORD) &&
			       is_current(out);
		}
	}
	return false;
}

/* Takes an entry that is free, or holds what is known no more of the same pc. */
static bool cache_claim(struct place *p, uint64_t pc)
{
	uint64_t key = LOAD_ACQ(&p->pc);
	struct place held = load_words(p);

	return (key == 0 || (key == pc && !is_current(&held))) &&
	       __atomic_compare_exchange_n(&p->pc, &key, PC_CLAIMED, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

/* A full neighbourhood is not cached. */
static void cache_put(const struct place *place)
{
	struct place *table = region_at(region_layout.rows.offset);
	size_t count = cache_count();
	size_t slot = count ? cache_slot(place->pc, count) : 0;

	for (size_t i = 0; i < PROBES && count; i++) {
		struct place *p = &table[(slot + i) & (count - 1)];
		if (cache_claim(p, place->pc)) {
			store_words(p, place);
			return;
		}
		if (LOAD(&p->pc) == place->pc)
			return;
	}
}

struct place unwind_c_place(uint64_t pc)
{
	struct place place;

	if (cache_get(pc, &place))
		return place;
	place_look_up(&place, pc);
	cache_put(&place);
	return place;
}

/* ---- stepping ---------------------------------------------------------- */

static uint64_t *register_at(struct regs *regs, unsigned r)
{
	switch (r) {
	case CFI_BX:
		return &regs->bx;
	case CFI_BP:
		return &regs->bp;
	case CFI_SP:
		return &regs->sp;
	default:
		return &regs->r12 + (r - CFI_R12);
	}
}

static int step_by_row(struct memory *memory, const struct place *place, struct regs *regs)
{
	struct regs caller = *regs;
	uint64_t cfa;

	/* The cache lies in the region, and that a host may have written over. */
	if (place->cfa_register >= CFI_REGISTERS)
		return CAPTURE_BAD_CFI;
	cfa = *register_at(regs, place->cfa_register) + (uint64_t)(int64_t)place->cfa_offset;
	if (cfa <= regs->sp || cfa - regs->sp > MAX_FRAME_BYTES)
		return CAPTURE_BAD_STACK;
	caller.sp = cfa;
	if (!memory_read(memory, cfa + (uint64_t)(8 * place->return_address), &caller.ip))
		return CAPTURE_BAD_STACK;
	for (unsigned r = 0; r < CFI_REGISTERS; r++)
		if (place->saved[r] != CFI_SAME &&
		    !memory_read(memory, cfa + (uint64_t)(8 * (int64_t)place->saved[r]),
				 register_at(&caller, r)))
			return CAPTURE_BAD_STACK;
	*regs = caller;
	return 0;
}

/*
 * The interrupted registers lie in the ucontext that the kernel pushed right
 * above the handler's return address (arch/x86/include/asm/sigframe.h, struct
 * rt_sigframe; uc_mcontext at 40, then r8-r15 rdi rsi rbp rbx rdx rax rcx rsp rip).
 */
static int step_over_signal(struct memory *memory, struct regs *regs)
{
	uint64_t gregs = regs->sp + 40;
	struct regs interrupted;

	if (!memory_read(memory, gregs + 8 * 4, &interrupted.r12) ||
	    !memory_read(memory, gregs + 8 * 5, &interrupted.r13) ||
	    !memory_read(memory, gregs + 8 * 6, &interrupted.r14) ||
	    !memory_read(memory, gregs + 8 * 7, &interrupted.r15) ||
	    !memory_read(memory, gregs + 8 * 10, &interrupted.bp) ||
	    !memory_read(memory, gregs + 8 * 11, &interrupted.bx) ||
	    !memory_read(memory, gregs + 8 * 15, &interrupted.sp) ||
	    !memory_read(memory, gregs + 8 * 16, &interrupted.ip))
		return CAPTURE_BAD_STACK;
	*regs = interrupted;
	return 0;
}

int unwind_c_step(struct memory *memory, const struct place *place, struct regs *regs, bool *exact)
{
	*exact = false;
	switch (place->kind) {
	case PLACE_C:
		return step_by_row(memory, place, regs);
	case PLACE_C_SIGNAL:
		*exact = true;
		return step_over_signal(memory, regs);
	case PLACE_C_COMPLEX:
		return step_by_unwinder(memory, place->pc, regs);
	case PLACE_C_BAD_CFI:
		return CAPTURE_BAD_CFI;
	default:
		return CAPTURE_NO_CFI;
	}
}
