/*
 * Functions are looked up on the worker, because the loader has locks too, and in the object
 * that provides malloc: those of another allocator, linked privately into some library, must not
 * be called instead.
 */
#include "account/allocator.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/clock.h"
#include "base/dynsym.h"
#include "base/libc.h"
#include "base/work.h"
#include "region/region.h"
#include "proc/modules.h"
#include "proc/procinfo.h"
#include "hook/real.h"
#include "account/mallocng.h"
#include "account/worker.h"

#define READ_TIMEOUT_NS (UINT64_C(2) * 1000000000)

/* malloc/malloc.h, glibc 2.33 and later; declared here for older headers. */
struct mallinfo2_figures {
	size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks,
		keepcost;
};

/* The same before 2.33, to be taken as unsigned: right below 4 GiB. */
struct mallinfo_figures {
	uint32_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks,
		keepcost;
};

static struct functions {
	bool looked_up;
	struct mallinfo2_figures (*mallinfo2)(void);
	struct mallinfo_figures (*mallinfo)(void);
	int (*malloc_trim)(size_t);
	int (*mallctl)(const char *, void *, size_t *, void *, size_t);
	int (*get_property)(const char *, size_t *);
	void (*release_free)(void);
	void (*mi_process_info)(size_t *, size_t *, size_t *, size_t *, size_t *, size_t *,
				size_t *, size_t *);
	void (*mi_collect)(bool);
} functions;

/* ---- which one it is ---------------------------------------------------- */

#define NAME_BYTES    64
#define SCRATCH_BYTES (4 * MIB)

/* File names start with these; the rest is a version. */
static const struct {
	const char *prefix, *name;
} allocators[] = {
	{"libjemalloc", "jemalloc"},
	{"libtcmalloc", "tcmalloc"},
	{"libmimalloc", "mimalloc"},
};

static const char *allocator_of_file(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *file = slash ? slash + 1 : path;
	for (size_t i = 0; i < COUNT_OF(allocators); i++)
		if (ascii_begins(file, allocators[i].prefix))
			return allocators[i].name;
	return file;
}

static const char musl_unread[] = "musl", musl_read[] = "musl mallocng";

static const char *name_of_libcs(const struct modules *modules)
{
	if (libc_kind() != LIBC_MUSL)
		return "glibc";
	return mallocng_find(modules) ? musl_read : musl_unread;
}

/* musl's structures are there from the first malloc on. */
const char *allocator_name(void)
{
	static char name[NAME_BYTES];
	struct scratch scratch = SCRATCH_INIT(SCRATCH_BYTES);
	struct modules modules = {0};
	if (*name && strcmp(name, musl_unread) != 0)
		return name;
	modules_read(&scratch, &modules);
	const struct module *m = modules_find(&modules, (uint64_t)real.malloc);
	if (m && m == modules_find(&modules, (uint64_t)libc_address()))
		snprintf(name, sizeof(name), "%s", name_of_libcs(&modules));
	else if (m)
		snprintf(name, sizeof(name), "%s", allocator_of_file(m->path));
	scratch_release(&scratch);
	return name;
}

/* ---- its functions ------------------------------------------------------- */

/* By allocator, so that an unknown one is asked for all. */
static const struct {
	const char *allocator, *name;
	void **function;
} known[] = {
	{"glibc", "mallinfo2", (void **)&functions.mallinfo2},
	{"glibc", "mallinfo", (void **)&functions.mallinfo},
	{"glibc", "malloc_trim", (void **)&functions.malloc_trim},
	{"jemalloc", "mallctl", (void **)&functions.mallctl},
	{"tcmalloc", "MallocExtension_GetNumericProperty", (void **)&functions.get_property},
	{"tcmalloc", "MallocExtension_ReleaseFreeMemory", (void **)&functions.release_free},
	{"mimalloc", "mi_process_info", (void **)&functions.mi_process_info},
	{"mimalloc", "mi_collect", (void **)&functions.mi_collect},
};

/* On the worker. */
static void functions_look_up(void)
{
	const char *allocator = allocator_name();
	struct dynsym_module module;
	bool is_known = false;
	if (functions.looked_up || dynsym_module((const void *)real.malloc, &module))
		return;
	for (size_t i = 0; i < COUNT_OF(known); i++)
		is_known |= strcmp(known[i].allocator, allocator) == 0;
	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (!is_known || strcmp(known[i].allocator, allocator) == 0)
			*known[i].function = dynsym_find_in_module(&module, known[i].name);
	functions.looked_up = true;
}

bool allocator_is_glibc(void)
{
	return strcmp(allocator_name(), "glibc") == 0;
}

bool allocator_is_musl(void)
{
	return strcmp(allocator_name(), musl_read) == 0 ||
	       strcmp(allocator_name(), musl_unread) == 0;
}

/* ---- statistics --------------------------------------------------------- */

/* All figures unknown. */
static struct allocator_stats nothing(void)
{
	return (struct allocator_stats){.name = "",
					.in_use_bytes = UNKNOWN,
					.free_bytes = UNKNOWN,
					.mapped_bytes = UNKNOWN,
					.system_bytes = UNKNOWN,
					.cached_bytes = UNKNOWN,
					.arenas = UNKNOWN,
					.nanoseconds = UNKNOWN};
}

/* Blocks in threads' caches count as in use; chunks with their own mappings are separate. */
static void read_glibc(struct allocator_stats *s)
{
	struct mallinfo2_figures m = functions.mallinfo2();
	s->name = "glibc";
	s->in_use_bytes = m.uordblks + m.hblkhd;
	s->free_bytes = m.fordblks;
	s->mapped_bytes = m.hblkhd;
	s->cached_bytes = m.fsmblks;
	s->system_bytes = m.arena + m.hblkhd;
}

/* answer, cost and bins belong to the worker while it is busy. */
static struct {
	struct allocator_stats answer, last;
	uint64_t cost_ns;
	struct work_rest rest;
	struct jemallocbins bins;
	bool has_bins;
	uint64_t data_bytes; /* all writable private mappings of the process; UNKNOWN */
} reading;

/* No figure of malloc's is larger than the memory that a process can write to. */
static void read_old_glibc(struct allocator_stats *s)
{
	s->name = "glibc";
	if (reading.data_bytes > UINT32_MAX)
		return;
	struct mallinfo_figures m = functions.mallinfo();
	s->in_use_bytes = (uint64_t)m.uordblks + m.hblkhd;
	s->free_bytes = m.fordblks;
	s->mapped_bytes = m.hblkhd;
	s->cached_bytes = m.fsmblks;
	s->system_bytes = (uint64_t)m.arena + m.hblkhd;
}

static uint64_t mallctl_read(const char *name)
{
	size_t value = 0, bytes = sizeof(value);
	return functions.mallctl(name, &value, &bytes, NULL, 0) == 0 ? value : UNKNOWN;
}

static uint64_t mallctl_read_unsigned(const char *name)
{
	unsigned value = 0;
	size_t bytes = sizeof(value);
	return functions.mallctl(name, &value, &bytes, NULL, 0) == 0 ? value : UNKNOWN;
}

/* Subtracts, at least 0; an unknown figure stays unknown. */
static uint64_t less(uint64_t from, uint64_t what)
{
	if (from == UNKNOWN || what == UNKNOWN)
		return UNKNOWN;
	return from > what ? from - what : 0;
}

/* A jemalloc built without statistics returns ENOENT. Its "resident" counts what is handed
 * out as if touched. */
static void read_jemalloc(struct allocator_stats *s)
{
	uint64_t epoch = 1;
	functions.mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
	s->name = "jemalloc";
	s->in_use_bytes = mallctl_read("stats.allocated");
	s->system_bytes = mallctl_read("stats.mapped");
	s->free_bytes = less(less(mallctl_read("stats.resident"), s->in_use_bytes),
			     mallctl_read("stats.metadata"));
	s->arenas = mallctl_read_unsigned("arenas.narenas");
	jemallocbins_read(functions.mallctl, &reading.bins);
}

static uint64_t property(const char *name)
{
	size_t value = 0;
	return functions.get_property(name, &value) ? value : UNKNOWN;
}

static void read_tcmalloc(struct allocator_stats *s)
{
	s->name = "tcmalloc";
	s->in_use_bytes = property("generic.current_allocated_bytes");
	s->system_bytes =
		less(property("generic.heap_size"), property("tcmalloc.pageheap_unmapped_bytes"));
	s->free_bytes = less(s->system_bytes, s->in_use_bytes);
}

/* It reports what it has from the system, but nothing about its blocks. */
static void read_mimalloc(struct allocator_stats *s)
{
	size_t elapsed, user, system, rss, peak_rss, commit, peak_commit, faults;
	functions.mi_process_info(&elapsed, &user, &system, &rss, &peak_rss, &commit, &peak_commit,
				  &faults);
	s->name = "mimalloc";
	s->system_bytes = commit;
}

/* On the worker. */
static void read_stats(void *unused)
{
	struct allocator_stats *s = &reading.answer;
	uint64_t begun_ns = work_cpu_ns();
	(void)unused;
	functions_look_up();
	uint64_t start_ns = clock_monotonic_ns();
	*s = nothing();
	if (functions.mallctl)
		read_jemalloc(s);
	else if (functions.get_property)
		read_tcmalloc(s);
	else if (functions.mi_process_info)
		read_mimalloc(s);
	else if (functions.mallinfo2)
		read_glibc(s);
	else if (functions.mallinfo)
		read_old_glibc(s);
	s->nanoseconds = clock_monotonic_ns() - start_ns;
	reading.cost_ns = work_cpu_ns() - begun_ns;
}

static uint64_t data_bytes(void)
{
	struct scratch scratch = SCRATCH_INIT(SCRATCH_BYTES);
	struct process_stats process;

	procinfo_read_status(&scratch, NULL, &process);
	scratch_release(&scratch);
	return process.vm_data;
}

/* Unknown where the structures are not mallocng's, or cannot be read now. */
static void read_musl(struct allocator_stats *out)
{
	uint64_t begun_ns = work_cpu_ns(), start_ns = clock_monotonic_ns();
	struct mallocng m;
	if (mallocng_read(&m, NULL, NULL) == 0) {
		out->in_use_bytes = m.in_use;
		out->free_bytes = m.free;
		out->mapped_bytes = m.big;
		out->system_bytes = m.system;
	}
	out->nanoseconds = clock_monotonic_ns() - start_ns;
	reading.last = *out;
	work_rest_after(&reading.rest, work_cpu_ns() - begun_ns);
}

enum allocator_result allocator_read(struct allocator_stats *out)
{
	if (work_is_resting(&reading.rest)) {
		*out = reading.last;
		return ALLOCATOR_OLD;
	}
	*out = nothing();
	if (!functions.mallinfo2)
		reading.data_bytes = data_bytes();
	out->name = allocator_name(); /* on this thread: the first caller caches the name */
	if (allocator_is_musl()) {
		read_musl(out);
		return ALLOCATOR_OK;
	}
	if (worker_run(read_stats, NULL, READ_TIMEOUT_NS) != 0)
		return ALLOCATOR_UNANSWERED;
	if (!*reading.answer.name)
		return ALLOCATOR_SILENT;
	reading.last = *out = reading.answer;
	reading.has_bins = functions.mallctl != NULL;
	work_rest_after(&reading.rest, reading.cost_ns);
	return ALLOCATOR_OK;
}

/* ---- slabs of jemalloc -------------------------------------------------- */

const struct jemallocbins *allocator_bins(void)
{
	bool is_known = reading.has_bins && !worker_is_busy() && reading.bins.count > 0;
	return is_known ? &reading.bins : NULL;
}

static void ask_slabs(void *query)
{
	jemallocbins_ask(functions.mallctl, query);
}

int allocator_ask_slabs(struct jemallocbins_query *query)
{
	if (!allocator_bins() || worker_run(ask_slabs, query, READ_TIMEOUT_NS) != 0)
		return -1;
	return query->result;
}

/* ---- trim --------------------------------------------------------------- */

#define JEMALLOC_ALL_ARENAS_PURGE "arena.4096.purge" /* MALLCTL_ARENAS_ALL, since jemalloc 5 */

static struct {
	bool is_over;
	const char *what; /* NULL: no function that we know */
} trimmed;

/* On the worker. */
static void trim(void *unused)
{
	(void)unused;
	functions_look_up();
	trimmed.what = NULL;
	if (functions.mallctl) {
		if (functions.mallctl(JEMALLOC_ALL_ARENAS_PURGE, NULL, NULL, NULL, 0) == 0)
			trimmed.what = "arena.purge";
	} else if (functions.release_free) {
		functions.release_free();
		trimmed.what = "ReleaseFreeMemory";
	} else if (functions.mi_collect) {
		functions.mi_collect(true);
		trimmed.what = "mi_collect";
	} else if (functions.malloc_trim) {
		functions.malloc_trim(0);
		trimmed.what = "malloc_trim";
	}
	work_rest_end(&reading.rest); /* the last figures are outdated */
	STORE_REL(&trimmed.is_over, true);
}

int allocator_trim(void)
{
	if (worker_is_busy())
		return -1;
	STORE(&trimmed.is_over, false);
	return worker_begin(trim, NULL);
}

enum allocator_result allocator_trimmed(const char **what)
{
	if (!LOAD_ACQ(&trimmed.is_over))
		return ALLOCATOR_UNANSWERED;
	*what = trimmed.what;
	return trimmed.what ? ALLOCATOR_OK : ALLOCATOR_SILENT;
}
