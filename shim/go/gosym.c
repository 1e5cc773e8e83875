/*
 * Looks up a pc in Go's tables: function, file, line, inlined calls.
 *
 * Layouts: written by cmd/link/internal/ld/pcln.go, read by runtime/symtab.go and
 * runtime/symtabinl.go.
 */
#include "go/gosym.h"

#include <string.h>

#include "base/arch.h"
#include "base/ascii.h"
#include "base/search.h"
#include "go/gomodules.h"

/* runtime._func: offsets of the fields used. */
enum {
	FUNC_NAME = 4,
	FUNC_PCFILE = 20,
	FUNC_PCLN = 24,
	FUNC_NPCDATA = 28,
	FUNC_CU = 32,
	FUNC_START_LINE = 36, /* since Go 1.20 */
	FUNC_BYTES_1_18 = 40, /* the last word has kind, flag, 0, number of funcdata */
	FUNC_BYTES_1_20 = 44,
};
#define PCDATA_INL_TREE_INDEX 2
#define FUNCDATA_INL_TREE     3
#define NONE                  UINT32_MAX

static uint32_t func_bytes(const struct gotables *go)
{
	return go->is_1_20 ? FUNC_BYTES_1_20 : FUNC_BYTES_1_18;
}

bool gosym_is_go(void)
{
	return gomodules_count() != 0;
}

const char *gosym_version(void)
{
	return gosym_is_go() ? gomodules_get(0)->tables.version : "";
}

/* ---- functions -------------------------------------------------------- */

bool gosym_in_text(uint64_t pc)
{
	return gomodules_at(pc) != NULL;
}

/* ftab: pairs {entry - text, offset of _func}, ascending, with an end marker. */
static bool ftab_entry(const struct gotables *go, uint64_t index, uint32_t *entry, uint32_t *func)
{
	return gotable_u32(&go->ftab, index * 8, entry) &&
	       gotable_u32(&go->ftab, index * 8 + 4, func);
}

static bool ftab_begins_by(const struct gotables *go, uint64_t index, uint32_t pc_offset)
{
	uint32_t entry, func;

	return ftab_entry(go, index, &entry, &func) && entry <= pc_offset;
}

/* Binary search: findfunctab would save some probes, but is another table to trust. */
static bool ftab_search(const struct gotables *go, uint32_t pc_offset, uint64_t *index)
{
	uint64_t count = go->ftab.len / 8;
	uint64_t n = SEARCH(count, i, ftab_begins_by(go, i, pc_offset));

	*index = n - 1;
	return n > 0 && n < count; /* the end marker is not a function */
}

static uint32_t func_u32(const struct gotables *go, uint64_t func, uint32_t field)
{
	uint32_t value;
	return gotable_u32(&go->funcs, func + field, &value) ? value : 0;
}

bool gosym_find(uint64_t pc, struct gosym_func *out)
{
	struct gomodule *module = gomodules_at(pc);
	uint64_t index;
	uint32_t entry, end, func, next;
	if (!module)
		return false;
	const struct gotables *go = &module->tables;
	if (!ftab_search(go, (uint32_t)(pc - go->text), &index) ||
	    !ftab_entry(go, index, &entry, &func) || !ftab_entry(go, index + 1, &end, &next) ||
	    func > go->funcs.len || go->funcs.len - func < func_bytes(go))
		return false;
	*out = (struct gosym_func){
		.entry = go->text + entry,
		.end = go->text + end,
		.name = gotable_string(&go->names, func_u32(go, func, FUNC_NAME)),
		.module = module,
		.func = func,
	};
	if (out->name == NULL || pc >= out->end)
		return false;
	/* C has no line table, but neither have the linker's markers (go:textfipsstart). */
	out->is_c = func_u32(go, func, FUNC_PCFILE) == 0 && func_u32(go, func, FUNC_PCLN) == 0 &&
		    !ascii_begins(out->name, "go:");
	return true;
}

/*
 * Searches the names as one block of bytes, and the functions only for the offset of the
 * name found: a tenth of the reads that comparing each function's name would take.
 */
bool gosym_lookup(const struct gomodule *module, const char *name, struct gosym_func *out)
{
	const struct gotables *go = &module->tables;
	uint32_t wanted = gotables_name(go, name), entry, func;

	if (wanted == GOTABLES_NONE)
		return false;
	for (uint64_t i = 0; ftab_entry(go, i, &entry, &func); i++)
		if (func_u32(go, func, FUNC_NAME) == wanted)
			return gosym_find(go->text + entry, out);
	return false;
}

/* ---- lines and inlining ------------------------------------------------ */

/*
 * The value of a pc-value table at pc.  The table has pairs of a zigzag value delta and a
 * pc delta in instructions, both varints (runtime/symtab.go, step).  Each pair takes at least two
 * bytes, so the table's length bounds the loop.
 */
static bool pc_value(const struct gosym_func *f, uint32_t start, uint64_t pc, int32_t *out)
{
	const struct gotables *go = &f->module->tables;
	uint64_t offset = start, at = f->entry;
	uint32_t value = UINT32_MAX, value_delta, pc_delta;
	if (start == 0)
		return false;
	for (bool first = true; gotable_varint(&go->pctab, &offset, &value_delta); first = false) {
		if ((value_delta == 0 && !first) || !gotable_varint(&go->pctab, &offset, &pc_delta))
			return false;
		value += (value_delta >> 1) ^ -(value_delta & 1);
		at += (uint64_t)pc_delta * ARCH_CODE_BYTES;
		if (pc < at) {
			*out = (int32_t)value;
			return true;
		}
	}
	return false;
}

static void func_file_line(const struct gosym_func *f, uint64_t pc, struct gosym_frame *frame)
{
	const struct gotables *go = &f->module->tables;
	uint64_t func = f->func;
	int32_t file, line;
	uint32_t file_offset;
	frame->file = "";
	frame->line = 0;
	if (!pc_value(f, func_u32(go, func, FUNC_PCFILE), pc, &file) ||
	    !pc_value(f, func_u32(go, func, FUNC_PCLN), pc, &line) || file < 0 || line < 0)
		return;
	uint64_t unit = func_u32(go, func, FUNC_CU);
	if (!gotable_u32(&go->cutab, (unit + (uint32_t)file) * 4, &file_offset))
		return;
	const char *path = gotable_string(&go->filetab, file_offset);
	if (path == NULL)
		return;
	frame->file = path;
	frame->line = line;
}

/* runtime._func's last word: kind (abi.FuncID) in the low byte, number of funcdata in the high. */
static uint32_t func_last(const struct gotables *go, uint64_t func)
{
	return func_u32(go, func, func_bytes(go) - 4);
}

/*
 * abi.FuncIDWrapper in this release.  Its number varies, but it is the last kind, after
 * systemstack and systemstack_switch (1.18 to 1.27).  Searches all names once, at the
 * first caller's cost; in a race two threads search.
 */
static uint32_t wrapper_kind(struct gomodule *module)
{
	const struct gotables *go = &module->tables;
	uint32_t kind = LOAD(&module->wrapper_kind), entry, func;
	for (uint64_t i = 0; kind == 0 && ftab_entry(go, i, &entry, &func); i++) {
		const char *name = gotable_string(&go->names, func_u32(go, func, FUNC_NAME));
		if (name != NULL && strcmp(name, "runtime.systemstack") == 0)
			kind = (func_last(go, func) & 0xff) + 2;
	}
	kind = kind > 2 ? kind : NONE;
	STORE(&module->wrapper_kind, kind);
	return kind;
}

/* A function's inline tree: its offset in gofunc, or NONE. */
static uint32_t inline_tree(const struct gosym_func *f)
{
	const struct gotables *go = &f->module->tables;
	uint64_t func = f->func;
	uint64_t funcdata = func_bytes(go) + 4 * (uint64_t)func_u32(go, func, FUNC_NPCDATA);
	uint32_t tree;
	if (func_last(go, func) >> 24 <= FUNCDATA_INL_TREE ||
	    !gotable_u32(&go->funcs, func + funcdata + 4 * FUNCDATA_INL_TREE, &tree))
		return NONE;
	return tree;
}

/* The inlined call that contains pc: its offset in gofunc; false: the function's own code. */
static bool inline_call(const struct gosym_func *f, uint32_t tree, uint64_t pc, uint64_t *call)
{
	const struct gotables *go = &f->module->tables;
	uint64_t func = f->func;
	uint32_t entry_bytes = go->is_1_20 ? 16 : 20;
	int32_t index;
	if (tree == NONE || func_u32(go, func, FUNC_NPCDATA) <= PCDATA_INL_TREE_INDEX)
		return false;
	uint32_t values = func_u32(go, func, func_bytes(go) + 4 * PCDATA_INL_TREE_INDEX);
	if (!pc_value(f, values, pc, &index) || index < 0)
		return false;
	*call = tree + (uint64_t)index * entry_bytes;
	return true;
}

/* runtime.inlinedCall: kind, name, position in the caller, and since 1.20 the first line. */
static bool inline_read(const struct gosym_func *f, uint64_t call, struct gosym_frame *frame,
			uint64_t *parent_pc)
{
	const struct gotables *go = &f->module->tables;
	uint32_t kind, name, parent, start_line = 0;
	if (!gotable_u32(&go->gofunc, call, &kind) ||
	    !gotable_u32(&go->gofunc, call + (go->is_1_20 ? 4 : 12), &name) ||
	    !gotable_u32(&go->gofunc, call + (go->is_1_20 ? 8 : 16), &parent) ||
	    (go->is_1_20 && !gotable_u32(&go->gofunc, call + 12, &start_line)) ||
	    parent >= f->end - f->entry)
		return false;
	frame->function = gotable_string(&go->names, name);
	frame->start_line = start_line;
	frame->is_wrapper = (kind >> (go->is_1_20 ? 0 : 16) & 0xff) == wrapper_kind(f->module);
	*parent_pc = f->entry + parent;
	return frame->function != NULL;
}

static void func_read(const struct gosym_func *f, struct gosym_frame *frame)
{
	const struct gotables *go = &f->module->tables;
	uint64_t func = f->func;
	frame->function = f->name;
	frame->start_line = go->is_1_20 ? (int32_t)func_u32(go, func, FUNC_START_LINE) : 0;
	frame->is_wrapper = (func_last(go, func) & 0xff) == wrapper_kind(f->module);
}

size_t gosym_frames(uint64_t pc, struct gosym_frame *frames, size_t max)
{
	struct gosym_func f;
	uint64_t call, parent_pc;
	if (max == 0 || !gosym_find(pc, &f))
		return 0;
	uint32_t tree = inline_tree(&f);
	for (size_t n = 0; n < max; n++) {
		func_file_line(&f, pc, &frames[n]);
		if (!inline_call(&f, tree, pc, &call) ||
		    !inline_read(&f, call, &frames[n], &parent_pc)) {
			func_read(&f, &frames[n]);
			return n + 1;
		}
		pc = parent_pc;
	}
	return max;
}
