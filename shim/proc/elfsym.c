/*
 * One pass over a symbol table, for many addresses at once.
 *
 * The addresses are sorted.  For each symbol, a binary search finds the addresses it may
 * name; for most symbols there are none.  Symbols are read in chunks, and names only for
 * the symbols chosen, so the size of the binary does not matter.
 *
 * Symbols from assembly often have no size.  Such a symbol names the addresses up to the
 * next symbol of any kind, within its section.  So a stripped static function after a
 * sized one stays unknown; it never gets a wrong name.
 */
#include "proc/elfsym.h"

#include <string.h>

#include "base/search.h"
#include "base/sort.h"
#include "base/sys.h"
#include "base/work.h"
#include "proc/elffile.h"

#define CHUNK_SYMBOLS 1024
#define NAME_BYTES    4096 /* longer names are cut */

struct candidate {
	uint32_t name;    /* offset in the string table; 0 none */
	uint16_t section; /* its index */
	uint8_t rank;     /* higher is better */
	bool sized;
	uint64_t start;
};

/* What is known about one address, given as in the file. */
struct target {
	uint64_t address;
	size_t query;
	struct candidate holding;   /* best symbol whose range contains address */
	struct candidate preceding; /* nearest symbol at or before address */
};

struct search {
	struct elffile file;
	uint64_t strings, string_bytes; /* the string table's place in the file */
	struct target *targets;         /* ascending by address */
	size_t count;
	char *name, *other; /* NAME_BYTES each */
	uint32_t mark;      /* the last name that is_mark has read and found to be one */
};

/* ---- names ------------------------------------------------------------ */

/* Reads the name at offset without its symbol version; returns its length. */
static size_t read_name(const struct search *s, uint32_t offset, char *name)
{
	size_t n = 0;

	name[0] = 0;
	if (offset >= s->string_bytes)
		return 0;
	while (n < NAME_BYTES - 1) {
		size_t room = NAME_BYTES - 1 - n, rest = s->string_bytes - offset - n;
		size_t want = room < 256 ? room : 256;
		size_t got = elffile_read(&s->file, s->strings + offset + n, name + n,
					  want < rest ? want : rest);
		char *end = memchr(name + n, 0, got);

		n = end ? (size_t)(end - name) : n + got;
		if (end || got == 0)
			break;
	}
	name[n] = 0;
	return strcspn(name, "@");
}

static size_t leading_underscores(const char *name)
{
	return strspn(name, "_");
}

/* Which of two names of a function a programmer would write. */
static bool name_is_better(const struct search *s, uint32_t offset, uint32_t than)
{
	size_t n = read_name(s, offset, s->name), m = read_name(s, than, s->other);
	size_t underscores = leading_underscores(s->name), others = leading_underscores(s->other);

	if (n == 0 || m == 0)
		return n > m;
	if (underscores != others)
		return underscores < others;
	if (n != m)
		return n < m;
	return memcmp(s->name, s->other, n) < 0;
}

/* ---- the pass --------------------------------------------------------- */

static size_t first_target_at(const struct search *s, uint64_t address)
{
	return SEARCH(s->count, i, s->targets[i].address < address);
}

/* Functions rank above labels, then exported symbols above local ones.  0: not code. */
static uint8_t symbol_rank(const Elf64_Sym *symbol)
{
	unsigned type = ELF64_ST_TYPE(symbol->st_info), bind = ELF64_ST_BIND(symbol->st_info);
	uint8_t global = bind == STB_LOCAL ? 0 : 1;

	if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx >= SHN_LORESERVE)
		return 0;
	if (type == STT_FUNC || type == STT_GNU_IFUNC)
		return 4 + global;
	return type == STT_NOTYPE ? 2 + global : 0;
}

static void offer_holding(const struct search *s, struct candidate *best, struct candidate c)
{
	bool better;

	if (!best->name || (best->rank & 4) != (c.rank & 4))
		better = !best->name || c.rank > best->rank;
	else if (best->start != c.start)
		better = c.start > best->start;
	else if (best->rank != c.rank)
		better = c.rank > best->rank;
	else
		better = best->name != c.name && name_is_better(s, c.name, best->name);
	if (better)
		*best = c;
}

static bool is_nearer(const struct candidate *best, struct candidate c)
{
	return !best->name || c.start > best->start ||
	       (c.start == best->start && c.rank > best->rank);
}

static void offer_preceding(struct candidate *best, struct candidate c)
{
	if (is_nearer(best, c))
		*best = c;
}

/*
 * The assembler's marks of where code and data begin (ELF for the Arm 64-bit Architecture, "Mapping
 * symbols"): $x, $d, and these with a dot and anything.
 */
static bool is_mark(struct search *s, const Elf64_Sym *symbol)
{
	char sign = 0;

	if (symbol->st_info != ELF64_ST_INFO(STB_LOCAL, STT_NOTYPE) || symbol->st_size > 0)
		return false;
	if (symbol->st_name != s->mark &&
	    elffile_read(&s->file, s->strings + symbol->st_name, &sign, 1) == 1 && sign == '$')
		s->mark = symbol->st_name;
	return symbol->st_name == s->mark;
}

static void consider(struct search *s, const Elf64_Sym *symbol)
{
	struct candidate c = {
		.name = symbol->st_name,
		.section = symbol->st_shndx,
		.rank = symbol_rank(symbol),
		.sized = symbol->st_size > 0,
		.start = symbol->st_value,
	};

	if (!c.rank || !c.name)
		return;
	size_t i = first_target_at(s, c.start);
	if (i < s->count && is_nearer(&s->targets[i].preceding, c) && !is_mark(s, symbol))
		s->targets[i].preceding = c;
	for (; i < s->count && s->targets[i].address - c.start < symbol->st_size; i++)
		offer_holding(s, &s->targets[i].holding, c);
}

/* False: no such table, or an empty one. */
static bool search_table(struct search *s, uint32_t type, Elf64_Sym *chunk)
{
	Elf64_Shdr table, strings;
	uint32_t index = 0;

	do {
		if (!elffile_section(&s->file, index++, &table))
			return false;
	} while (table.sh_type != type);
	if (table.sh_entsize != sizeof(*chunk) || table.sh_size < 2 * sizeof(*chunk) ||
	    !elffile_section(&s->file, table.sh_link, &strings) || strings.sh_type != SHT_STRTAB)
		return false;
	s->strings = strings.sh_offset;
	s->mark = 0;
	s->string_bytes = strings.sh_size;
	for (uint64_t at = 0, left = table.sh_size / sizeof(*chunk); left > 0;) {
		size_t want = left < CHUNK_SYMBOLS ? left : CHUNK_SYMBOLS;
		size_t got =
			elffile_read(&s->file, table.sh_offset + at, chunk, want * sizeof(*chunk));

		if (!work_may_go_on_first_half(50 * CHUNK_SYMBOLS))
			return false; /* with half of the symbols, the nearest may be wrong */
		for (size_t i = 0; i < got / sizeof(*chunk); i++)
			consider(s, &chunk[i]);
		if (got < want * sizeof(*chunk))
			break;
		at += got;
		left -= want;
	}
	return true;
}

/* ---- answers ---------------------------------------------------------- */

static bool in_section(const struct search *s, uint16_t index, uint64_t address)
{
	Elf64_Shdr section;

	return elffile_section(&s->file, index, &section) && (section.sh_flags & SHF_EXECINSTR) &&
	       address - section.sh_addr < section.sh_size;
}

/* The pass sets preceding only for the first address after each symbol; copy it to the rest. */
static void hand_on_preceding(struct search *s)
{
	for (size_t i = 1; i < s->count; i++)
		offer_preceding(&s->targets[i].preceding, s->targets[i - 1].preceding);
}

static const struct candidate *choose(const struct search *s, const struct target *t)
{
	if (t->holding.name)
		return &t->holding;
	if (t->preceding.name && !t->preceding.sized &&
	    in_section(s, t->preceding.section, t->address))
		return &t->preceding;
	return NULL;
}

static void answer(struct scratch *scratch, struct search *s, uint64_t bias, struct elfsym *queries)
{
	const char *name = NULL;
	uint32_t last = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct candidate *c = choose(s, &s->targets[i]);
		struct elfsym *q = &queries[s->targets[i].query];

		if (!c)
			continue;
		if (c->name != last) {
			size_t n = read_name(s, c->name, s->name);

			name = n > 0 ? scratch_strdup(scratch, s->name, n) : NULL;
			last = c->name;
		}
		q->name = name;
		q->entry = name ? bias + c->start : 0;
	}
}

/* The addresses as in the file, sorted. */
static struct target *sorted_targets(struct scratch *scratch, uint64_t bias,
				     const struct elfsym *queries, size_t count)
{
	struct sort_item *items = scratch_alloc(scratch, count * sizeof(*items));
	struct target *targets = scratch_alloc(scratch, count * sizeof(*targets));

	if (!items || !targets)
		return NULL;
	for (size_t i = 0; i < count; i++)
		items[i] = (struct sort_item){queries[i].pc - bias, i};
	sort_items(items, count);
	for (size_t i = 0; i < count; i++)
		targets[i] = (struct target){.address = items[i].key, .query = items[i].value};
	return targets;
}

int elfsym_resolve(struct scratch *scratch, const struct module *module, struct elfsym *queries,
		   size_t count)
{
	struct search s = {.count = count};
	Elf64_Sym *chunk;

	for (size_t i = 0; i < count; i++) {
		queries[i].name = NULL;
		queries[i].entry = 0;
	}
	if (count == 0 || !module->elf_ok)
		return 0;
	int fd = modules_open(module);
	if (fd < 0)
		return -1;
	struct scratch part = scratch_part(scratch);
	s.targets = sorted_targets(&part, module->load_bias, queries, count);
	chunk = scratch_alloc(&part, CHUNK_SYMBOLS * sizeof(*chunk));
	s.name = scratch_alloc(&part, 2 * NAME_BYTES);
	if (s.targets && chunk && s.name && elffile_init_fd(&s.file, fd) == 0) {
		s.other = s.name + NAME_BYTES;
		if (search_table(&s, SHT_SYMTAB, chunk) || search_table(&s, SHT_DYNSYM, chunk)) {
			hand_on_preceding(&s);
			answer(scratch, &s, module->load_bias, queries);
		}
	}
	sys_close(fd);
	scratch_part_end(scratch, &part);
	return scratch->exhausted ? -1 : 0;
}
