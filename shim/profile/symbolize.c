/*
 * Turns addresses into source lines: Go's by gosym, one by one; C's by elfsym, all of one module
 * together.
 *
 * A captured pc is a return address, which may be the first byte after its function, so lookups
 * use pc - 1.
 */
#include "profile/symbolize.h"

#include <string.h>

#include "base/ascii.h"
#include "base/search.h"
#include "base/sort.h"
#include "base/work.h"
#include "proc/elfsym.h"
#include "go/gosym.h"
#include "profile/symbol_cache.h"

/* ---- plumbing --------------------------------------------------------- */

/*
 * The C half of a cgo call, compiled by cgo: "_cgo_HASH_Cfunc_NAME" and the like. The Go half,
 * "main._Cfunc_NAME", stays, because it names the C function that Go called.
 * "_cgo_sys_thread_start" and "x_cgo_*" stay too: there the runtime itself calls C.
 */
static bool is_c_wrapper(const char *name)
{
	return ascii_begins(name, "_cgo_") &&
	       (strstr(name, "_Cfunc_") || strstr(name, "_C2func_") || strstr(name, "_Cmacro_"));
}

/*
 * A reader of "C function, then goCallback" knows that C called back. Everything between the two
 * is plumbing, including _cgoexpwrap_*: it carries the exported function's name, but that
 * function's own frame is the one below it. runtime.goexit, a goroutine's root, is left out as
 * in Go's own profiles.
 */
static bool is_go_plumbing(const char *name)
{
	static const char *const names[] = {
		"runtime.cgocall",     "runtime.asmcgocall",   "runtime.asmcgocall_landingpad",
		"runtime.cgocallback", "runtime.cgocallbackg", "runtime.cgocallbackg1",
		"crosscall2",          "runtime.goexit",
	};
	const char *unqualified = strrchr(name, '.');

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	unqualified = unqualified ? unqualified + 1 : name;
	return ascii_begins(unqualified, "_cgoexp_") || ascii_begins(unqualified, "_cgoexpwrap_") ||
	       strcmp(unqualified, "_cgo_cmalloc") == 0;
}

/* ---- Go --------------------------------------------------------------- */

static bool is_adapter(const struct gosym_frame *frame)
{
	return frame->is_wrapper || is_go_plumbing(frame->function);
}

/* Removes the adapters, unless there is nothing else. Returns the remaining count. */
static size_t drop_adapters(struct gosym_frame *frames, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (!is_adapter(&frames[i]))
			frames[kept++] = frames[i];
	return kept ? kept : count;
}

static int go_location(struct scratch *scratch, struct location *l, struct gosym_frame *frames,
		       size_t count)
{
	count = drop_adapters(frames, count);
	l->lines = scratch_alloc(scratch, count * sizeof(*l->lines));
	if (!l->lines)
		return -1;
	for (size_t i = 0; i < count; i++)
		l->lines[l->line_count++] = (struct source_line){
			frames[i].function, frames[i].file, frames[i].line, frames[i].start_line};
	l->is_plumbing = is_adapter(&frames[0]);
	return 0;
}

/* ---- C ---------------------------------------------------------------- */

static int c_location(struct scratch *scratch, struct location *l, const char *name)
{
	l->lines = scratch_alloc(scratch, sizeof(*l->lines));
	if (!l->lines)
		return -1;
	l->lines[0] = (struct source_line){.function = name, .file = ""};
	l->line_count = 1;
	l->is_plumbing = is_c_wrapper(name);
	return 0;
}

/* Uses Go's tables: with internal linking they name C functions too. */
static int tables_location(struct scratch *scratch, struct location *l)
{
	struct gosym_frame frames[GOSYM_MAX_INLINE];
	struct gosym_func f;

	if (!gosym_find(l->pc - 1, &f))
		return 0;
	l->is_go = !f.is_c;
	l->is_known = l->names_stay = true;
	if (f.is_c)
		return c_location(scratch, l, f.name);
	return go_location(scratch, l, frames, gosym_frames(l->pc - 1, frames, COUNT_OF(frames)));
}

/* The locations from first on that are in its module and not known yet. */
static size_t c_queries(const struct symbols *symbols, size_t first, struct elfsym *queries)
{
	const struct module *module = symbols->list[first].module;
	size_t n = 0;

	for (size_t i = first; i < symbols->count && symbols->list[i].module == module; i++)
		if (!symbols->list[i].is_known && !symbols->list[i].is_go)
			queries[n++] = (struct elfsym){.pc = symbols->list[i].pc - 1};
	return n;
}

static int name_module(struct scratch *scratch, const struct symbols *symbols, size_t first,
		       struct elfsym *queries)
{
	size_t n = c_queries(symbols, first, queries), i = first;
	bool is_read = !elfsym_resolve(scratch, symbols->list[first].module, queries, n);

	for (size_t q = 0; q < n; q++) {
		while (symbols->list[i].pc - 1 != queries[q].pc)
			i++;
		if (queries[q].name && c_location(scratch, &symbols->list[i], queries[q].name))
			return -1;
		symbols->list[i].is_known = is_read;
	}
	return scratch->exhausted ? -1 : 0;
}

/* Locations ascend as modules do, so those of one module are adjacent. */
static int name_c(struct scratch *scratch, const struct symbols *symbols)
{
	struct scratch part = scratch_part(scratch);
	struct elfsym *queries = scratch_alloc(&part, symbols->count * sizeof(*queries));
	int result = queries ? 0 : -1;

	for (size_t i = 0; result == 0 && i < symbols->count;) {
		const struct module *module = symbols->list[i].module;

		if (module)
			result = name_module(scratch, symbols, i, queries);
		while (i < symbols->count && symbols->list[i].module == module)
			i++;
	}
	scratch_part_end(scratch, &part);
	return result;
}

/* ---- all of them ------------------------------------------------------ */

static uint64_t lookups;

uint64_t symbolize_lookups(void)
{
	return LOAD(&lookups);
}

static bool is_go(uint64_t pc)
{
	struct gosym_func f;

	return gosym_find(pc, &f) && !f.is_c;
}

/* Sorts the addresses and puts each distinct one first; returns their number. */
static size_t sort_pcs(struct sort_item *items, const uint64_t *pcs, size_t count)
{
	size_t distinct = 0;

	for (size_t i = 0; i < count; i++)
		items[i].key = pcs[i];
	sort_items(items, count);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || items[i].key != items[i - 1].key)
			items[distinct++].key = items[i].key;
	return distinct;
}

/* One location per distinct pc, ascending, with its module; nothing else is set yet. */
static int list_locations(struct scratch *scratch, const struct modules *modules,
			  const uint64_t *pcs, size_t count, struct symbols *out)
{
	struct scratch part = scratch_part(scratch);
	struct sort_item *items = scratch_alloc(&part, count * sizeof(*items));
	size_t distinct = items ? sort_pcs(items, pcs, count) : 0;

	out->list = items ? scratch_alloc(scratch, distinct * sizeof(*out->list)) : NULL;
	out->count = out->list ? distinct : 0;
	for (size_t i = 0; i < out->count; i++)
		out->list[i] = (struct location){
			.pc = items[i].key,
			.module = modules_find(modules, items[i].key - 1),
		};
	scratch_part_end(scratch, &part);
	return out->list ? 0 : -1;
}

/* Those that are not known yet. */
static int name_all(struct scratch *scratch, const struct symbols *symbols)
{
	bool in_time = true;
	size_t unknown = 0;

	for (size_t i = 0; i < symbols->count; i++) {
		struct location *l = &symbols->list[i];
		if (l->is_known)
			continue;
		unknown++;
		in_time = in_time && work_may_go_on_first_half(2000);
		if (!in_time)
			l->is_go = is_go(l->pc - 1);
		else if (tables_location(scratch, l))
			return -1;
	}
	ADD(&lookups, unknown);
	return unknown ? name_c(scratch, symbols) : 0;
}

static void name_none(const struct symbols *symbols)
{
	for (size_t i = 0; i < symbols->count; i++)
		symbols->list[i].is_go = is_go(symbols->list[i].pc - 1);
}

int symbolize(struct scratch *scratch, const struct modules *modules, const uint64_t *pcs,
	      size_t count, bool with_names, struct symbols *out)
{
	*out = (struct symbols){0};
	if (count == 0)
		return 0;
	if (list_locations(scratch, modules, pcs, count, out))
		return -1;
	if (!with_names) {
		name_none(out);
		return 0;
	}
	out->has_cache = symbol_cache_take(modules) == 0;
	if (out->has_cache)
		symbol_cache_fill(out);
	uint64_t before = symbolize_lookups();
	int result = name_all(scratch, out);
	if (out->has_cache && symbolize_lookups() != before && !work_was_cut()) {
		symbol_cache_add(out);
		symbol_cache_fill(out);
	}
	return result;
}

void symbols_release(struct symbols *symbols)
{
	if (symbols->has_cache)
		symbol_cache_give();
	symbols->has_cache = false;
}

const struct location *symbols_find(const struct symbols *symbols, uint64_t pc)
{
	size_t at = SEARCH(symbols->count, i, symbols->list[i].pc < pc);

	return at < symbols->count && symbols->list[at].pc == pc ? &symbols->list[at] : NULL;
}
