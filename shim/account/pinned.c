/* See pinned.h. */
#include "account/pinned.h"

#include <math.h>
#include <string.h>

#include "record/stacks.h"
#include "account/slabholders.h"

/* From so few samples, or with a larger standard error, an estimate is not enough. */
#define FEW_SAMPLES  100
#define ENOUGH_ERROR 0.1

/* From so many of a size, those that hold memory say who does; below, who has such blocks. */
#define ENOUGH_OF_A_SIZE 5

const char *const pinned_method_names[] = {NULL, "samples", "sizes"};

/* What the samples of one class say, among those that the walk came upon. */
struct class_samples {
	double blocks, block_variance; /* in use */
	double stuck, holding;         /* held by them, and how many hold */
	double blocks_squares, stuck_squares;
	uint32_t count, count_holding; /* samples */
};

struct estimate {
	const struct holders *holders;
	struct heapwalk walk; /* classes NULL: none */
	struct class_samples *classes;
	struct sort_item *items; /* key: site and class; value: in holders->list */
	size_t count;            /* those in glibc's heaps */
};

/* ---- by samples --------------------------------------------------------- */

static void add_sample(struct pinned_site *s, const struct holder *h)
{
	double stuck = h->stuck;
	if (h->stuck == 0)
		return;
	s->bytes += h->weight * stuck;
	s->variance += h->weight * (h->weight - 1) * stuck * stuck;
	s->blocks += h->weight;
	s->block_bytes += h->weight * (double)h->size;
}

struct totals {
	struct pinned_site sum;
	size_t holding; /* samples */
	bool is_exact;  /* each block is a sample */
};

static struct totals totals_of(const struct estimate *e)
{
	struct totals t = {.is_exact = true};
	for (size_t i = 0; i < e->count; i++) {
		const struct holder *h = &e->holders->list[e->items[i].value];
		add_sample(&t.sum, h);
		t.holding += h->stuck > 0;
		t.is_exact &= h->weight <= 1;
	}
	return t;
}

static bool is_certain(const struct totals *t, uint64_t pinned_bytes)
{
	double error = sqrt(t->sum.variance), most = ENOUGH_ERROR * (double)pinned_bytes;
	return t->is_exact || (t->holding >= FEW_SAMPLES && error <= most);
}

/* ---- by sizes ----------------------------------------------------------- */

static int sum_classes(struct estimate *e, struct scratch *scratch)
{
	e->classes = scratch_alloc(scratch, HOLDER_CLASSES * sizeof(*e->classes));
	if (!e->classes)
		return -1;
	for (size_t i = 0; i < e->count; i++) {
		const struct holder *h = &e->holders->list[e->items[i].value];
		struct class_samples *c = &e->classes[h->class];
		if (!h->is_walked)
			continue;
		c->blocks += h->weight;
		c->block_variance += h->weight * (h->weight - 1);
		c->blocks_squares += h->weight * h->weight;
		c->count++;
		if (h->stuck) {
			c->stuck += h->weight * h->stuck;
			c->stuck_squares += h->weight * h->stuck * h->weight * h->stuck;
			c->holding += h->weight;
			c->count_holding++;
		}
	}
	return 0;
}

/* The part of a class that the sampled blocks stand for: at most, so the error is added. */
static double known_part(const struct class_samples *c, const struct heapwalk_class *walked)
{
	double most = c->blocks + 3 * sqrt(c->block_variance);
	return most < (double)walked->in_use ? most / (double)walked->in_use : 1;
}

/* How many equal samples would be as certain: those that hold more count for more. */
static double equal_samples(const struct class_samples *c, bool by_holding)
{
	return by_holding ? c->stuck * c->stuck / c->stuck_squares
			  : c->blocks * c->blocks / c->blocks_squares;
}

/* One site's samples of one class. */
struct group {
	double blocks, bytes, stuck, holding; /* weighted */
};

static void add_group(struct pinned_site *s, const struct estimate *e, uint16_t class,
		      const struct group *g)
{
	const struct class_samples *c = &e->classes[class];
	const struct heapwalk_class *walked = &e->walk.classes[class];
	bool by_holding = c->count_holding >= ENOUGH_OF_A_SIZE;
	if (g->blocks == 0 || walked->stuck_bytes == 0)
		return;
	double of = known_part(c, walked), samples = equal_samples(c, by_holding);
	double share = by_holding ? g->stuck / c->stuck : g->blocks / c->blocks;
	double blocks_share = by_holding ? g->holding / c->holding : share;
	double bytes = of * (double)walked->stuck_bytes;
	/* Agresti and Coull: one sample of one does not make it certain. */
	double likely_share = (samples * share + 1) / (samples + 2);
	double unseen = 1 - (double)c->count / c->blocks;
	s->bytes += share * bytes;
	s->variance += bytes * bytes * likely_share * (1 - likely_share) / samples * unseen;
	s->blocks += of * blocks_share * (double)walked->holding;
	s->block_bytes += of * blocks_share * (double)walked->holding * g->bytes / g->blocks;
}

/* ---- by site ------------------------------------------------------------ */

static uint64_t key_of(const struct holder *h)
{
	return (uint64_t)h->site << 16 | h->class;
}

static int sort_by_site(struct estimate *e, struct scratch *scratch)
{
	e->items = scratch_alloc(scratch, (e->holders->count + 1) * sizeof(*e->items));
	for (size_t i = 0; e->items && i < e->holders->count; i++)
		if (e->holders->list[i].is_in_heap)
			e->items[e->count++] =
				(struct sort_item){.key = key_of(&e->holders->list[i]), .value = i};
	if (e->items)
		sort_items(e->items, e->count);
	return e->items ? 0 : -1;
}

static bool is_by_sample(const struct estimate *e, const struct holder *h)
{
	return !e->classes || !h->is_walked;
}

/* Adds the samples of one site and class from i on. Returns the index behind them. */
static size_t add_key(const struct estimate *e, size_t i, struct pinned_site *s)
{
	uint64_t key = e->items[i].key;
	struct group g = {0};
	for (; i < e->count && e->items[i].key == key; i++) {
		const struct holder *h = &e->holders->list[e->items[i].value];
		if (is_by_sample(e, h)) {
			add_sample(s, h);
			continue;
		}
		g.blocks += h->weight;
		g.bytes += h->weight * (double)h->size;
		g.stuck += h->weight * h->stuck;
		g.holding += h->stuck ? h->weight : 0;
	}
	if (e->classes)
		add_group(s, e, (uint16_t)key, &g);
	return i;
}

static size_t sum_sites(const struct estimate *e, struct pinned_site *list)
{
	size_t count = 0;
	for (size_t i = 0; i < e->count;) {
		uint32_t site = (uint32_t)(e->items[i].key >> 16);
		struct pinned_site s = {
			.site = site, .stack = site_at(site)->stack, .born = site_at(site)->born};
		while (i < e->count && e->items[i].key >> 16 == site)
			i = add_key(e, i, &s);
		if (s.bytes > 0)
			list[count++] = s;
	}
	return count;
}

/* What a walk counted is certain in sum; only who has which part of it is not. */
static double variance_of_sum(const struct estimate *e)
{
	struct pinned_site sum = {0};
	for (size_t i = 0; i < e->count; i++) {
		const struct holder *h = &e->holders->list[e->items[i].value];
		if (is_by_sample(e, h))
			add_sample(&sum, h);
	}
	return sum.variance;
}

static size_t count_sites(const struct estimate *e)
{
	size_t count = 0;
	for (size_t i = 0; i < e->count; i++)
		count += i == 0 || e->items[i].key >> 16 != e->items[i - 1].key >> 16;
	return count;
}

/* Those that pin most, a stack's together. items has room for count. */
static void take_largest(struct pinned *out, const struct pinned_site *list, size_t count,
			 struct sort_item *items)
{
	size_t most = count < PINNED_SITES ? count : PINNED_SITES;
	for (size_t i = 0; i < count; i++)
		items[i] =
			(struct sort_item){.key = UINT64_MAX - (uint64_t)list[i].bytes, .value = i};
	sort_items(items, count);
	for (size_t i = 0; i < most; i++)
		items[i].key = list[items[i].value].stack;
	sort_items(items, most);
	for (out->count = 0; out->count < most; out->count++)
		out->sites[out->count] = list[items[out->count].value];
}

static int report(struct estimate *e, struct scratch *scratch, struct pinned *out)
{
	struct pinned_site *list = scratch_alloc(scratch, (count_sites(e) + 1) * sizeof(*list));
	if (!list)
		return -1;
	size_t count = sum_sites(e, list);
	for (size_t i = 0; i < count; i++) {
		out->sum.bytes += list[i].bytes;
		out->sum.blocks += list[i].blocks;
		out->sum.block_bytes += list[i].block_bytes;
	}
	out->sum.variance = variance_of_sum(e);
	take_largest(out, list, count, e->items);
	out->method = e->classes ? PINNED_BY_SIZES : PINNED_BY_SAMPLES;
	return 0;
}

/* ---- the whole ---------------------------------------------------------- */

struct walkable {
	struct scratch *scratch;
	const struct pinned_places *places;
	struct holders holders;
	bool was_asked; /* what each block holds is known */
};

static void look(struct walkable *w)
{
	if (w->places->bins) {
		w->was_asked = slabholders_look(&w->holders, w->places->bins) == 0;
		return;
	}
	w->was_asked = true;
	holders_look(&w->holders, w->places->heaps);
}

static int count_classes(struct walkable *w, struct heapwalk *out)
{
	if (w->places->bins)
		return slabholders_count(w->scratch, w->places->bins, &w->holders, w->was_asked,
					 out);
	return heapwalk_run(w->scratch, w->places->heaps, &w->holders, out);
}

static int walk(struct estimate *e, struct walkable *w, struct pinned *out)
{
	if (e->walk.classes)
		return 0;
	if (count_classes(w, &e->walk))
		return -1;
	out->walked_chunks = e->walk.chunks;
	out->kept = e->walk.kept;
	out->is_partial |= e->walk.was_cut;
	return 0;
}

static int estimate(struct walkable *w, uint64_t pinned_bytes, struct pinned *out)
{
	struct estimate e = {.holders = &w->holders};
	if (sort_by_site(&e, w->scratch) || (pinned_bytes == UNKNOWN && walk(&e, w, out)))
		return -1;
	if (pinned_bytes == UNKNOWN)
		pinned_bytes = e.walk.stuck_bytes;
	struct totals t = totals_of(&e);
	bool is_enough = w->was_asked && is_certain(&t, pinned_bytes);
	if (!is_enough && (walk(&e, w, out) || sum_classes(&e, w->scratch)))
		return -1;
	return report(&e, w->scratch, out);
}

int pinned_read(struct scratch *scratch, const struct pinned_places *places, uint64_t pinned_bytes,
		struct pinned *out)
{
	struct walkable w = {.scratch = scratch, .places = places};
	memset(out, 0, sizeof(*out));
	out->kept = (struct glibckept){UNKNOWN, UNKNOWN, UNKNOWN};
	if (holders_collect(scratch, &w.holders))
		return -1;
	look(&w);
	out->is_partial = w.holders.was_cut;
	if (w.holders.was_cut) /* what was read is not representative */
		return 0;
	return estimate(&w, pinned_bytes, out);
}

void pinned_check_sites(struct pinned *pinned)
{
	for (size_t i = 0; i < pinned->count; i++) {
		struct pinned_site *s = &pinned->sites[i];
		if (s->site && site_at(s->site)->born != s->born)
			s->site = 0;
	}
}

/* ---- stacks ------------------------------------------------------------- */

static void add_site(struct pinned_site *sum, const struct pinned_site *s)
{
	if (!sum->site || s->bytes > sum->bytes) {
		sum->site = s->site;
		sum->stack = s->stack;
	}
	sum->bytes += s->bytes;
	sum->variance += s->variance;
	sum->blocks += s->blocks;
	sum->block_bytes += s->block_bytes;
}

static size_t insert(struct pinned_site out[PINNED_TOP], size_t count, const struct pinned_site *s)
{
	size_t at = count < PINNED_TOP ? count : PINNED_TOP - 1;
	if (count == PINNED_TOP && out[at].bytes >= s->bytes)
		return count;
	for (; at > 0 && out[at - 1].bytes < s->bytes; at--)
		out[at] = out[at - 1];
	out[at] = *s;
	return count < PINNED_TOP ? count + 1 : count;
}

size_t pinned_top(const struct pinned *pinned, struct pinned_site out[PINNED_TOP])
{
	size_t count = 0;
	for (size_t i = 0; i < pinned->count;) {
		struct pinned_site sum = {0};
		uint32_t stack = pinned->sites[i].stack;
		for (; i < pinned->count && pinned->sites[i].stack == stack; i++)
			if (pinned->sites[i].site)
				add_site(&sum, &pinned->sites[i]);
		if (sum.site)
			count = insert(out, count, &sum);
	}
	return count;
}
