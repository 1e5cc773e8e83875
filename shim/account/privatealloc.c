/*
 * The symbol tables are searched once per module: for strings that end like mallctl's name, then
 * for functions of that name. Its figures are used only if the whole family is present and it
 * reports its version.
 */
#include "account/privatealloc.h"

#include <string.h>

#include "base/ascii.h"
#include "base/pagemap.h"
#include "base/sys.h"
#include "base/work.h"
#include "proc/elffile.h"
#include "hook/earlymaps.h"
#include "hook/real.h"
#include "account/worker.h"

#define READ_TIMEOUT_NS UINT64_C(1000000000)

#define MAX_NAMES       8
#define CHUNK_BYTES     (64 * KIB)
#define SYMBOLS_AT_ONCE 512

static const char call_name[] = "mallctl", family_name[] = "mallctlnametomib";

typedef int mallctl_function(const char *, void *, size_t *, void *, size_t);

/* Whether each file that was mapped at start has been searched. */
static bool looked[EARLYMAPS_FILES];

static struct {
	struct privatealloc figures;
	mallctl_function *call;
} found[PRIVATEALLOC_MAX];
static size_t found_count;

/* ---- search -------------------------------------------------------------- */

/* A string in a string table: [start, start + prefix bytes + name). */
struct name {
	uint64_t start;
	char prefix[PRIVATEALLOC_PREFIX_BYTES];
};

struct names {
	struct name list[MAX_NAMES];
	size_t count;
};

static void add_name(struct names *names, const char *text, size_t bytes, const char *suffix,
		     uint64_t start)
{
	size_t n = strlen(suffix);
	if (bytes < n || bytes - n >= PRIVATEALLOC_PREFIX_BYTES || names->count == MAX_NAMES ||
	    memcmp(text + bytes - n, suffix, n) != 0)
		return;
	struct name *name = &names->list[names->count++];
	*name = (struct name){.start = start};
	memcpy(name->prefix, text, bytes - n);
}

/* Strings longer than half a chunk are skipped: they are not such names. */
static void find_names(const struct elffile *f, const Elf64_Shdr *strings, char *chunk,
		       struct names *calls, struct names *families)
{
	for (uint64_t at = 0; at < strings->sh_size && work_may_go_on_first_half(50000);) {
		uint64_t left = strings->sh_size - at;
		size_t got = elffile_read(f, strings->sh_offset + at, chunk,
					  left < CHUNK_BYTES ? left : CHUNK_BYTES);
		size_t done = 0;
		for (const char *end; (end = memchr(chunk + done, 0, got - done)) != NULL;
		     done = (size_t)(end - chunk) + 1) {
			size_t bytes = (size_t)(end - chunk) - done;
			add_name(calls, chunk + done, bytes, call_name, at + done);
			add_name(families, chunk + done, bytes, family_name, at + done);
		}
		if (got == 0)
			return;
		at += done ? done : got;
	}
}

/* cgo's wrappers (_cgo_HASH_Cfunc_je_mallctl) and Go's functions (main.mallctl) also end like
 * this, but are called differently. */
static bool is_of_c(const char *prefix)
{
	return !ascii_begins(prefix, "_cgo") && strpbrk(prefix, "./") == NULL;
}

/* If the linker merged one string into the end of another, only the longer one was found. */
static bool has_family(const struct names *families, const char *prefix)
{
	size_t n = strlen(prefix);
	for (size_t i = 0; i < families->count; i++) {
		const char *all = families->list[i].prefix;
		size_t bytes = strlen(all);
		if (bytes == n || (bytes > n && n > 0))
			if (memcmp(all + bytes - n, prefix, n) == 0)
				return true;
	}
	return false;
}

static void keep(const char *prefix, uint64_t address)
{
	for (size_t i = 0; i < found_count; i++)
		if (found[i].call == (mallctl_function *)address)
			return;
	if (found_count == PRIVATEALLOC_MAX)
		return;
	strcpy(found[found_count].figures.prefix, prefix);
	found[found_count++].call = (mallctl_function *)address;
}

/* A linker may make one string the end of another. */
static void consider(const Elf64_Sym *s, const struct names *calls, const struct names *families,
		     uint64_t bias)
{
	if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || s->st_shndx == SHN_UNDEF)
		return;
	for (size_t i = 0; i < calls->count; i++) {
		const struct name *name = &calls->list[i];
		uint64_t skipped = s->st_name - name->start;
		if (s->st_name < name->start || skipped > strlen(name->prefix))
			continue;
		if (is_of_c(name->prefix + skipped) && has_family(families, name->prefix + skipped))
			keep(name->prefix + skipped, bias + s->st_value);
	}
}

static void look_in_table(const struct elffile *f, const Elf64_Shdr *table, char *chunk,
			  uint64_t bias)
{
	Elf64_Sym *symbols = (Elf64_Sym *)chunk;
	struct names calls = {.count = 0}, families = {.count = 0};
	Elf64_Shdr strings;
	if (!elffile_section(f, table->sh_link, &strings))
		return;
	find_names(f, &strings, chunk, &calls, &families);
	for (uint64_t done = 0;
	     calls.count && done < table->sh_size && work_may_go_on_first_half(10000);) {
		uint64_t left = table->sh_size - done;
		size_t bytes = SYMBOLS_AT_ONCE * sizeof(*symbols);
		size_t n = elffile_read(f, table->sh_offset + done, symbols,
					bytes < left ? bytes : left) /
			   sizeof(*symbols);
		for (size_t i = 0; i < n; i++)
			consider(&symbols[i], &calls, &families, bias);
		if (n == 0)
			return;
		done += n * sizeof(*symbols);
	}
}

static void look_in_module(struct scratch *scratch, const struct module *m)
{
	char *chunk = scratch_alloc(scratch, CHUNK_BYTES);
	struct elffile f;
	Elf64_Shdr section;
	int fd = chunk && m->elf_ok ? modules_open(m) : -1;
	if (fd < 0)
		return;
	if (elffile_init_fd(&f, fd) == 0)
		for (uint32_t i = 0; elffile_section(&f, i, &section); i++)
			if (section.sh_type == SHT_SYMTAB || section.sh_type == SHT_DYNSYM)
				look_in_table(&f, &section, chunk, m->load_bias);
	sys_close(fd);
}

/* Once per file. The module that provides malloc belongs to allocator.c. */
static void look(struct scratch *scratch, const struct modules *modules)
{
	const struct module *of_malloc = modules_find(modules, (uint64_t)real.malloc);
	for (size_t i = 0; i < modules->count; i++) {
		const struct module *m = &modules->list[i];
		int file = earlymaps_file(m->device, m->inode);
		if (file < 0 || looked[file])
			continue;
		if (!m->is_shim && (!of_malloc || of_malloc->inode != m->inode))
			look_in_module(scratch, m);
		looked[file] = !work_was_cut(); /* otherwise search again */
	}
}

/* ---- calls ---------------------------------------------------------------- */

static uint64_t ask(mallctl_function *call, const char *name)
{
	size_t value = 0, bytes = sizeof(value);
	return call(name, &value, &bytes, NULL, 0) == 0 && bytes == sizeof(value) ? value : UNKNOWN;
}

static bool is_jemalloc(mallctl_function *call)
{
	const char *version = NULL;
	size_t bytes = sizeof(version);
	return call("version", &version, &bytes, NULL, 0) == 0 && bytes == sizeof(version) &&
	       version && *version >= '0' && *version <= '9';
}

/* On the worker. */
static void read_one(struct privatealloc *p, mallctl_function *call)
{
	uint64_t epoch = 1;
	p->in_use = p->active = p->metadata = p->resident = p->mapped = p->retained = UNKNOWN;
	if (!is_jemalloc(call) || call("epoch", NULL, NULL, &epoch, sizeof(epoch)) != 0)
		return;
	p->in_use = ask(call, "stats.allocated");
	p->active = ask(call, "stats.active");
	p->metadata = ask(call, "stats.metadata");
	p->resident = ask(call, "stats.resident");
	p->mapped = ask(call, "stats.mapped");
	p->retained = ask(call, "stats.retained");
}

/* answer belongs to the worker while it is busy. */
static struct {
	struct privatealloc answer[PRIVATEALLOC_MAX], last[PRIVATEALLOC_MAX];
	size_t count, last_count; /* requested; answered */
	uint64_t cost_ns;
	struct work_rest rest;
} reading;

static void read_all(void *unused)
{
	uint64_t begun_ns = work_cpu_ns();
	(void)unused;
	for (size_t i = 0; i < reading.count; i++) {
		reading.answer[i] = found[i].figures;
		read_one(&reading.answer[i], found[i].call);
	}
	reading.cost_ns = work_cpu_ns() - begun_ns;
}

size_t privatealloc_read(struct scratch *scratch, const struct modules *modules,
			 struct privatealloc out[PRIVATEALLOC_MAX])
{
	look(scratch, modules);
	if (found_count && !work_is_resting(&reading.rest) && !worker_is_busy()) {
		reading.count = found_count;
		if (worker_run(read_all, NULL, READ_TIMEOUT_NS) != 0)
			return 0;
		memcpy(reading.last, reading.answer, sizeof(reading.last));
		reading.last_count = reading.count;
		work_rest_after(&reading.rest, reading.cost_ns);
	}
	memcpy(out, reading.last, reading.last_count * sizeof(*out));
	return reading.last_count;
}
