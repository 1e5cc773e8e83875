/* See gostats.h.  Layouts: runtime/mgcpacer.go (gcControllerState), runtime/runtime2.go (g). */
#include "go/gostats.h"

#include <string.h>

#include "base/ascii.h"
#include "base/pagemap.h"
#include "base/selfmem.h"
#include "base/sort.h"
#include "base/sys.h"
#include "base/work.h"
#include "proc/elffile.h"
#include "proc/modules.h"
#include "go/gomodules.h"
#include "go/gosym.h"

/* ---- the variables' addresses ------------------------------------------- */

enum { GC_CONTROLLER, ALLGS, VARIABLES };

/* Sizes rule out nearly all other symbols before their names are read. */
static const struct {
	const char *name;
	uint64_t low, high;
} wanted[VARIABLES] = {
	[GC_CONTROLLER] = {"runtime.gcController", 0x140, 0x400},
	[ALLGS] = {"runtime.allgs", 24, 24},
};

static struct {
	const struct gomodule *of; /* NULL: none, or several */
	bool looked_up;
	uint64_t address[VARIABLES]; /* 0: not found */
} variables;

#define SYMBOLS_AT_ONCE 512

static void consider(const struct elffile *f, const Elf64_Shdr *names, const Elf64_Sym *s,
		     uint64_t bias)
{
	char name[24];
	if (ELF64_ST_TYPE(s->st_info) != STT_OBJECT || s->st_name >= names->sh_size)
		return;
	for (size_t i = 0; i < VARIABLES; i++) {
		if (s->st_size < wanted[i].low || s->st_size > wanted[i].high)
			continue;
		size_t bytes = strlen(wanted[i].name) + 1;
		if (elffile_read(f, names->sh_offset + s->st_name, name, bytes) == bytes &&
		    memcmp(name, wanted[i].name, bytes) == 0)
			variables.address[i] = bias + s->st_value;
	}
}

static void read_symbols(struct scratch *scratch, const struct elffile *f, const Elf64_Shdr *table,
			 uint64_t bias)
{
	Elf64_Sym *symbols = scratch_alloc(scratch, SYMBOLS_AT_ONCE * sizeof(*symbols));
	Elf64_Shdr names;
	if (!symbols || !elffile_section(f, table->sh_link, &names))
		return;
	for (uint64_t done = 0; done < table->sh_size;) {
		uint64_t left = table->sh_size - done;
		if (!work_may_go_on(20000)) {
			variables.looked_up = false; /* retry with the next budget */
			return;
		}
		size_t bytes = SYMBOLS_AT_ONCE * sizeof(*symbols);
		bytes = elffile_read(f, table->sh_offset + done, symbols,
				     bytes < left ? bytes : left);
		if (bytes < sizeof(*symbols))
			return;
		for (size_t i = 0; i < bytes / sizeof(*symbols); i++)
			consider(f, &names, &symbols[i], bias);
		done += bytes / sizeof(*symbols) * sizeof(*symbols);
	}
}

static void look_in(struct scratch *scratch, const struct module *module)
{
	struct elffile f;
	Elf64_Shdr section;
	int fd = modules_open(module);
	if (fd < 0)
		return;
	if (elffile_init_fd(&f, fd) == 0)
		for (uint32_t i = 0; elffile_section(&f, i, &section); i++)
			if (section.sh_type == SHT_SYMTAB)
				read_symbols(scratch, &f, &section, module->load_bias);
	sys_close(fd);
}

uint32_t gostats_runtimes(void)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < gomodules_count(); i++)
		n += gomodules_get(i)->has_runtime;
	return n;
}

/* The module with the only runtime; NULL with several, because figures would cover only a part. */
static const struct gomodule *only_runtime(void)
{
	if (gostats_runtimes() == 1)
		for (uint32_t i = 0; i < gomodules_count(); i++)
			if (gomodules_get(i)->has_runtime)
				return gomodules_get(i);
	return NULL;
}

/* Once per runtime: its symbols do not move. */
static void look_up(struct scratch *scratch)
{
	const struct gomodule *runtime = only_runtime();
	struct modules modules;
	if (variables.of == runtime && variables.looked_up)
		return;
	memset(&variables, 0, sizeof(variables));
	variables.of = runtime;
	if (!runtime || modules_read(scratch, &modules) != 0)
		return;
	variables.looked_up = true;
	const struct module *file = modules_find(&modules, runtime->tables.text);
	if (file && file->elf_ok)
		look_in(scratch, file);
}

/* ---- the heap's figures ------------------------------------------------- */

/* runtime.gcControllerState, from heapInUse on. */
#define HEAP_IN_USE_OFFSET 0x110
struct controller {
	uint64_t heap_in_use, heap_released, heap_free, total_alloc, total_free, mapped_ready;
};
#define GO_PAGE_BYTES 8192

static bool release_is_known(void)
{
	static const char *const known[] = {"go1.21", "go1.22", "go1.23", "go1.24",
					    "go1.25", "go1.26", "go1.27"};
	const char *version = gosym_version();
	for (size_t i = 0; i < COUNT_OF(known); i++) {
		const char *after = ascii_after(version, known[i]);
		if (after && !ascii_is_digit(*after))
			return true;
	}
	return false;
}

static bool is_plausible(const struct controller *c, uint64_t heap_usable_bytes)
{
	uint64_t sum;
	return c->heap_in_use != 0 &&
	       (c->heap_in_use | c->heap_released | c->heap_free) % GO_PAGE_BYTES == 0 &&
	       !__builtin_add_overflow(c->heap_in_use, c->heap_free, &sum) &&
	       c->mapped_ready >= sum && !__builtin_add_overflow(sum, c->heap_released, &sum) &&
	       sum <= heap_usable_bytes && c->total_alloc >= c->total_free;
}

static void read_variables(struct scratch *scratch, uint64_t heap_usable_bytes,
			   struct go_stats *out)
{
	struct controller c;
	look_up(scratch);
	uint64_t address = variables.address[GC_CONTROLLER];
	if (!address || !release_is_known() ||
	    selfmem_read(address + HEAP_IN_USE_OFFSET, &c, sizeof(c)) ||
	    !is_plausible(&c, heap_usable_bytes))
		return;
	out->heap_in_use_bytes = c.heap_in_use;
	out->heap_free_bytes = c.heap_free;
	out->heap_released_bytes = c.heap_released;
	out->mapped_ready_bytes = c.mapped_ready;
	out->total_alloc_bytes = c.total_alloc;
	out->stacks_bytes = heap_usable_bytes - c.heap_in_use - c.heap_free - c.heap_released;
	out->source = "runtime.gcController";
}

/* ---- the Go package's figures -------------------------------------------- */

/* UNKNOWN if one of the figures is, or if they are not figures. */
static uint64_t sum_of(const uint64_t *figures, size_t first, size_t last)
{
	uint64_t sum = 0;
	for (size_t i = first; i <= last; i++)
		if (figures[i] == UNKNOWN || __builtin_add_overflow(sum, figures[i], &sum))
			return UNKNOWN;
	return sum;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	return sum_of((const uint64_t[]){a, b}, 0, 1);
}

/* The same sums as in runtime.MemStats: HeapInuse, HeapIdle minus HeapReleased, and so on. */
static int read_package(struct go_stats *out)
{
	uint64_t *f = out->runtime;
	if (bridge_read_figures(f))
		return -1;
	out->heap_in_use_bytes = plus(f[CGOHEAP_GO_HEAP_OBJECTS], f[CGOHEAP_GO_HEAP_UNUSED]);
	out->heap_free_bytes = f[CGOHEAP_GO_HEAP_FREE];
	out->heap_released_bytes = f[CGOHEAP_GO_HEAP_RELEASED];
	out->stacks_bytes = f[CGOHEAP_GO_HEAP_STACKS];
	out->metadata_bytes =
		sum_of(f, CGOHEAP_GO_METADATA_MCACHE_FREE, CGOHEAP_GO_PROFILING_BUCKETS);
	out->total_alloc_bytes = f[CGOHEAP_GO_ALLOCATED];
	if (f[CGOHEAP_GO_TOTAL] != UNKNOWN && f[CGOHEAP_GO_HEAP_RELEASED] <= f[CGOHEAP_GO_TOTAL])
		out->mapped_ready_bytes = f[CGOHEAP_GO_TOTAL] - f[CGOHEAP_GO_HEAP_RELEASED];
	if (f[CGOHEAP_GO_MEMORY_LIMIT] < INT64_MAX)
		out->memory_limit = f[CGOHEAP_GO_MEMORY_LIMIT];
	out->source = "runtime/metrics";
	return 0;
}

void gostats_read(struct scratch *scratch, uint64_t heap_usable_bytes, struct go_stats *out)
{
	*out = (struct go_stats){.heap_in_use_bytes = UNKNOWN,
				 .heap_free_bytes = UNKNOWN,
				 .heap_released_bytes = UNKNOWN,
				 .stacks_bytes = UNKNOWN,
				 .mapped_ready_bytes = UNKNOWN,
				 .total_alloc_bytes = UNKNOWN,
				 .metadata_bytes = UNKNOWN,
				 .memory_limit = UNKNOWN,
				 .source = "",
				 .has_package = bridge_is_attached()};
	for (size_t i = 0; i < COUNT_OF(out->runtime); i++)
		out->runtime[i] = UNKNOWN;
	if (read_package(out))
		read_variables(scratch, heap_usable_bytes, out);
}

/* ---- stacks ------------------------------------------------------------- */

#define STACKS_AT_ONCE     4096
#define MAX_GOROUTINES     (1u << 22)
#define MAX_GO_STACK_BYTES (UINT64_C(1) << 31) /* runtime/proc.go: maxstackceiling is 2 GB */

struct stacks {
	const struct rangeset *heap;
	struct pagemap_window window;
	struct sort_item *items; /* key: lo, value: hi; STACKS_AT_ONCE */
	size_t count;
	uint64_t resident;
};

static void stacks_count(struct stacks *s, uint64_t resident)
{
	if (resident == UNKNOWN)
		s->resident = UNKNOWN;
	else if (s->resident != UNKNOWN)
		s->resident += resident;
}

/* Sorted, so that the window only moves forward. */
static void stacks_flush(struct stacks *s)
{
	sort_items(s->items, s->count);
	for (size_t i = 0; i < s->count; i++) {
		uint64_t lo = s->items[i].key, hi = s->items[i].value;
		const struct rangeset_range *claim = rangeset_find(s->heap, lo);
		if (claim && hi <= claim->end)
			stacks_count(s, pagemap_window_bytes(&s->window, lo, hi, claim->end));
	}
	s->count = 0;
}

/* g.stack: lo at 0, hi at 8. */
static void stacks_add(struct stacks *s, uint64_t lo, uint64_t hi)
{
	if (lo == 0 || hi <= lo || hi - lo > MAX_GO_STACK_BYTES)
		return;
	s->items[s->count++] = (struct sort_item){.key = lo, .value = hi};
	if (s->count == STACKS_AT_ONCE)
		stacks_flush(s);
}

/* Reads at most SELFMEM_EACH goroutines; `list` is the address of their pointers. */
static bool stacks_read(struct stacks *s, uint64_t list, size_t count)
{
	uint64_t g[SELFMEM_EACH], bounds[SELFMEM_EACH][2];
	bool ok[SELFMEM_EACH];
	if (selfmem_read(list, g, count * sizeof(g[0])))
		return false;
	selfmem_read_each(g, count, bounds, sizeof(bounds[0]), ok);
	for (size_t i = 0; i < count; i++)
		if (ok[i])
			stacks_add(s, bounds[i][0], bounds[i][1]);
	return true;
}

int gostats_allgs(struct scratch *scratch, uint64_t *list, uint64_t *count)
{
	uint64_t slice[2];
	look_up(scratch);
	uint64_t address = variables.address[ALLGS];
	if (!address || selfmem_read(address, slice, sizeof(slice)) || slice[1] == 0 ||
	    slice[1] > MAX_GOROUTINES)
		return -1;
	*list = slice[0];
	*count = slice[1];
	return 0;
}

uint64_t gostats_stacks_resident(struct scratch *scratch, const struct rangeset *heap)
{
	struct stacks s = {.heap = heap};
	uint64_t list, count;
	if (gostats_allgs(scratch, &list, &count))
		return UNKNOWN;
	s.items = scratch_alloc(scratch, STACKS_AT_ONCE * sizeof(*s.items));
	if (!s.items)
		return UNKNOWN;
	for (uint64_t done = 0; done < count; done += SELFMEM_EACH) {
		uint64_t left = count - done;
		if (!work_may_go_on(30000))
			return UNKNOWN;
		if (!stacks_read(&s, list + done * 8, left < SELFMEM_EACH ? left : SELFMEM_EACH))
			return UNKNOWN;
	}
	stacks_flush(&s);
	return s.resident;
}
