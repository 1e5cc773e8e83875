/*
 * Stacks and sites, append-only.
 *
 * Both kinds of list are pushed at their head with one compare-and-swap.  A push
 * that loses the race looks at what was pushed since its last look before it
 * tries again, so that no stack and no site ever exists twice; what it had
 * written in the arena is then lost, which takes two threads meeting the same
 * new stack in the same microsecond.
 */
#include "stacks.h"

#include <assert.h>
#include <string.h>

#include "control.h"
#include "labelsets.h"
#include "ledger.h"
#include "live.h"
#include "unloads.h"
#include "pagemap.h"

static_assert(offsetof(struct stack, frames) == 40, "region layout");
static_assert(sizeof(struct site) == 56, "region layout");
static_assert(CAPTURE_MAX_FRAMES <= UINT16_MAX, "stack.frame_count");

const char *const origin_names[ORIGIN_COUNT] = {"malloc", "mmap", "thread_stack"};

static uint32_t stack_total, site_total;
static uint64_t labelled_bytes; /* of stacks and sites under labels */

static uint32_t *buckets(void)
{
	return region_at(region_layout.stack_buckets.offset);
}

static size_t bucket_count(void)
{
	return region_layout.stack_buckets.bytes / sizeof(uint32_t);
}

/* ---- ids ---------------------------------------------------------------- */

/* Longer than any chain that was not written over: such a one may be a ring. */
#define MAX_CHAIN 1024

static struct stack no_stack;
static struct site no_site;

/* Whether bytes at this id lie in what the arena has handed out. */
static bool is_in_arena(uint32_t id, size_t bytes)
{
	uint64_t at = (uint64_t)id * 8 - region_layout.arena.offset;
	uint64_t used = LOAD(&region_layout.arena_used);

	return at <= used && bytes <= used - at;
}

struct stack *stack_at(uint32_t id)
{
	struct stack *s = region_at((uint64_t)id * 8);

	if (!is_in_arena(id, sizeof *s) || s->frame_count > CAPTURE_MAX_FRAMES ||
	    !is_in_arena(id, sizeof *s + s->frame_count * sizeof s->frames[0]))
		return &no_stack;
	return s;
}

struct site *site_at(uint32_t id)
{
	return is_in_arena(id, sizeof(struct site)) ? region_at((uint64_t)id * 8) : &no_site;
}

/* n bytes of the arena for what is under these labels; 0: not to be had. */
static uint32_t alloc_under(uint32_t labels, size_t n)
{
	uint32_t offset;

	if (!labels)
		return region_alloc(n);
	if (LOAD(&labelled_bytes) + n > region_layout.arena.bytes / 8 * STACKS_LABELLED_EIGHTHS)
		return 0;
	offset = region_alloc(n);
	if (offset)
		ADD(&labelled_bytes, n);
	return offset;
}

/* ---- stacks ----------------------------------------------------------- */

/* What makes a stack this one. */
struct key {
	const struct capture *c;
	uint64_t hash;
	uint32_t unloads, labels;
};

static struct key key_of(const struct capture *c, uint32_t labels)
{
	struct key key = {.c = c, .unloads = unloads_stamp(c->frames, c->count), .labels = labels};
	uint64_t h = c->count | (uint64_t)c->end << 16 | (uint64_t)c->omitted_at << 32;

	h ^= key.unloads * UINT64_C(0xC2B2AE3D27D4EB4F) ^ labels * UINT64_C(0x165667B19E3779F9);
	for (uint32_t i = 0; i < c->count; i++) {
		h = (h ^ c->frames[i]) * UINT64_C(0x9E3779B97F4A7C15);
		h ^= h >> 32;
	}
	key.hash = h;
	return key;
}

/* Equal addresses are not equal code where some was unloaded in between. */
static bool stack_is(const struct stack *s, const struct key *key)
{
	const struct capture *c = key->c;

	return s->hash == key->hash && s->frame_count == c->count && s->end == c->end &&
	       s->omitted_at == c->omitted_at && s->unloads == key->unloads &&
	       s->labels == key->labels &&
	       memcmp(s->frames, c->frames, c->count * sizeof c->frames[0]) == 0;
}

/* Looks from id on, up to but not including `until`. */
static uint32_t stack_find(uint32_t id, uint32_t until, const struct key *key)
{
	for (int left = MAX_CHAIN; id && id != until && left; id = stack_at(id)->next, left--)
		if (stack_is(stack_at(id), key))
			return id;
	return 0;
}

static uint32_t stack_new(const struct key *key)
{
	const struct capture *c = key->c;
	size_t frame_bytes = c->count * sizeof c->frames[0];
	uint32_t offset = alloc_under(key->labels, sizeof(struct stack) + frame_bytes);
	struct stack *s = region_at(offset);

	if (!offset)
		return 0;
	s->hash = key->hash;
	s->frame_count = (uint16_t)c->count;
	s->end = (uint16_t)c->end;
	s->omitted_at = c->omitted_at;
	s->unloads = key->unloads;
	s->labels = key->labels;
	memcpy(s->frames, c->frames, frame_bytes);
	return offset / 8;
}

static uint32_t stack_intern(const struct key *key)
{
	uint32_t *bucket = &buckets()[key->hash & (bucket_count() - 1)];
	uint32_t head = LOAD_ACQ(bucket);
	uint32_t found = stack_find(head, 0, key);
	uint32_t id;

	if (found)
		return found;
	id = stack_new(key);
	if (!id)
		return 0;
	for (;;) {
		uint32_t seen = head;
		stack_at(id)->next = head;
		if (__atomic_compare_exchange_n(bucket, &head, id, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			break;
		found = stack_find(head, seen, key);
		if (found)
			return found;
	}
	ADD(&stack_total, 1);
	return id;
}

/* ---- sites ------------------------------------------------------------ */

static bool site_is(const struct site *s, uint64_t size, enum origin origin, bool mixed)
{
	return s->size == size && s->origin == (uint32_t)origin && s->mixed == mixed;
}

static uint32_t site_find(uint32_t id, uint32_t until, uint64_t size, enum origin origin,
			  bool mixed)
{
	for (int left = MAX_CHAIN; id && id != until && left; id = site_at(id)->next, left--)
		if (site_is(site_at(id), size, origin, mixed))
			return id;
	return 0;
}

static uint32_t site_new(uint32_t stack, uint64_t size, enum origin origin, bool mixed)
{
	uint32_t offset = alloc_under(stack_at(stack)->labels, sizeof(struct site));
	struct site *s = region_at(offset);

	if (!offset)
		return 0;
	s->stack = stack;
	s->size = size;
	s->origin = origin;
	s->mixed = mixed;
	return offset / 8;
}

/* Pushes a new site unless another thread just did; head is what was looked through. */
static uint32_t site_push(uint32_t stack, uint32_t head, uint64_t size, enum origin origin,
			  bool mixed)
{
	uint32_t *first = &stack_at(stack)->first_site;
	uint32_t id = site_new(stack, size, origin, mixed);

	while (id) {
		uint32_t seen = head, found;
		site_at(id)->next = head;
		if (__atomic_compare_exchange_n(first, &head, id, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE)) {
			ADD(&stack_at(stack)->site_count, 1);
			ADD(&site_total, 1);
			break;
		}
		found = site_find(head, seen, size, origin, mixed);
		if (found)
			return found;
	}
	return id;
}

/*
 * The bound on sizes is a bound on the length of this walk; threads that race for
 * the last place may all get one, which costs nothing.
 */
static uint32_t site_under(uint32_t labels, const struct capture *c, uint64_t size,
			   enum origin origin)
{
	struct key key = key_of(c, labels);
	uint32_t stack = stack_intern(&key);
	uint32_t head, found;

	if (!stack)
		return 0;
	head = LOAD_ACQ(&stack_at(stack)->first_site);
	found = site_find(head, 0, size, origin, false);
	if (found)
		return found;
	if (LOAD(&stack_at(stack)->site_count) < STACK_MAX_SIZES)
		return site_push(stack, head, size, origin, false);
	found = site_find(head, 0, 0, origin, true);
	return found ? found : site_push(stack, head, 0, origin, true);
}

uint32_t stacks_site(const struct capture *c, uint64_t size, enum origin origin)
{
	uint32_t site = site_under(c->labels, c, size, origin);

	if (likely(site) || !c->labels)
		return site;
	labelsets_count_dropped();
	return site_under(0, c, size, origin);
}

void site_add_alloc(struct site *s, struct weight w)
{
	ADD(&s->alloc_objects_fx, w.objects_fx);
	ADD(&s->alloc_bytes_fx, w.bytes_fx);
}

/* Released, so that who reads this free also sees the allocation it belongs to. */
void site_add_free(struct site *s, struct weight w)
{
	__atomic_fetch_add(&s->free_objects_fx, w.objects_fx, __ATOMIC_RELEASE);
	__atomic_fetch_add(&s->free_bytes_fx, w.bytes_fx, __ATOMIC_RELEASE);
}

uint32_t stacks_count(void)
{
	return LOAD(&stack_total);
}

uint32_t stacks_site_count(void)
{
	return LOAD(&site_total);
}

/* ---- snapshots -------------------------------------------------------- */

static int64_t rounded(uint64_t fixed, int bits)
{
	return ((int64_t)fixed + (1 << (bits - 1))) >> bits;
}

static bool tally_is_zero(const struct tally *t)
{
	return !(t->alloc_objects | t->alloc_bytes | t->inuse_objects | t->inuse_bytes);
}

/*
 * Frees are read first: each belongs to an allocation that the later read sees,
 * so that in use is never negative.
 */
static struct tally tally_read(uint32_t id)
{
	struct site *s = site_at(id);
	uint64_t free_bytes = LOAD_ACQ(&s->free_bytes_fx);
	uint64_t free_objects = LOAD_ACQ(&s->free_objects_fx);
	uint64_t alloc_objects = LOAD(&s->alloc_objects_fx);
	uint64_t alloc_bytes = LOAD(&s->alloc_bytes_fx);

	return (struct tally){.site = id,
			      .alloc_objects = rounded(alloc_objects, WEIGHT_OBJECT_BITS),
			      .alloc_bytes = rounded(alloc_bytes, WEIGHT_BYTE_BITS),
			      .inuse_objects =
				      rounded(alloc_objects - free_objects, WEIGHT_OBJECT_BITS),
			      .inuse_bytes = rounded(alloc_bytes - free_bytes, WEIGHT_BYTE_BITS)};
}

/* The sites of one stack; *left: how many steps there can be yet, were nothing a ring. */
static void snapshot_add(struct snapshot *out, uint32_t stack, size_t room, bool figures,
			 size_t *left)
{
	for (uint32_t id = LOAD_ACQ(&stack_at(stack)->first_site); id && out->count < room && *left;
	     id = site_at(id)->next, --*left) {
		struct tally t = figures ? tally_read(id) : (struct tally){.site = id};
		if (!figures || !tally_is_zero(&t))
			out->tallies[out->count++] = t;
	}
}

/* Every site into out->tallies, with its figures or, for a view by age, without. */
static void snapshot_fill(struct snapshot *out, size_t room, bool figures)
{
	size_t left = room + stacks_count() + MAX_CHAIN;

	for (size_t b = 0; b < bucket_count(); b++)
		for (uint32_t stack = LOAD_ACQ(&buckets()[b]); stack && left;
		     stack = stack_at(stack)->next, left--)
			snapshot_add(out, stack, room, figures, &left);
}

static void totals_add(struct stacks_totals *sum, uint32_t id)
{
	struct tally t = tally_read(id);
	uint32_t origin = site_at(id)->origin;

	if (origin < ORIGIN_COUNT) {
		sum->bytes[origin] += (uint64_t)t.inuse_bytes;
		sum->objects[origin] += (uint64_t)t.inuse_objects;
	}
}

struct stacks_totals stacks_totals(void)
{
	struct stacks_totals sum = {0};
	size_t left = (size_t)stacks_count() + stacks_site_count() + MAX_CHAIN;

	for (size_t b = 0; b < bucket_count(); b++)
		for (uint32_t stack = LOAD_ACQ(&buckets()[b]); stack && left;
		     stack = stack_at(stack)->next, left--)
			for (uint32_t id = LOAD_ACQ(&stack_at(stack)->first_site); id && left;
			     id = site_at(id)->next, left--)
				totals_add(&sum, id);
	return sum;
}

static void snapshot_drop_zeros(struct snapshot *out)
{
	size_t kept = 0;

	for (size_t i = 0; i < out->count; i++)
		if (!tally_is_zero(&out->tallies[i]))
			out->tallies[kept++] = out->tallies[i];
	out->count = kept;
}

/* From a site to its tally: open addressing, at most half full. */
struct tally_index {
	struct tally *tallies;
	uint32_t *slots; /* index into tallies plus one */
	uint32_t mask;
};

static uint32_t *tally_slot(const struct tally_index *index, uint32_t site)
{
	uint32_t at = site * 2654435769u;

	for (at ^= at >> 16;; at++) {
		uint32_t *slot = &index->slots[at & index->mask];
		if (!*slot || index->tallies[*slot - 1].site == site)
			return slot;
	}
}

static int tally_index_build(struct tally_index *index, struct scratch *scratch,
			     struct tally *tallies, size_t count)
{
	size_t slots = 16;

	while (slots < 2 * count)
		slots *= 2;
	index->tallies = tallies;
	index->mask = (uint32_t)(slots - 1);
	index->slots = scratch_alloc(scratch, slots * sizeof *index->slots);
	if (!index->slots)
		return -1;
	for (size_t i = 0; i < count; i++)
		*tally_slot(index, tallies[i].site) = (uint32_t)i + 1;
	return 0;
}

struct age_view {
	struct tally_index index;
	uint64_t now_ns, min_age_ns;
};

/* A tick is when something was made, rounded down; its age counts from the end of the tick. */
static void age_view_add(const struct age_view *view, uint32_t site, uint32_t tick, struct weight w)
{
	uint64_t made_ns = region_layout.start_monotonic_ns + (tick + UINT64_C(1)) * LIVE_TICK_NS;
	uint32_t slot;

	if (made_ns > view->now_ns || view->now_ns - made_ns < view->min_age_ns)
		return;
	slot = *tally_slot(&view->index, site);
	if (slot) {
		view->index.tallies[slot - 1].inuse_objects += (int64_t)w.objects_fx;
		view->index.tallies[slot - 1].inuse_bytes += (int64_t)w.bytes_fx;
	}
}

static void age_view_add_block(const struct live_block *block, void *arg)
{
	age_view_add(arg, block->site, block->tick, sample_weight(block->size, block->interval));
}

/*
 * What a range holds.  Of a thread's stack that is what has been touched: its 8 MiB
 * are address space, and nobody's leak.
 */
static uint64_t range_bytes(const struct ledger_range *r)
{
	uint64_t touched;

	if (r->kind != LEDGER_THREAD_STACK)
		return r->end - r->start;
	touched = pagemap_resident_bytes(r->start, r->end);
	return touched == UNKNOWN ? 0 : touched;
}

/* A mapping's pieces are as old as each is; the object goes with the piece that stands for it. */
static int age_view_add_ranges(const struct age_view *view, struct scratch *scratch)
{
	struct ledger_range *list;
	long count = ledger_copy(scratch, &list);

	for (long i = 0; i < count; i++) {
		const struct ledger_range *r = &list[i];
		uint64_t objects = r->flags & LEDGER_HEAD ? 1 : 0;
		if (ledger_is_counted(r))
			age_view_add(view, r->site, r->tick,
				     (struct weight){objects << WEIGHT_OBJECT_BITS,
						     range_bytes(r) << WEIGHT_BYTE_BITS});
	}
	return count < 0 ? -1 : 0;
}

static int snapshot_by_age(struct scratch *scratch, uint64_t min_age_ns, struct snapshot *out)
{
	struct age_view view = {.now_ns = out->time_ns, .min_age_ns = min_age_ns};

	if (tally_index_build(&view.index, scratch, out->tallies, out->count))
		return -1;
	live_each(age_view_add_block, &view);
	if (age_view_add_ranges(&view, scratch))
		return -1;
	for (size_t i = 0; i < out->count; i++) {
		struct tally *t = &out->tallies[i];
		t->inuse_objects = rounded((uint64_t)t->inuse_objects, WEIGHT_OBJECT_BITS);
		t->inuse_bytes = rounded((uint64_t)t->inuse_bytes, WEIGHT_BYTE_BITS);
		t->alloc_objects = t->inuse_objects;
		t->alloc_bytes = t->inuse_bytes;
	}
	snapshot_drop_zeros(out);
	return 0;
}

static bool is_of_threads(const struct tally *t)
{
	return site_at(t->site)->origin == ORIGIN_THREAD_STACK;
}

/* Threads' stacks in use by what they hold now. */
static int snapshot_measure_stacks(struct scratch *scratch, struct snapshot *out)
{
	struct tally_index index;
	struct ledger_range *list;
	size_t stacks = 0;
	long count;

	for (size_t i = 0; i < out->count; i++)
		if (is_of_threads(&out->tallies[i])) {
			out->tallies[i].inuse_bytes = 0;
			stacks++;
		}
	if (!stacks)
		return 0;
	count = ledger_copy(scratch, &list);
	if (count < 0 || tally_index_build(&index, scratch, out->tallies, out->count))
		return -1;
	for (long i = 0; i < count; i++) {
		const struct ledger_range *r = &list[i];
		uint32_t slot = 0;
		if (r->kind == LEDGER_THREAD_STACK && ledger_is_counted(r))
			slot = *tally_slot(&index, r->site);
		if (slot)
			out->tallies[slot - 1].inuse_bytes += (int64_t)range_bytes(r);
	}
	return 0;
}

int stacks_snapshot(struct scratch *scratch, uint64_t min_age_ns, struct snapshot *out)
{
	/* Sites made while we read may be missed: they are younger than the snapshot. */
	size_t room = (size_t)stacks_site_count() + 64;

	*out = (struct snapshot){.time_ns = control_monotonic_ns()};
	out->tallies = scratch_alloc(scratch, room * sizeof *out->tallies);
	if (!out->tallies)
		return -1;
	snapshot_fill(out, room, min_age_ns == 0);
	return min_age_ns ? snapshot_by_age(scratch, min_age_ns, out)
			  : snapshot_measure_stacks(scratch, out);
}

int stacks_difference(struct scratch *scratch, const struct snapshot *before,
		      const struct snapshot *after, struct snapshot *out)
{
	struct tally_index index;

	*out = (struct snapshot){.time_ns = after->time_ns, .count = after->count};
	out->tallies =
		scratch_alloc(scratch, (after->count + before->count) * sizeof *out->tallies);
	if (!out->tallies)
		return -1;
	memcpy(out->tallies, after->tallies, after->count * sizeof *out->tallies);
	if (tally_index_build(&index, scratch, out->tallies, out->count))
		return -1;
	for (size_t i = 0; i < before->count; i++) {
		const struct tally *b = &before->tallies[i];
		uint32_t slot = *tally_slot(&index, b->site);
		struct tally *t = &out->tallies[slot ? slot - 1 : out->count++];
		t->site = b->site;
		t->alloc_objects -= b->alloc_objects;
		t->alloc_bytes -= b->alloc_bytes;
		t->inuse_objects -= b->inuse_objects;
		t->inuse_bytes -= b->inuse_bytes;
	}
	snapshot_drop_zeros(out);
	return 0;
}
