/*
 * What of each cohort lives: see cohorts.h.
 *
 * A block belongs to the cohort that its tick is in, and counts as allocated in the one whose mark
 * first saw it. These may differ next to a mark, because hooks do not stop for it: a mark may see a
 * block whose tick comes after it, and may miss one whose tick comes before. So a share could be
 * above one. Where more lives than was allocated, blocks whose ticks are within a second of the
 * mark go to the neighbour (even_out); if that does not explain it, their age is not known.
 */
#include "record/cohorts.h"

#include <string.h>

#include "base/hash.h"
#include "record/cohorts_table.h"
#include "record/control.h"
#include "record/inuse.h"
#include "record/live.h"

#define NEAR_TICKS (UINT64_C(1000000000) / LIVE_TICK_NS)

/* Ages are counted from the youngest cohort, 0; beyond the oldest one is what has none. */
#define MOST_AGES (COHORTS_MARKS + 1)

/* What lives of a cohort, by where in it. */
enum part {
	WITHIN,
	NEAR_OLDER, /* next to the mark that it begins with */
	NEAR_YOUNGER,
	PARTS
};

/* What lives of a stack in a part of a cohort. */
struct piece {
	uint32_t stack; /* 0: free */
	uint32_t part;  /* age * PARTS + enum part */
	struct weight live;
};

struct reading {
	struct cohorts_table table;
	uint32_t order[COHORTS_MARKS], ticks[COHORTS_MARKS]; /* of the marks, the oldest first */
	uint32_t marks;
	struct piece *pieces; /* by hash, at most half full */
	uint32_t mask, used;
	bool is_full;
};

/* ---- what lives --------------------------------------------------------- */

static struct piece *piece_of(const struct reading *r, uint32_t stack, uint32_t part)
{
	uint32_t at = (uint32_t)(hash_spread((uint64_t)part << 32 | stack) >> 32);

	while (r->pieces[at & r->mask].stack &&
	       (r->pieces[at & r->mask].stack != stack || r->pieces[at & r->mask].part != part))
		at++;
	return &r->pieces[at & r->mask];
}

static uint32_t part_at(const struct reading *r, uint32_t tick)
{
	uint32_t low = 0, high = r->marks;

	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (r->ticks[middle] <= tick)
			low = middle + 1;
		else
			high = middle;
	}
	uint64_t since = low ? tick - r->ticks[low - 1] : UINT64_MAX;
	uint64_t until = low < r->marks ? r->ticks[low] - 1 - tick : UINT64_MAX;
	enum part part = since < NEAR_TICKS && since <= until ? NEAR_OLDER
			 : until < NEAR_TICKS                 ? NEAR_YOUNGER
							      : WITHIN;
	return (r->marks - low) * PARTS + part;
}

static void add_live(uint32_t site, uint32_t tick, struct weight w, void *arg)
{
	struct reading *r = arg;
	uint32_t stack = LOAD(&site_at(site)->stack), part = part_at(r, tick);
	struct piece *p;

	if (!stack || r->is_full)
		return;
	p = piece_of(r, stack, part);
	if (!p->stack) {
		r->is_full = ++r->used > r->mask / 2;
		p->stack = stack;
		p->part = part;
	}
	p->live.objects_fx += w.objects_fx;
	p->live.bytes_fx += w.bytes_fx;
}

/* Again with more room where there was not enough. -1: scratch exhausted. */
static int read_live(struct reading *r, struct scratch *scratch)
{
	uint32_t room = 4096;

	for (r->is_full = true; r->is_full; room *= 4) {
		scratch_release(scratch);
		while (room < 4 * stacks_count())
			room *= 2;
		r->mask = room - 1;
		r->used = 0;
		r->is_full = false;
		r->pieces = scratch_alloc(scratch, room * sizeof(*r->pieces));
		if (!r->pieces || inuse_each(scratch, add_live, r))
			return -1;
	}
	return 0;
}

/* ---- one stack ---------------------------------------------------------- */

/* Of a cohort, in objects or in bytes: fixed point, then rounded. */
struct share {
	uint64_t alloc, live[PARTS];
};

enum { OBJECTS, BYTES, FIGURES };

/* The sites of one stack and origin. */
struct group {
	const struct tally *first;
	uint32_t count;
	uint32_t known; /* the cohorts before this one have known allocations */
	int64_t inuse[FIGURES];
	struct share shares[FIGURES][MOST_AGES + 1]; /* the last one: without an age */
};

static uint64_t live_of(const struct share *s)
{
	return s->live[WITHIN] + s->live[NEAR_OLDER] + s->live[NEAR_YOUNGER];
}

/* What had been allocated by the mark before the cohort of this age. */
static struct cohorts_cell cell_before(const struct reading *r, uint32_t row, uint32_t age)
{
	if (age == r->marks || row == UINT32_MAX)
		return (struct cohorts_cell){0};
	return *cohorts_cell(&r->table, row, r->order[r->marks - 1 - age]);
}

/* The number of cohorts, from the youngest one, whose allocations are known. */
static uint32_t count_known(const struct reading *r, uint32_t row, uint64_t born)
{
	uint32_t since, known = 0;

	if (row == UINT32_MAX)
		return born > r->table.head->latest_born ? r->marks + 1 : 0;
	since = cohorts_row(&r->table, row)->since;
	if (!since)
		return r->marks + 1;
	while (known < r->marks && r->ticks[r->marks - 1 - known] >= since)
		known++;
	return known;
}

static void set_allocated(const struct reading *r, struct group *g)
{
	struct cohorts_totals now = cohorts_totals(g->first->stack);
	uint32_t row = cohorts_find(&r->table, g->first->stack, now.born);
	struct cohorts_cell newer = {now.bytes_fx, now.objects_fx};

	if (stack_is_lasting(stack_at(g->first->stack)))
		return;
	g->known = count_known(r, row, now.born);
	for (uint32_t age = 0; age < g->known; age++) {
		struct cohorts_cell older = cell_before(r, row, age);
		g->shares[OBJECTS][age].alloc = newer.objects_fx - older.objects_fx;
		g->shares[BYTES][age].alloc = newer.bytes_fx - older.bytes_fx;
		newer = older;
	}
}

static void set_live(const struct reading *r, struct group *g)
{
	for (uint32_t part = 0; g->known && part < (r->marks + 1) * PARTS; part++) {
		const struct piece *p = piece_of(r, g->first->stack, part);
		uint32_t age = part / PARTS < g->known ? part / PARTS : MOST_AGES;
		g->shares[OBJECTS][age].live[part % PARTS] += p->live.objects_fx;
		g->shares[BYTES][age].live[part % PARTS] += p->live.bytes_fx;
	}
}

/* Moves what is too much and may belong on the other side of a mark. */
static void move_excess(struct share *from, enum part out, struct share *to, enum part in)
{
	uint64_t live = live_of(from);
	uint64_t n = live > from->alloc ? live - from->alloc : 0;

	if (n > from->live[out])
		n = from->live[out];
	from->live[out] -= n;
	to->live[in] += n;
}

/*
 * First as if marks had seen blocks too early, from the youngest cohort on; what is then still too
 * much, as if they had missed some. The rest loses its age.
 */
static void even_out(struct share *shares, uint32_t known)
{
	struct share *none = &shares[MOST_AGES];

	for (uint32_t age = 0; age + 1 < known; age++)
		move_excess(&shares[age], NEAR_OLDER, &shares[age + 1], NEAR_YOUNGER);
	for (uint32_t age = known; age-- > 1;)
		move_excess(&shares[age], NEAR_YOUNGER, &shares[age - 1], NEAR_OLDER);
	for (uint32_t age = 0; age < known; age++)
		for (enum part part = 0; part < PARTS; part++)
			move_excess(&shares[age], part, none, WITHIN);
}

static void round_share(struct share *s, int bits)
{
	uint64_t half = UINT64_C(1) << (bits - 1);

	s->alloc = (s->alloc + half) >> bits;
	s->live[WITHIN] = (live_of(s) + half) >> bits;
	s->live[NEAR_OLDER] = s->live[NEAR_YOUNGER] = 0;
}

/*
 * Makes what lives add up to what is in use in the snapshot, which was read a moment later. What
 * came or went since is young; a few units are what was rounded.
 */
static void add_up(struct share *shares, const struct group *g, int64_t inuse)
{
	struct share *none = &shares[MOST_AGES];
	int64_t more = inuse - (int64_t)none->live[WITHIN];
	uint32_t oldest = 0;

	for (uint32_t age = 0; age < g->known; age++)
		more -= (int64_t)shares[age].live[WITHIN];
	for (uint32_t age = 0; age < g->known; age++) {
		struct share *s = &shares[age];
		int64_t live = (int64_t)s->live[WITHIN], room = (int64_t)s->alloc - live;
		int64_t n = more > room ? room : more < -live ? -live : more;
		s->live[WITHIN] += (uint64_t)n;
		more -= n;
		oldest = s->live[WITHIN] ? age : oldest;
	}
	if (more > 0 && more <= g->count + g->known && g->known) {
		shares[oldest].live[WITHIN] += (uint64_t)more;
		shares[oldest].alloc += (uint64_t)more;
	} else if (more > 0 || none->live[WITHIN] > (uint64_t)-more) {
		none->live[WITHIN] += (uint64_t)more;
	} else {
		none->live[WITHIN] = 0;
	}
}

static void read_group(const struct reading *r, struct group *g)
{
	static const int bits[FIGURES] = {WEIGHT_OBJECT_BITS, WEIGHT_BYTE_BITS};

	set_allocated(r, g);
	set_live(r, g);
	for (uint32_t f = 0; f < FIGURES; f++) {
		even_out(g->shares[f], g->known);
		for (uint32_t age = 0; age <= MOST_AGES; age++)
			round_share(&g->shares[f][age], bits[f]);
		add_up(g->shares[f], g, g->inuse[f]);
	}
}

/* ---- all of them -------------------------------------------------------- */

/* The tallies of the snapshot from `first` on that are of one stack and origin. */
static void begin_group(struct group *g, const struct snapshot *s, size_t first)
{
	const struct tally *t = &s->tallies[first];

	memset(g, 0, sizeof(*g));
	g->first = t;
	for (; first + g->count < s->count && t->stack == g->first->stack &&
	       site_at(t->site)->origin == site_at(g->first->site)->origin;
	     t++, g->count++) {
		g->inuse[OBJECTS] += t->inuse_objects;
		g->inuse[BYTES] += t->inuse_bytes;
	}
}

static struct tally tally_of(const struct group *g, uint32_t age)
{
	const struct share *objects = &g->shares[OBJECTS][age], *bytes = &g->shares[BYTES][age];

	return (struct tally){.site = g->first->site,
			      .born = g->first->born,
			      .stack = g->first->stack,
			      .age = age + 1,
			      .is_many = g->count > 1,
			      .alloc_objects = (int64_t)objects->alloc,
			      .alloc_bytes = (int64_t)bytes->alloc,
			      .inuse_objects = (int64_t)objects->live[WITHIN],
			      .inuse_bytes = (int64_t)bytes->live[WITHIN]};
}

/* Into out, as far as there is room; NULL: only counts. */
static size_t read_groups(const struct reading *r, const struct snapshot *all, struct tally *out,
			  size_t room)
{
	struct group g;
	size_t count = 0;

	for (size_t i = 0; i < all->count; i += g.count) {
		begin_group(&g, all, i);
		read_group(r, &g);
		for (uint32_t age = 0; age <= MOST_AGES; age++) {
			struct tally t = tally_of(&g, age);
			if (age == MOST_AGES)
				t.age = r->marks + 2;
			if (tally_is_zero(&t))
				continue;
			if (out && count < room)
				out[count] = t;
			count++;
		}
	}
	return count;
}

static void set_bounds(const struct reading *r, struct cohorts *out)
{
	struct cohort newer = {.off_ns = control_get().off_ns};

	out->count = r->marks + 1;
	for (uint32_t age = 0; age < out->count; age++) {
		uint64_t time_ns = region_layout.start_monotonic_ns, off_ns = 0;
		if (age < r->marks) {
			uint32_t at = r->marks - 1 - age;
			time_ns += r->ticks[at] * LIVE_TICK_NS;
			off_ns = r->table.head->marks[r->order[at]].off_ns;
		}
		uint64_t now_ns = out->snapshot.time_ns;
		out->list[age] = (struct cohort){.from_ns = newer.to_ns,
						 .to_ns = now_ns > time_ns ? now_ns - time_ns : 0,
						 .off_ns = newer.off_ns - off_ns};
		newer = (struct cohort){.to_ns = out->list[age].to_ns, .off_ns = off_ns};
	}
}

static void reading_begin(struct reading *r)
{
	*r = (struct reading){.table = cohorts_table()};
	r->marks = cohorts_order(&r->table, r->order);
	for (uint32_t i = 0; i < r->marks; i++)
		r->ticks[i] = r->table.head->marks[r->order[i]].tick;
	cohorts_index(&r->table);
}

/* A stack that goes on allocating may get one more cohort, the youngest, while it is counted. */
static int read_shares(const struct reading *r, struct scratch *scratch, struct cohorts *out)
{
	struct snapshot all;

	if (stacks_snapshot(scratch, 0, &all))
		return -1;
	size_t count = read_groups(r, &all, NULL, 0), room = count + all.count;
	out->snapshot = (struct snapshot){.time_ns = all.time_ns};
	out->snapshot.tallies = scratch_alloc(scratch, room * sizeof(*out->snapshot.tallies));
	if (!out->snapshot.tallies)
		return -1;
	count = read_groups(r, &all, out->snapshot.tallies, room);
	scratch->exhausted |= count > room;
	out->snapshot.count = count < room ? count : room;
	set_bounds(r, out);
	return 0;
}

int cohorts_read(struct scratch *scratch, struct cohorts *out)
{
	struct reading r;
	struct scratch pieces = scratch_part(scratch);

	reading_begin(&r);
	int result = read_live(&r, &pieces) || read_shares(&r, scratch, out) ? -1 : 0;
	scratch_part_end(scratch, &pieces);
	return result;
}
