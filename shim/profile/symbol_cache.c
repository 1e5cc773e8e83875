/*
 * See symbol_cache.h. A sorted list, made again as a whole when there is something to add, so it
 * needs no memory but what it holds.
 */
#include "profile/symbol_cache.h"

#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "go/gomodules.h"
#include "record/unloads.h"

#define KEPT_NS UINT64_C(600000000000)

static struct {
	bool taken;
	struct scratch scratch; /* owns the list */
	struct location *list;  /* ascending by pc; module is not set */
	size_t count;
	uint64_t valid_for; /* fingerprint */
	uint64_t used_ns;
} cache;

static void drop(void)
{
	scratch_release(&cache.scratch);
	STORE(&cache.list, NULL);
	cache.count = 0;
}

/* ---- what names depend on ----------------------------------------------- */

static uint64_t mixed(uint64_t hash, uint64_t value)
{
	return hash_spread((hash << 7 | hash >> 57) ^ value);
}

static uint64_t fingerprint(const struct modules *modules)
{
	uint64_t hash = mixed(unloads_count(), gomodules_count());
	for (size_t i = 0; i < modules->count; i++) {
		const struct module *m = &modules->list[i];
		const uint64_t parts[] = {m->start,  m->end,   m->file_offset, m->load_bias,
					  m->device, m->inode, m->elf_ok};
		for (size_t p = 0; p < COUNT_OF(parts); p++)
			hash = mixed(hash, parts[p]);
		for (const char *c = m->build_id; *c; c++)
			hash = mixed(hash, (unsigned char)*c);
	}
	return hash;
}

/* ---- its user ------------------------------------------------------------ */

static int take(void)
{
	return __atomic_exchange_n(&cache.taken, true, __ATOMIC_ACQUIRE) ? -1 : 0;
}

void symbol_cache_give(void)
{
	STORE_REL(&cache.taken, false);
}

int symbol_cache_take(const struct modules *modules)
{
	uint64_t now = fingerprint(modules);
	if (take())
		return -1;
	if (now != cache.valid_for)
		drop();
	cache.valid_for = now;
	STORE(&cache.used_ns, clock_monotonic_ns());
	return 0;
}

static void release_now(void)
{
	if (take())
		return;
	drop();
	symbol_cache_give();
}

uint64_t symbol_cache_tick(void)
{
	uint64_t age_ns = clock_monotonic_ns() - LOAD(&cache.used_ns);
	if (!LOAD(&cache.list))
		return UINT64_MAX;
	if (age_ns < KEPT_NS)
		return KEPT_NS - age_ns;
	release_now();
	return UINT64_MAX;
}

void symbol_cache_forget(void)
{
	cache.scratch = (struct scratch){0};
	drop();
	symbol_cache_give();
}

/* ---- reading -------------------------------------------------------------- */

/* What is kept of l, without its module. */
static struct location known(const struct location *l)
{
	struct location copy = *l;
	copy.module = NULL;
	return copy;
}

void symbol_cache_fill(const struct symbols *symbols)
{
	size_t at = 0;
	for (size_t i = 0; i < symbols->count; i++) {
		struct location *l = &symbols->list[i];
		const struct module *module = l->module;
		while (at < cache.count && cache.list[at].pc < l->pc)
			at++;
		if (at == cache.count || cache.list[at].pc != l->pc)
			continue;
		*l = cache.list[at];
		l->module = module;
	}
}

/* ---- making ---------------------------------------------------------------- */

struct making {
	struct scratch scratch;
	struct location *list;
	size_t count;
	const char *name, *copy; /* of the location before: neighbours are often in one function */
};

static const char *name_copy(struct making *m, const struct location *l, const char *name)
{
	if (l->names_stay)
		return name;
	if (name != m->name)
		m->copy = scratch_strdup(&m->scratch, name, strlen(name));
	m->name = name;
	return m->copy;
}

static void make_one(struct making *m, const struct location *from)
{
	struct location *l = &m->list[m->count];
	struct source_line *lines = scratch_alloc(&m->scratch, from->line_count * sizeof(*lines));
	*l = known(from);
	l->lines = lines;
	for (uint32_t i = 0; lines && i < l->line_count; i++) {
		lines[i] = from->lines[i];
		lines[i].function = name_copy(m, from, from->lines[i].function);
	}
	m->count++;
}

/* The known ones of both lists, each address once. -1: no room. */
static int make(struct making *m, const struct location *a, size_t a_count,
		const struct location *b, size_t b_count)
{
	*m = (struct making){.scratch = SCRATCH_INIT(region_scratch_max_bytes() / 8)};
	m->list = scratch_alloc(&m->scratch, (a_count + b_count) * sizeof(*m->list));
	while (!m->scratch.exhausted && (a_count || b_count)) {
		bool from_a = a_count && (!b_count || a->pc <= b->pc);
		const struct location *l = from_a ? a : b;
		if (a_count && b_count && a->pc == b->pc)
			b++, b_count--;
		if (from_a)
			a++, a_count--;
		else
			b++, b_count--;
		if (l->is_known)
			make_one(m, l);
	}
	if (!m->scratch.exhausted)
		return 0;
	scratch_release(&m->scratch);
	return -1;
}

void symbol_cache_add(const struct symbols *symbols)
{
	struct making m;
	region_on_shortage(release_now);
	if (make(&m, cache.list, cache.count, symbols->list, symbols->count) &&
	    (symbols->count < cache.count || make(&m, NULL, 0, symbols->list, symbols->count)))
		return;
	drop();
	cache.scratch = m.scratch;
	STORE(&cache.list, m.list);
	cache.count = m.count;
}
