/* See dynsym.h. */
#include "base/dynsym.h"

#include <link.h>
#include <sys/auxv.h>

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

/* The loader adds the bias to these entries in memory, except in the vDSO. */
static const void *at(uint64_t bias, uint64_t value)
{
	return (const void *)(value < bias ? bias + value : value);
}

static int tables_read(struct tables *t, uint64_t bias, const ElfW(Dyn) * d)
{
	*t = (struct tables){.symbols = NULL};
	for (; d->d_tag != DT_NULL; d++) {
		const void *p = at(bias, d->d_un.d_ptr);
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

static void *take(const struct tables *t, uint64_t bias, uint32_t i, const char *name)
{
	const ElfW(Sym) *s = &t->symbols[i];

	if (s->st_shndx == SHN_UNDEF || ELF64_ST_TYPE(s->st_info) != STT_FUNC ||
	    (t->versions && (t->versions[i] & VERSION_HIDDEN)) ||
	    !same(t->strings + s->st_name, name))
		return NULL;
	return (void *)(bias + s->st_value);
}

/* Layout: bucket count, first hashed symbol, Bloom filter words, shift; then the tables. */
static void *find_by_gnu_hash(const struct tables *t, uint64_t bias, const char *name)
{
	const uint32_t *head = t->gnu_hash, *buckets = head + 4 + 2 * head[2];
	const uint32_t *chain = buckets + head[0];
	uint32_t hash = 5381;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (uint8_t)*c;
	if (!head[0])
		return NULL;
	for (uint32_t i = buckets[hash % head[0]]; i >= head[1]; i++) {
		uint32_t value = chain[i - head[1]];
		void *found = (value | 1) == (hash | 1) ? take(t, bias, i, name) : NULL;
		if (found || (value & 1))
			return found;
	}
	return NULL;
}

/* hash[0] is the number of buckets, hash[1] the number of symbols. */
static void *find_by_walk(const struct tables *t, uint64_t bias, const char *name)
{
	void *found = NULL;

	for (uint32_t i = 0; i < t->hash[1] && !found; i++)
		found = take(t, bias, i, name);
	return found;
}

static void *find(uint64_t bias, const ElfW(Dyn) * dynamic, const char *name)
{
	struct tables t;

	if (tables_read(&t, bias, dynamic))
		return NULL;
	return t.gnu_hash ? find_by_gnu_hash(&t, bias, name) : find_by_walk(&t, bias, name);
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

static bool is_libc(const struct link_map *m)
{
	static const char name[] = "/libc.so.6";
	const char *slash = NULL;

	for (const char *c = m->l_name; c && *c; c++)
		if (*c == '/')
			slash = c;
	return slash && same(slash, name);
}

void *dynsym_next(const char *name)
{
	const struct link_map *m = _r_debug.r_map;
	void *found = NULL;

	while (m && !is_ours(m->l_ld))
		m = m->l_next;
	for (m = m ? m->l_next : NULL; m && !found; m = m->l_next)
		found = find(m->l_addr, m->l_ld, name);
	return found;
}

void *dynsym_libc(const char *name)
{
	for (const struct link_map *m = _r_debug.r_map; m; m = m->l_next)
		if (is_libc(m))
			return find(m->l_addr, m->l_ld, name);
	return NULL;
}

void *dynsym_loader(const char *name)
{
	return dynsym_find_in_image((const void *)getauxval(AT_BASE), name);
}
