/*
 * The unwind tables of installed libraries, as they were compiled by others: at every change of a
 * row, and on the last byte before it, our rules and our captures must lead from made-up registers
 * to what libunwind computes.
 *
 * The stack is made up as well. Each word holds its address plus SHIFT, so that a restored register
 * tells the slot that it came from. A capture shows return addresses only: to see a register, the
 * return address is made one of a probe, whose own return address lies at that register. Between
 * two captures at a pc, thus, only one word of the stack changes.
 *
 * TEST_LONG: every FDE, every probe. Else some of them, chosen by a hash.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <libunwind.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "base/hash.h"
#include "machine.h"
#include "record/labelsets.h"
#include "region/region.h"
#include "unwind/capture.h"
#include "unwind/cfi.h"
#include "unwind/descriptor.h"
#include "unwind/cfi_entry.h"
#include "unwind/codetables.h"
#include "unwind/saferead.h"

/* Those of them that are installed. */
static const char *const libraries[] = {
	"libc.so.6",
	MACHINE_LOADER,
	"libm.so.6",
	"libgcc_s.so.1",
	"libstdc++.so.6",
	"libgomp.so.1",
	"libz.so.1",
	"libzstd.so.1",
	"libssl.so.3",
	"libcrypto.so.3",
	"libcurl.so.4",
	"libsqlite3.so.0",
	"libpython3.11.so.1.0",
	"libpython3.13.so.1.0",
	"libjemalloc.so.2",
	"libtcmalloc_minimal.so.4",
	"libmimalloc.so.2",
	"libmimalloc.so.3",
	"libprotobuf.so.32",
	"libsnappy.so.1",
	"librocksdb.so.7.8",
	"librocksdb.so.9.10",
	"libicui18n.so.72",
	"libicui18n.so.76",
	"libicuuc.so.72",
	"libicuuc.so.76",
	"libglib-2.0.so.0",
	"libLLVM-14.so.1",
	"libLLVM.so.19.1",
};
#define LEAST_LIBRARIES 10
#define SOME_FDES       (IS_SANITIZED ? 150u : 600u) /* of one library, unless TEST_LONG */

/* ---- the made-up frame ------------------------------------------------------ */

#define WORDS      (size_t)(1 * MIB)     /* 8 MiB, on the thread's own stack */
#define SHIFT      (uint64_t)(2 * MIB)   /* a restored register is above all that was read */
#define BELOW      (uint64_t)(512 * KIB) /* under the stack pointer */
#define FRAME_ROOM (uint64_t)(1 * MIB)   /* larger frames are counted only */

static uint64_t *words;

static bool is_word(uint64_t address)
{
	return address - (uint64_t)words < WORDS * 8 && address % 8 == 0;
}

static void fill_words(void)
{
	for (size_t i = 0; i < WORDS; i++)
		words[i] = (uint64_t)&words[i] + SHIFT;
}

/* No two registers are alike; the frame pointer is the lowest, because other registers are read
 * above it. */
static struct regs made_up(uint64_t pc)
{
	struct regs regs = {.ip = pc + 1, .sp = (uint64_t)words + BELOW};

	for (unsigned r = 0; r < CFI_SAVED; r++)
		*cfi_register_in(&regs, r) = regs.sp + SHIFT + r * 8192;
	return regs;
}

/* Its frame is the return address and what must be there with it. (Global, because arm64's linker
 * takes an offset of a local symbol for one from its section.) */
extern const char plain[];
__asm__(".text\n.globl plain\nplain:\n.cfi_startproc\n" MACHINE_FRAME
	"nop\nnop\nret\n.cfi_endproc\n");

/* Its return address lies at 8(register). */
#define PROBE(number, name)                                                                        \
	extern const char probe_##name[];                                                          \
	__asm__(".text\n.globl probe_" #name "\nprobe_" #name                                      \
		":\n.cfi_startproc\n" MACHINE_FRAME_AT(name) "nop\nnop\nret\n.cfi_endproc\n");
MACHINE_SAVED(PROBE)

/* By enum cfi_register. */
static const char *names[CFI_REGISTERS], *probes[CFI_SAVED];

static void name_registers(void)
{
#define NAME(number, name)                                                                         \
	names[cfi_register_of_dwarf(number)] = #name;                                              \
	probes[cfi_register_of_dwarf(number)] = probe_##name;
	MACHINE_SAVED(NAME)
	names[CFI_SP] = "sp";
}

/*
 * libunwind's step; false: it has no caller. It begins a frame below: of the first frame's address
 * it does not know that it is a return address, which may be that of the next function.
 */
static bool step_libunwind(const struct regs *from, struct regs *to)
{
	unw_context_t context;
	unw_cursor_t cursor;
	struct regs regs = *from;
	uint64_t *below = (uint64_t *)(from->sp - MACHINE_FRAME_BYTES), was = *below;

	memset(&context, 0, sizeof(context));
	for (unsigned r = 0; r < CFI_REGISTERS; r++)
		context.data[MACHINE_CONTEXT(machine_number(r))] = *cfi_register_in(&regs, r);
	context.data[MACHINE_CONTEXT(machine_number(CFI_SP))] = (uint64_t)below;
	context.data[MACHINE_CONTEXT_PC] = (uint64_t)plain + 1;
	*below = from->ip;
	unw_init_local(&cursor, &context);
	int first = unw_step(&cursor), second;
	*below = was;
	second = unw_step(&cursor);
	if (first <= 0 || second < 0)
		return false;
	unw_get_reg(&cursor, UNW_REG_IP, (unw_word_t *)&to->ip);
	for (unsigned r = 0; r < CFI_REGISTERS; r++)
		unw_get_reg(&cursor, (unw_regnum_t)machine_number(r),
			    (unw_word_t *)cfi_register_in(to, r));
	return true;
}

/* ---- what was found --------------------------------------------------------- */

#define MAX_SHOWN 20

struct found {
	bool is_installed;
	uint32_t entries, looked_at;
	uint32_t by_kind[CFI_BAD + 1];
	uint32_t declined; /* complex, and the checked way refuses: nothing to compare */
	uint32_t large;    /* leaves the made-up stack */
	uint32_t below;    /* reads below the stack pointer: no capture does */
	uint32_t captures, differences;
};

static struct found *found; /* of the library that is looked at */
static const char *library;
static uint64_t library_start;
static bool is_long;

static void differ(uint64_t pc, const char *what, uint64_t ours, uint64_t theirs)
{
	if (found->differences++ < MAX_SHOWN)
		printf("# %s+%#lx: %s: ours %#lx, libunwind's %#lx\n", library, pc - library_start,
		       what, ours, theirs);
}

static void compare_regs(uint64_t pc, struct regs *ours, struct regs *theirs)
{
	if (ours->ip != theirs->ip)
		differ(pc, "ip", ours->ip, theirs->ip);
	for (unsigned r = 0; r < CFI_REGISTERS; r++)
		if (*cfi_register_in(ours, r) != *cfi_register_in(theirs, r))
			differ(pc, names[r], *cfi_register_in(ours, r),
			       *cfi_register_in(theirs, r));
}

/* ---- a row, and the checked way ------------------------------------------------ */

static bool load(uint64_t address, uint64_t *value)
{
	if (!is_word(address))
		return false;
	*value = *(uint64_t *)address;
	return true;
}

/* What the row says, as plainly as can be; false: it leaves the made-up stack. */
static bool follow_row(const struct cfi_row *row, struct regs *regs)
{
	struct regs caller = *regs;
	uint64_t cfa =
		*cfi_register_in(regs, row->cfa_register) + (uint64_t)(int64_t)row->cfa_offset;

	if (cfa - regs->sp > SHIFT + FRAME_ROOM)
		return false;
	caller.sp = cfa;
	if (!load(cfa + (uint64_t)(8l * row->return_address), &caller.ip))
		return false;
	for (unsigned r = 0; r < CFI_SAVED; r++)
		if (row->saved[r] != CFI_SAME &&
		    !load(cfa + (uint64_t)(8l * row->saved[r]), cfi_register_in(&caller, r)))
			return false;
	*regs = caller;
	return true;
}

/* After an epilogue has popped a register, where gcc no longer says so. */
static bool reads_below(const struct cfi_row *row, struct regs regs)
{
	uint64_t cfa =
		*cfi_register_in(&regs, row->cfa_register) + (uint64_t)(int64_t)row->cfa_offset;

	for (unsigned r = 0; r < CFI_SAVED; r++)
		if (row->saved[r] != CFI_SAME && cfa + (uint64_t)(8l * row->saved[r]) < regs.sp)
			return true;
	return false;
}

static bool follow_rules(const struct fde_module *module, uint64_t fde, uint64_t pc,
			 struct regs *regs)
{
	struct saferead memory = {.stack = {regs->sp, (uint64_t)&words[WORDS] - regs->sp},
				  .top_is_known = true};
	bool is_signal;

	return cfi_step(module, fde, pc, &memory, regs, &is_signal) == CFI_ROW;
}

/* Compares the step at pc. true: *theirs is the caller, and a capture can follow. */
static bool compare_step(const struct fde_module *module, uint64_t fde, uint64_t pc,
			 struct regs *theirs)
{
	struct regs ours = made_up(pc);
	const struct regs start = ours;
	struct cfi_row row;
	enum cfi_result kind = cfi_compile(module, fde, pc, &row);
	bool is_below = kind == CFI_ROW && reads_below(&row, start);

	found->by_kind[kind]++;
	found->below += is_below;
	if (kind == CFI_BAD)
		differ(pc, "undecodable", 0, 0);
	if (kind == CFI_BAD || kind == CFI_ROOT)
		return false;
	if (kind == CFI_ROW ? !follow_row(&row, &ours) : !follow_rules(module, fde, pc, &ours)) {
		/* libunwind would read anything. */
		found->large += kind == CFI_ROW;
		found->declined += kind != CFI_ROW;
		return false;
	}
	if (!step_libunwind(&start, theirs)) {
		differ(pc, "no step", 0, 0);
		return false;
	}
	compare_regs(pc, &ours, theirs);
	return kind != CFI_SIGNAL && !is_below && is_word(theirs->ip - SHIFT) &&
	       theirs->sp > start.sp;
}

/* ---- the same as captures ------------------------------------------------------- */

/* This program's code counts as the shim's, so the probe is walked through, but not shown. */
static void compare_capture(uint64_t pc, const char *what, uint64_t expected)
{
	static struct capture c;
	struct regs regs = made_up(pc);

	capture_stack(&c, &regs, 0x1000);
	found->captures++;
	if (c.count < 3 || c.frames[1] != pc + 1)
		differ(pc, what, c.count, 3);
	else if (c.frames[2] != expected)
		differ(pc, what, c.frames[2], expected);
}

static void compare_probe(uint64_t pc, unsigned r, struct regs *theirs)
{
	uint64_t *return_address = (uint64_t *)(theirs->ip - SHIFT);
	uint64_t slot = *cfi_register_in(theirs, r) + 8;

	/* A caller's frame is above its callee's. */
	if (!is_word(slot) || slot + 8 <= theirs->sp || slot == (uint64_t)return_address)
		return;
	*return_address = (uint64_t)probes[r] + 1;
	compare_capture(pc, names[r], slot + SHIFT); /* by a probe */
	*return_address = theirs->ip;
}

static void compare_captures(uint64_t pc, struct regs *theirs)
{
	compare_capture(pc, "return address", theirs->ip);
	for (unsigned r = 0; r < CFI_SAVED; r++)
		if (is_long || (hash_spread(pc) >> 32) % CFI_SAVED == r)
			compare_probe(pc, r, theirs);
	compare_capture(pc, "return address again", theirs->ip);
}

static void compare_at(const struct fde_module *module, uint64_t fde, uint64_t pc)
{
	struct regs theirs;

	if (compare_step(module, fde, pc, &theirs))
		compare_captures(pc, &theirs);
}

/* ---- where rows change ---------------------------------------------------------- */

/* How many LEB128 numbers follow an operation with no high bits, and whether a block. */
static const struct {
	uint8_t numbers;
	bool has_block;
} operands[64] = {
	[0x05] = {2, false}, [0x06] = {1, false}, [0x07] = {1, false}, [0x08] = {1, false},
	[0x09] = {2, false}, [0x0c] = {2, false}, [0x0d] = {1, false}, [0x0e] = {1, false},
	[0x0f] = {0, true},  [0x10] = {1, true},  [0x11] = {2, false}, [0x12] = {2, false},
	[0x13] = {1, false}, [0x14] = {2, false}, [0x15] = {2, false}, [0x16] = {1, true},
	[0x2e] = {1, false}, [0x2f] = {2, false},
};

/* Skips to the next change; how far it is. */
static uint64_t next_change(struct dwarfbytes *b)
{
	while (b->at < b->end && !b->bad) {
		uint8_t op = (uint8_t)dwarfbytes_fixed(b, 1);
		if (op >> 6 == 1)
			return op & 0x3f;
		if (op == 2 || op == 3 || op == 4)
			return dwarfbytes_fixed(b, (size_t)1 << (op - 2));
		if (op >> 6 == 2)
			dwarfbytes_uleb(b);
		if (op >> 6)
			continue;
		for (unsigned i = 0; i < operands[op].numbers; i++)
			dwarfbytes_uleb(b);
		if (operands[op].has_block)
			dwarfbytes_skip_block(b);
	}
	return 0;
}

static void compare_fde(const struct fde_module *module, uint64_t address)
{
	struct cfi_fde fde;
	uint64_t at, delta;

	if (cfi_entry_open(module, address, &fde)) {
		differ(address, "FDE undecodable", 0, 0);
		return;
	}
	found->looked_at++;
	at = fde.start;
	for (struct dwarfbytes b = fde.instructions; (delta = next_change(&b)) > 0;) {
		delta *= fde.cie.code_align;
		if (at + delta >= fde.start + fde.bytes)
			break;
		compare_at(module, address, at);
		if (delta > 1)
			compare_at(module, address, at + delta - 1);
		at += delta;
	}
	compare_at(module, address, at);
	if (fde.start + fde.bytes - 1 > at)
		compare_at(module, address, fde.start + fde.bytes - 1);
}

/* ---- a library, in a process of its own -------------------------------------------- */

struct entry {
	int32_t pc, fde; /* relative to the header's start (DW_EH_PE_datarel | sdata4) */
};

/* Where the C library keeps this thread's stack, which some processors' walks have to be shown. */
static void show_stack(void)
{
	pthread_attr_t attr;
	size_t bytes, guard;
	void *start;

	if (pthread_getattr_np(pthread_self(), &attr) ||
	    pthread_attr_getstack(&attr, &start, &bytes) ||
	    pthread_attr_getguardsize(&attr, &guard))
		_exit(5);
	descriptor_learn(arch_thread_pointer(), (uint64_t)start - guard, bytes + guard);
	pthread_attr_destroy(&attr);
}

static void *compare_library(void *map)
{
	uint64_t room[WORDS];
	struct dl_find_object object;
	struct code_module code;
	struct fde_module module;
	uint32_t every;

	words = room;
	show_stack();
	fill_words();
	if (_dl_find_object(((struct link_map *)map)->l_ld, &object) || !object.dlfo_eh_frame)
		_exit(2);
	library_start = (uint64_t)object.dlfo_map_start;
	module.table = (uint64_t)object.dlfo_eh_frame;
	if (!codetables_module(module.table, &code) ||
	    !codetables_segment(&code, module.table, &module.start, &module.end))
		_exit(3);
	memcpy(&found->entries, (const void *)(module.table + 8), 4);
	const struct entry *entries = (const struct entry *)(module.table + 12);
	every = is_long ? 1 : found->entries / SOME_FDES + 1;
	for (uint32_t i = 0; i < found->entries; i++)
		if ((hash_spread((uint32_t)entries[i].pc) >> 32) % every == 0)
			compare_fde(&module, module.table + (uint64_t)(int64_t)entries[i].fde);
	return NULL;
}

static void in_child(void)
{
	void *map = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
	pthread_attr_t attr;
	pthread_t thread;

	if (!map)
		_exit(0);
	found->is_installed = true;
	if (region_init(32 * MIB))
		_exit(3);
	capture_init(labelsets_keep);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORDS * 8 + 4 * MIB);
	pthread_attr_setguardsize(&attr, 64 * KIB); /* glibc makes no smaller one on arm64 */
	if (pthread_create(&thread, &attr, compare_library, map))
		_exit(4);
	pthread_join(thread, NULL);
	fflush(stdout);
	_exit(0);
}

static void run_library(const char *name, struct found *into)
{
	int status;
	pid_t child;

	library = name;
	found = into;
	fflush(stdout);
	child = fork();
	if (child == 0)
		in_child();
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!into->is_installed)
		return;
	printf("# %-26s %6u of %6u FDEs: %7u rows, %4u by expression, %3u signal, %3u root; %u "
	       "declined, %u large, %u below; %u captures; %u differences\n",
	       name, into->looked_at, into->entries, into->by_kind[CFI_ROW],
	       into->by_kind[CFI_COMPLEX], into->by_kind[CFI_SIGNAL], into->by_kind[CFI_ROOT],
	       into->declined, into->large, into->below, into->captures, into->differences);
	assert_int_equal(status, 0);
}

static void test_rows_and_captures_agree_with_libunwind(void **state)
{
	struct found *all = mmap(NULL, sizeof(*all) * COUNT_OF(libraries), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t installed = 0, differences = 0, rows = 0, others = 0, declined = 0;

	(void)state;
	assert_ptr_not_equal(all, MAP_FAILED);
	for (size_t i = 0; i < COUNT_OF(libraries); i++) {
		run_library(libraries[i], &all[i]);
		installed += all[i].is_installed;
		differences += all[i].differences;
		rows += all[i].by_kind[CFI_ROW];
		others += all[i].by_kind[CFI_COMPLEX] + all[i].by_kind[CFI_SIGNAL];
		declined += all[i].declined + all[i].large;
		if (all[i].is_installed)
			assert_in_range(all[i].looked_at, 30, all[i].entries);
	}
	printf("# %u libraries; of %u pcs %.3f %% go the checked way, %u were not compared\n",
	       installed, rows + others, 100.0 * others / (rows + others), declined);
	assert_int_equal(differences, 0);
	assert_true(rows > 20000);
	assert_true(others * 100 < rows);
	assert_true(declined * 500 < rows);
	if (installed < LEAST_LIBRARIES)
		skip();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_and_captures_agree_with_libunwind),
	};
	(void)argc;
	/* Room for the thread-local storage of allocators. */
	if (!getenv("GLIBC_TUNABLES")) {
		setenv("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=65536", 1);
		execv("/proc/self/exe", argv);
	}
	is_long = getenv("TEST_LONG") != NULL;
	name_registers();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
