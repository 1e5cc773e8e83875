/* See pcinfo.h. */
#include "unwind/pcinfo.h"

#include <string.h>

#include "base/ascii.h"
#include "go/gomodules.h"
#include "go/gosym.h"
#include "unwind/cfi.h"
#include "unwind/codetables.h"
#include "unwind/goframes.h"
#include "unwind/rows.h"
#include "unwind/signalframe.h"
#include "unwind/threadroots.h"

/* The bounds of the shim's code, from the linker. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));

bool pcinfo_is_in_shim(uint64_t ip)
{
	return ip - 1 - (uint64_t)__ehdr_start < (uint64_t)(etext - __ehdr_start);
}

/* ---- looking up a pc ----------------------------------------------------- */

/* Where a signal handler returns to. */
static bool is_sigreturn(const struct code_module *m, uint64_t pc)
{
	uint64_t start, end;

	/* The frame's "return address" is its first instruction, so pc may be one byte less. */
	if (!codetables_segment(m, pc, &start, &end) || end - pc <= SIGNALFRAME_CODE_BYTES)
		return false;
	return signalframe_is_return((const void *)pc) ||
	       signalframe_is_return((const void *)(pc + 1));
}

static enum pcinfo_kind kind_of_row(const struct cfi_row *from, uint64_t *row)
{
	return row_pack(from, row) ? PCINFO_C_COMPLEX : PCINFO_C;
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
		info->kind = kind_of_row(&row, &info->row);
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
	if (info->kind == PCINFO_C_NO_CFI && threadroots_has(pc + 1))
		info->kind = PCINFO_C_ROOT;
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
static enum pcinfo_kind kind_of_go_function(const struct gosym_func *function)
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
	if (goframes_is_switch(name))
		return PCINFO_GO_SWITCH;
	return function->is_c ? PCINFO_C_IN_GO : PCINFO_GO;
}

static struct pcinfo look_up(uint64_t pc)
{
	struct pcinfo info = {.pc = pc};
	struct gosym_func function;

	if (!gosym_in_text(pc))
		look_up_c(&info, pc);
	if (gosym_in_text(pc))
		info.kind =
			gosym_find(pc, &function) ? kind_of_go_function(&function) : PCINFO_C_IN_GO;
	info.row = (info.kind == PCINFO_C ? info.row & ~(uint64_t)ROW_KIND : 0) | info.kind |
		   (pcinfo_is_in_shim(pc + 1) ? ROW_IN_SHIM : 0);
	return info;
}

/* ---- the table ----------------------------------------------------------- */

static uint64_t lookups;

uint64_t pcinfo_lookups(void)
{
	return LOAD(&lookups);
}

/* Go code is never unloaded, so its rows stay valid. */
static bool is_lasting(const struct pcinfo *info)
{
	return info->kind >= PCINFO_C_IN_GO;
}

static void keep(const struct pcinfo *info, uint32_t generation)
{
	uint64_t ip = info->pc + 1, tag = rows_tag(generation);

	/* A row that took long to look up may be of code that has gone. */
	if (likely(info->kind != PCINFO_UNKNOWN && rows_may_hold(ip) &&
		   generation == codetables_generation()))
		rows_put(ip, ip + (is_lasting(info) ? 0 : tag), info->row, tag);
}

struct pcinfo pcinfo_at(uint64_t pc)
{
	uint32_t generation = codetables_generation();
	uint64_t ip = pc + 1;
	struct pcinfo info = {.pc = pc};

	if (rows_may_hold(ip) && (!rows_find(ip, ip + rows_tag(generation), &info.row) ||
				  !rows_find(ip, ip, &info.row))) {
		info.kind = row_kind(info.row);
		return info;
	}
	ADD(&lookups, 1);
	info = look_up(pc);
	keep(&info, generation);
	return info;
}
