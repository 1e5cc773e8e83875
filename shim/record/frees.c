/*
 * See frees.h. A table beside the arena has a word for each of its places, the id of the record of
 * the site there, so that a hook finds it by arithmetic. The first to capture a free puts it there.
 *
 * What kinds freed is counted apart from what stacks did. A site may have more freeing stacks than
 * its record has places; one that is not there takes the place of the least with the chance that
 * it is more, so that those that free most are kept.
 */
#include "record/frees.h"

#include <assert.h>

#include "base/pagemap.h"
#include "region/cells.h"
#include "record/freer.h"
#include "record/parts.h"

const char *const freed_by_names[FREED_BY_COUNT] = {"finalizer", "cleanup", "go", "c"};

/* Objects have 8 fraction bits and bytes none, so that they fit for as long as a process lives. */
struct sum {
	uint64_t objects, bytes;
};
#define SUM_SHIFT_OBJECTS (WEIGHT_OBJECT_BITS - 8)
#define SUM_SHIFT_BYTES   WEIGHT_BYTE_BITS

struct frees {
	uint32_t site;
	uint32_t stacks[FREES_STACKS]; /* id, with the kind in its low bits; 0: none */
	struct sum kinds[FREED_BY_ALL];
	struct sum by_stack[FREES_STACKS];
};
static_assert(sizeof(struct frees) <= 192, "what a record costs");

/* Ids of cells have these bits zero. */
#define KIND_BITS UINT32_C(7)
static_assert(CELLS_UNIT / 8 == KIND_BITS + 1 && FREED_BY_ALL <= KIND_BITS, "room for the kind");

uint32_t frees_doublings;

__thread struct frees_thread frees_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

static struct frees_counters counters;

/* ---- which frees ----------------------------------------------------------- */

/* splitmix64, as in sample.c. */
static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint64_t draw(struct frees_thread *t)
{
	static uint64_t seeded;

	if (!t->rng)
		t->rng = mix(sample_self.rng ^ (uint64_t)(uintptr_t)t) + ADD(&seeded, 1);
	t->rng += UINT64_C(0x9e3779b97f4a7c15);
	return mix(t->rng);
}

static uint32_t one_in_now(void)
{
	return FREES_ONE_IN << LOAD(&frees_doublings);
}

/* Begins a run after what is left of the last one. */
static void begin_run(struct frees_thread *t)
{
	uint32_t one_in = one_in_now(), before = (uint32_t)draw(t) & (one_in - 1);

	STORE(&t->left, t->after + before);
	t->one_in = one_in;
	t->after = one_in - 1 - before;
}

/* First frees that may still be captured; otherwise many sites, each met a few times, would cost
 * as much as if all frees were. */
static uint32_t spare = FREES_SPARE;

static bool has_spare(void)
{
	uint32_t n = LOAD(&spare);

	while (n && !__atomic_compare_exchange_n(&spare, &n, n - 1, true, __ATOMIC_RELAXED,
						 __ATOMIC_RELAXED))
		;
	return n;
}

/* A run may be of fewer frees than another, so each capture counts for those of its own. */
static uint32_t take_from_run(struct frees_thread *t)
{
	uint32_t one_in;

	if (unlikely(!t->one_in))
		begin_run(t);
	if (LOAD(&t->left)) {
		STORE(&t->left, LOAD(&t->left) - 1);
		return 0;
	}
	one_in = t->one_in;
	begin_run(t);
	if (LOAD(&spare) < FREES_SPARE)
		ADD(&spare, 1);
	return one_in;
}

uint32_t frees_decide(struct site *site)
{
	uint8_t seen = LOAD(&site->frees_seen);

	if (seen < FREES_FIRST >> LOAD(&frees_doublings) && has_spare()) {
		STORE(&site->frees_seen, (uint8_t)(seen + 1));
		return 1;
	}
	return take_from_run(&frees_self);
}

/* ---- records --------------------------------------------------------------- */

/* The word of a site's place. */
static uint32_t *word_of(uint32_t site)
{
	uint64_t at = ((uint64_t)site * 8 - region_layout.arena.offset) / CELLS_UNIT;

	return (uint32_t *)region_at(region_layout.frees.offset) + at;
}

/* NULL: the site has none, or an id is damaged. */
static struct frees *frees_at(uint32_t id, uint32_t site)
{
	struct frees *f = region_at((uint64_t)id * 8);

	return cells_is(id, CELL_FREES, sizeof(*f)) && f->site == site ? f : NULL;
}

static struct frees *find(uint32_t site)
{
	return site_is_there(site) ? frees_at(LOAD_ACQ(word_of(site)), site) : NULL;
}

static struct frees *find_or_make(uint32_t site)
{
	uint32_t *word, none = 0, id;

	if (!site_is_there(site))
		return NULL;
	word = word_of(site);
	if (LOAD_ACQ(word))
		return frees_at(LOAD_ACQ(word), site);
	id = parts_take(PART_FREES, CELL_FREES, sizeof(struct frees), CELLS_WHOLE);
	if (!id)
		return NULL;
	STORE((uint32_t *)region_at((uint64_t)id * 8), site);
	if (__atomic_compare_exchange_n(word, &none, id, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE)) {
		ADD(&counters.sites, 1);
		return frees_at(id, site);
	}
	parts_give(PART_FREES, id, sizeof(struct frees));
	return frees_at(none, site);
}

/* ---- counting -------------------------------------------------------------- */

static struct sum sum_of(struct weight w, uint32_t count)
{
	return (struct sum){w.objects_fx * count >> SUM_SHIFT_OBJECTS,
			    (w.bytes_fx >> SUM_SHIFT_BYTES) * count};
}

static void add(struct sum *to, struct sum n)
{
	ADD(&to->objects, n.objects);
	ADD(&to->bytes, n.bytes);
}

/* The stack's place in the record, or the first one that is free; FREES_STACKS: neither. */
static uint32_t place_of(const struct frees *f, uint32_t stack)
{
	uint32_t i = 0, have;

	for (; i < FREES_STACKS && (have = LOAD(&f->stacks[i])); i++)
		if ((have & ~KIND_BITS) == stack)
			break;
	return i;
}

static uint32_t least_place(const struct frees *f)
{
	uint32_t least = 0;

	for (uint32_t i = 1; i < FREES_STACKS; i++)
		if (LOAD(&f->by_stack[i].bytes) < LOAD(&f->by_stack[least].bytes))
			least = i;
	return least;
}

/* With the chance that what this one frees is more than what the least did. */
static uint32_t place_by_chance(const struct frees *f, struct sum n)
{
	uint32_t least = least_place(f);
	uint64_t bytes = LOAD(&f->by_stack[least].bytes) + n.bytes;

	return bytes && draw(&frees_self) % bytes < n.bytes ? least : FREES_STACKS;
}

/* Threads that change a place at once may each count there: a stack then shows too much, but never
 * a kind. */
static void put(struct frees *f, uint32_t place, uint32_t stack, enum freed_by kind, struct sum n)
{
	uint32_t have = LOAD(&f->stacks[place]), word = stack | kind;

	if (have == word)
		return add(&f->by_stack[place], n);
	if (have) {
		STORE(&f->by_stack[place].objects, n.objects);
		STORE(&f->by_stack[place].bytes, n.bytes);
		STORE_REL(&f->stacks[place], word);
	} else if (__atomic_compare_exchange_n(&f->stacks[place], &have, word, false,
					       __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
		add(&f->by_stack[place], n);
	}
}

static enum freed_by kind_at(const struct frees *f, uint32_t place, uint32_t stack)
{
	uint32_t have = place < FREES_STACKS ? LOAD(&f->stacks[place]) : 0;
	const struct stack *s;

	if (have && (have & ~KIND_BITS) == stack)
		return (enum freed_by)(have & KIND_BITS);
	s = stack_at(stack);
	return freer_kind(s->frames, s->frame_count, s->end);
}

static void count_by_stack(struct frees *f, struct sum n, const struct capture *c)
{
	bool has_place = place_of(f, 0) < FREES_STACKS;
	uint32_t stack = stacks_freeing(c, has_place), place;
	enum freed_by kind;

	if (!stack) {
		kind = freer_kind(c->frames, c->count, c->end);
		add(&f->kinds[kind], n);
		place = has_place ? FREES_STACKS : place_by_chance(f, n);
		stack = place < FREES_STACKS ? stacks_freeing(c, true) : 0;
		if (stack)
			put(f, place, stack, kind, n);
		else if (has_place)
			ADD(&counters.no_room, 1);
		return;
	}
	place = place_of(f, stack);
	kind = kind_at(f, place, stack);
	add(&f->kinds[kind], n);
	place = place < FREES_STACKS ? place : place_by_chance(f, n);
	if (place < FREES_STACKS)
		put(f, place, stack, kind, n);
}

void frees_add(uint32_t site, struct weight w, uint32_t count, const struct capture *c)
{
	struct frees *f = find_or_make(site);

	ADD(&counters.captured, 1);
	if (likely(f))
		count_by_stack(f, sum_of(w, count), c);
	else
		ADD(&counters.no_room, 1);
}

void frees_count_missed(void)
{
	ADD(&counters.missed, 1);
}

struct frees_counters frees_counters(void)
{
	return (struct frees_counters){.captured = LOAD(&counters.captured),
				       .missed = LOAD(&counters.missed),
				       .no_room = LOAD(&counters.no_room),
				       .sites = LOAD(&counters.sites),
				       .one_in = one_in_now()};
}

/* ---- the server ------------------------------------------------------------ */

void frees_each_stack(uint32_t site, void (*visit)(uint32_t stack))
{
	const struct frees *f = find(site);

	for (uint32_t i = 0; f && i < FREES_STACKS; i++)
		if (LOAD_ACQ(&f->stacks[i]))
			visit(LOAD_ACQ(&f->stacks[i]) & ~KIND_BITS);
}

void frees_forget(uint32_t site)
{
	struct frees *f = find(site);

	if (!f)
		return;
	parts_give(PART_FREES, LOAD(word_of(site)), sizeof(*f));
	STORE(word_of(site), 0);
	__atomic_fetch_sub(&counters.sites, 1, __ATOMIC_RELAXED);
}

static uint64_t scaled(uint64_t n, unsigned shift)
{
	return n >> (64 - shift) ? UINT64_MAX : n << shift;
}

static void read_sum(const struct sum *from, uint64_t *objects_fx, uint64_t *bytes_fx)
{
	*objects_fx = scaled(LOAD(&from->objects), SUM_SHIFT_OBJECTS);
	*bytes_fx = scaled(LOAD(&from->bytes), SUM_SHIFT_BYTES);
}

struct frees_kinds frees_of(uint32_t site)
{
	struct frees_kinds kinds = {0};
	const struct frees *f = find(site);

	if (!f)
		return kinds;
	for (enum freed_by kind = 0; kind < FREED_BY_COUNT; kind++)
		read_sum(&f->kinds[kind], &kinds.objects_fx[kind], &kinds.bytes_fx[kind]);
	read_sum(&f->kinds[FREED_BY_UNKNOWN], &kinds.unknown_objects_fx, &kinds.unknown_bytes_fx);
	return kinds;
}

static uint64_t capped_sum(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

struct frees_kinds frees_of_stack(uint32_t stack)
{
	struct frees_kinds all = {0};
	uint32_t left = STACK_MAX_SIZES + 2 * ORIGIN_COUNT;

	for (uint32_t id = LOAD_ACQ(&stack_at(stack)->first_site); id && left--;
	     id = LOAD(&site_at(id)->next)) {
		struct frees_kinds k = frees_of(id);
		for (enum freed_by kind = 0; kind < FREED_BY_COUNT; kind++) {
			all.objects_fx[kind] = capped_sum(all.objects_fx[kind], k.objects_fx[kind]);
			all.bytes_fx[kind] = capped_sum(all.bytes_fx[kind], k.bytes_fx[kind]);
		}
		all.unknown_objects_fx = capped_sum(all.unknown_objects_fx, k.unknown_objects_fx);
		all.unknown_bytes_fx = capped_sum(all.unknown_bytes_fx, k.unknown_bytes_fx);
	}
	return all;
}

static uint64_t less(uint64_t n, uint64_t part)
{
	return n > part ? n - part : 0;
}

size_t frees_parts(uint32_t site, struct frees_part out[FREES_PARTS])
{
	const struct frees *f = find(site);
	struct frees_part others[FREED_BY_ALL] = {0};
	size_t count = 0;

	for (enum freed_by kind = 0; f && kind < FREED_BY_ALL; kind++) {
		others[kind].kind = kind;
		read_sum(&f->kinds[kind], &others[kind].objects_fx, &others[kind].bytes_fx);
	}
	for (uint32_t i = 0; f && i < FREES_STACKS; i++) {
		uint32_t have = LOAD_ACQ(&f->stacks[i]);
		struct frees_part *p = &out[count], *o = &others[have & KIND_BITS];
		if (!have || (have & KIND_BITS) >= FREED_BY_ALL)
			continue;
		p->stack = have & ~KIND_BITS;
		p->kind = o->kind;
		read_sum(&f->by_stack[i], &p->objects_fx, &p->bytes_fx);
		o->objects_fx = less(o->objects_fx, p->objects_fx);
		o->bytes_fx = less(o->bytes_fx, p->bytes_fx);
		count++;
	}
	for (enum freed_by kind = 0; kind < FREED_BY_ALL; kind++)
		if (others[kind].bytes_fx | others[kind].objects_fx)
			out[count++] = others[kind];
	return count;
}

enum freed_by frees_most(const struct frees_kinds *kinds)
{
	enum freed_by most = FREED_BY_UNKNOWN;
	uint64_t bytes = kinds->unknown_bytes_fx;

	for (enum freed_by kind = 0; kind < FREED_BY_COUNT; kind++)
		if (kinds->bytes_fx[kind] > bytes) {
			most = kind;
			bytes = kinds->bytes_fx[kind];
		}
	return most;
}
