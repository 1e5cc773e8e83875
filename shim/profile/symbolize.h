/*
 * Turns addresses into source frames, for a whole profile at once.
 */
#ifndef CGOHEAP_SYMBOLIZE_H
#define CGOHEAP_SYMBOLIZE_H

#include "base/base.h"
#include "region/region.h"
#include "proc/modules.h"

struct source_line {
	/* as in Go's profiles, with type arguments ("main.f[go.shape.int]"); C++ names stay
	 * mangled */
	const char *function;
	const char *file;   /* "" unknown */
	int64_t line;       /* 0 unknown */
	int64_t start_line; /* 0 unknown */
};

/* One distinct address. */
struct location {
	uint64_t pc;                 /* return address as captured */
	const struct module *module; /* NULL: not in a file (JIT code, unmapped since) */
	bool is_go;
	/*
	 * Code that implements a call through cgo rather than makes one: runtime.cgocall,
	 * runtime.asmcgocall, _cgo_HASH_Cfunc_*, the way back from C (crosscall2 to _cgoexp_*),
	 * and what Go's own stacks leave out (adapters such as main.f.gowrap1, ABI wrappers, and
	 * runtime.goexit). The default view leaves it out too.
	 */
	bool is_plumbing;
	bool is_known;   /* it was looked up; without lines it has no name */
	bool names_stay; /* they are in Go's tables, which stay as they are */
	/*
	 * 0: unknown; > 1: inlined calls, innermost first. Lines of plumbing are dropped if the
	 * location has others, as in Go's profiles.
	 */
	uint32_t line_count;
	struct source_line *lines; /* in scratch, or the cache's */
};

struct symbols {
	struct location *list; /* ascending by pc */
	size_t count;
	bool has_cache; /* until symbols_release */
};

/*
 * pcs: any order, duplicates allowed. with_names false: modules only, no lines ("symbols=none").
 * Returns 0, or -1 if scratch ran out (what was found stays). What an earlier call looked up is
 * taken from there (symbol_cache.h), so call symbols_release when the names are no longer needed.
 */
int symbolize(struct scratch *scratch, const struct modules *modules, const uint64_t *pcs,
	      size_t count, bool with_names, struct symbols *out);
const struct location *symbols_find(const struct symbols *symbols, uint64_t pc);

/* The lines of locations are invalid after it. Safe twice, and on {0}. */
void symbols_release(struct symbols *symbols);

/* How many addresses were looked up since the start. */
uint64_t symbolize_lookups(void);

#endif
