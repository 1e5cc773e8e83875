/* See dynsym.h. */
#include "base/dynsym.h"

#include <stdlib.h>
#include <sys/auxv.h>

#ifdef CGOHEAP_FAULTS
#include "base/faultinject.h"
#endif

/* The parts of a module's dynamic section, as addresses. */
struct tables {
	const ElfW(Sym) * symbols;
	const char *strings;
	const uint16_t *versions; /* NULL: none */
	const uint32_t *gnu_hash; /* NULL: none */
	const uint32_t *hash;     /* DT_HASH */
};

#define VERSION_HIDDEN 0x8000 /* not the default version */

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _end[] __attribute__((visibility("hidden")));

static bool is_ours(const void *address)
{
	return (const char *)address >= __ehdr_start && (const char *)address < _end;
}

/*
 * glibc adds the bias to these entries in memory, musl does not, and nothing does in the vDSO. The
 * module's dynamic section is nearer to the right address: the other one is off by the bias. The
 * bias may be negative (a library that was linked to a high address, the vDSO until Linux 3.15).
 */
static const void *at(uint64_t bias, const ElfW(Dyn) * near, uint64_t value)
{
	int64_t off = (int64_t)(value - (uint64_t)near), other = (int64_t)((uint64_t)off + bias);

	return (const void *)(llabs(other) < llabs(off) ? bias + value : value);
}

static int tables_read(struct tables *t, uint64_t bias, const ElfW(Dyn) * d)
{
	*t = (struct tables){.symbols = NULL};
	for (; d->d_tag != DT_NULL; d++) {
		const void *p = at(bias, d, d->d_un.d_ptr);
		if (d->d_tag == DT_SYMTAB)
			t->symbols = p;
		else if (d->d_tag == DT_STRTAB)
			t->strings = p;
		else if (d->d_tag == DT_VERSYM)
			t->versions = p;
		else if (d->d_tag == DT_GNU_HASH)
			t->gnu_hash = p;
		else if (d->d_tag == DT_HASH)
			t->hash = p;
	}
	return t->symbols && t->strings && (t->gnu_hash || t->hash) ? 0 : -1;
}

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* Of a kind that the loader binds a call to (elf/dl-lookup.c). */
static bool is_defined(const ElfW(Sym) * s)
{
	unsigned type = ELF64_ST_TYPE(s->st_info), seen = ELF64_ST_VISIBILITY(s->st_other);

	return s->st_shndx != SHN_UNDEF && s->st_value != 0 &&
	       ELF64_ST_BIND(s->st_info) != STB_LOCAL && seen != STV_HIDDEN &&
	       seen != STV_INTERNAL &&
	       (type == STT_FUNC || type == STT_NOTYPE || type == STT_GNU_IFUNC);
}

/* What lies behind us has been relocated before us, so its resolvers can run. */
static void *address_of(const ElfW(Sym) * s, uint64_t bias)
{
	void *found = (void *)(bias + s->st_value);

	if (ELF64_ST_TYPE(s->st_info) != STT_GNU_IFUNC)
		return found;
	return ((void *(*)(unsigned long, const void *))found)(getauxval(AT_HWCAP), NULL);
}

static void *take(const struct tables *t, uint64_t bias, uint32_t i, const char *name)
{
	const ElfW(Sym) *s = &t->symbols[i];

	if (!is_defined(s) || (t->versions && (t->versions[i] & VERSION_HIDDEN)) ||
	    !same(t->strings + s->st_name, name))
		return NULL;
	return address_of(s, bias);
}

/* Layout: bucket count, first hashed symbol, Bloom filter words, shift; then the tables. */
static void *find_by_gnu_hash(const struct tables *t, uint64_t bias, const char *name)
{
	const uint32_t *head = t->gnu_hash, *buckets = head + 4 + 2 * head[2];
	const uint32_t *chain = buckets + head[0];
	uint32_t hash = 5381;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (uint8_t)*c;
	for (uint32_t i = head[0] ? buckets[hash % head[0]] : 0; i && i >= head[1]; i++) {
		uint32_t value = chain[i - head[1]];
		void *found = (value | 1) == (hash | 1) ? take(t, bias, i, name) : NULL;
		if (found || (value & 1))
			return found;
	}
	return NULL;
}

/* Layout: bucket count, symbol count; the buckets, and the next symbol of each symbol. */
static void *find_by_hash(const struct tables *t, uint64_t bias, const char *name)
{
	const uint32_t *buckets = t->hash + 2, *next = buckets + t->hash[0];
	uint32_t hash = 0;
	void *found = NULL;

	for (const char *c = name; *c; c++) {
		hash = (hash << 4) + (uint8_t)*c;
		hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
	}
	for (uint32_t i = t->hash[0] ? buckets[hash % t->hash[0]] : 0; i && !found; i = next[i])
		found = take(t, bias, i, name);
	return found;
}

static void *find(uint64_t bias, const ElfW(Dyn) * dynamic, const char *name)
{
	struct tables t;

#ifdef CGOHEAP_FAULTS
	if (faultinject_is_missing(name))
		return NULL;
#endif
	if (tables_read(&t, bias, dynamic))
		return NULL;
	return t.gnu_hash ? find_by_gnu_hash(&t, bias, name) : find_by_hash(&t, bias, name);
}

void *dynsym_find_in_image(const void *image, const char *name)
{
	const ElfW(Ehdr) *header = image;
	const ElfW(Phdr) * p;
	uint64_t bias = 0, dynamic = 0;
	bool has_bias = false;

	if (!header)
		return NULL;
	p = (const void *)((const char *)image + header->e_phoff);
	for (size_t i = 0; i < header->e_phnum; i++) {
		if (p[i].p_type == PT_LOAD && !has_bias) {
			bias = (uint64_t)image + p[i].p_offset - p[i].p_vaddr;
			has_bias = true;
		}
		if (p[i].p_type == PT_DYNAMIC)
			dynamic = p[i].p_vaddr;
	}
	return has_bias && dynamic ? find(bias, (const void *)(bias + dynamic), name) : NULL;
}

/* ---- the loader's list -------------------------------------------------- */

struct object {
	uint64_t bias;
	const ElfW(Dyn) * dynamic;
};

struct search {
	bool (*visit)(const struct object *object, struct search *search);
	const char *name;
	bool is_behind; /* us, in the list */
	void *found;
};

/* Debuggers find the list by this entry of the program, which the loader fills in. */
static const struct link_map *list_of_debuggers(void)
{
	const ElfW(Phdr) *headers = (const void *)getauxval(AT_PHDR);
	size_t count = headers ? getauxval(AT_PHNUM) : 0;
	const ElfW(Dyn) *d = NULL;
	bool has_bias = false;
	uint64_t bias = 0;

	for (size_t i = 0; i < count; i++) {
		if (headers[i].p_type == PT_PHDR) {
			bias = (uint64_t)headers - headers[i].p_vaddr;
			has_bias = true;
		}
		if (headers[i].p_type == PT_DYNAMIC && has_bias)
			d = (const void *)(bias + headers[i].p_vaddr);
	}
	for (; d && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_DEBUG)
			return d->d_un.d_ptr ? ((const struct r_debug *)d->d_un.d_ptr)->r_map
					     : NULL;
	return NULL;
}

static int visit_headers(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *search = arg;

	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC) {
			struct object object = {
				info->dlpi_addr,
				(const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr)};
			return search->visit(&object, search);
		}
	return 0;
}

/* Until a visit returns true, in the order in which symbols are looked up.  A program that was
 * started by a loader on its command line may have no list for debuggers. */
static void *visit_objects(struct search *search)
{
	const struct link_map *m = list_of_debuggers();

	if (!m)
		dl_iterate_phdr(visit_headers, search);
	for (; m; m = m->l_next) {
		struct object object = {m->l_addr, m->l_ld};
		if (search->visit(&object, search))
			break;
	}
	return search->found;
}

static bool find_behind_us(const struct object *o, struct search *search)
{
	if (search->is_behind)
		search->found = find(o->bias, o->dynamic, search->name);
	search->is_behind |= is_ours(o->dynamic);
	return search->found != NULL;
}

void *dynsym_next(const char *name)
{
	struct search search = {.visit = find_behind_us, .name = name};

	return visit_objects(&search);
}

/* By what it calls itself: the file may have any name, and other libraries' names begin so. */
static bool is_libpthread(const struct object *o)
{
	const ElfW(Dyn) *soname = NULL;
	struct tables t;

	if (tables_read(&t, o->bias, o->dynamic))
		return false;
	for (const ElfW(Dyn) *d = o->dynamic; d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_SONAME)
			soname = d;
	return soname && same(t.strings + soname->d_un.d_val, "libpthread.so.0");
}

static bool find_in_libpthread(const struct object *o, struct search *search)
{
	search->found = is_libpthread(o) ? find(o->bias, o->dynamic, search->name) : NULL;
	return search->found != NULL;
}

static bool find_in_libc(const struct object *o, struct search *search)
{
	if (find(o->bias, o->dynamic, "getauxval") != (void *)getauxval)
		return false;
	search->found = find(o->bias, o->dynamic, search->name);
	return true;
}

/* libpthread first: in its place, libc has functions that do nothing. */
void *dynsym_libc(const char *name)
{
	struct search beside = {.visit = find_in_libpthread, .name = name};
	struct search search = {.visit = find_in_libc, .name = name};
	void *found = visit_objects(&beside);

	return found ? found : visit_objects(&search);
}

void *dynsym_loader(const char *name)
{
	return dynsym_find_in_image((const void *)getauxval(AT_BASE), name);
}

/* ---- one module --------------------------------------------------------- */

static int note_if_inside(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct dynsym_module *m = arg;
	uint64_t start = UINT64_MAX, end = 0;

	(void)size;
	m->dynamic = NULL;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uint64_t at = info->dlpi_addr + p->p_vaddr;
		if (p->p_type == PT_LOAD && at < start)
			start = at & ~(uint64_t)(PAGE_BYTES - 1);
		if (p->p_type == PT_LOAD && at + p->p_memsz > end)
			end = at + p->p_memsz;
		if (p->p_type == PT_DYNAMIC)
			m->dynamic = (const void *)at;
	}
	m->start = start;
	m->end = end;
	m->bias = info->dlpi_addr;
	return m->address >= start && m->address < end && m->dynamic;
}

int dynsym_module(const void *address, struct dynsym_module *out)
{
	*out = (struct dynsym_module){.address = (uint64_t)address};
	return dl_iterate_phdr(note_if_inside, out) ? 0 : -1;
}

void *dynsym_find_in_module(const struct dynsym_module *m, const char *name)
{
	return find(m->bias, m->dynamic, name);
}
