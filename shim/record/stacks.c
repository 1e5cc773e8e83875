/*
 * Stacks and sites.
 *
 * Lists of stacks and of sites are pushed at their head with one compare-and-swap. A push that
 * loses the race searches what was pushed since its last search before it tries again, so no
 * stack or site is created twice. Only stacks are ever removed, by one thread at a time
 * (stacks_reclaim.c).
 *
 * Whoever loads the head sees the record, and all that its thread had seen: so the sites behind the
 * first one need no order. A stack's link may have changed since, when the next one was removed.
 */
#include "record/stacks.h"

#include <assert.h>
#include <string.h>

#include "region/cells.h"
#include "record/known.h"
#include "record/labelsets.h"
#include "record/parts.h"
#include "record/stack_key.h"

static_assert(offsetof(struct stack, frames) == 40, "region layout");
static_assert(SITE_BYTES == CELLS_UNIT && offsetof(struct site, alloc_bytes_fx) == 32,
	      "region layout");
static_assert(sizeof(struct stack) + CAPTURE_MAX_FRAMES * 8 <= CELLS_MOST_BYTES, "one cell");
static_assert(CAPTURE_MAX_FRAMES <= UINT16_MAX, "stack.frame_count");
static_assert(ORIGIN_COUNT <= 4, "site.born");
static_assert(CELLS_ROUND(sizeof(struct stack) + STACK_KEY_ENDS_FRAMES * sizeof(uint64_t)) >
		      CELLS_ROUND(sizeof(struct stack) + STACK_KEY_ENDS_FEWER * sizeof(uint64_t)),
	      "the first form takes no cells of the second's slabs");

const char *const origin_names[ORIGIN_COUNT] = {"malloc", "mmap", "thread_stack"};

static uint32_t stack_total, site_total;
static uint64_t coarse, born; /* all sites ever created */

static uint32_t *buckets(void)
{
	return region_at(region_layout.stack_buckets.offset);
}

static size_t bucket_count(void)
{
	return region_layout.stack_buckets.bytes / sizeof(uint32_t);
}

/* ---- ids ---------------------------------------------------------------- */

/* Longer than any undamaged chain; a longer one may be a ring. */
#define MAX_CHAIN 1024

static struct stack no_stack;
static struct site no_site;

struct stack *stack_at(uint32_t id)
{
	struct stack *s = region_at((uint64_t)id * 8);
	size_t room = cells_room(id, CELL_STACK);

	if (room < sizeof(*s) || s->frame_count > CAPTURE_MAX_FRAMES ||
	    room < sizeof(*s) + s->frame_count * sizeof(s->frames[0]))
		return &no_stack;
	return s;
}

struct site *site_at_wide(uint32_t id)
{
	return cells_is(id, CELL_WIDE_SITE, sizeof(struct site)) ? region_at((uint64_t)id * 8)
								 : &no_site;
}

bool site_is_there(uint32_t id)
{
	return site_at(id) != &no_site;
}

static enum part part_of(uint32_t labels, bool is_freeing)
{
	return is_freeing ? PART_FREES : labels ? PART_LABELLED : PART_OTHER;
}

/* ---- stacks ----------------------------------------------------------- */

static bool frames_are(const uint64_t *a, const uint64_t *b, uint32_t count)
{
	uint64_t differ = 0;

	for (uint32_t i = 0; i < count; i++)
		differ |= a[i] ^ b[i];
	return !differ;
}

/* Equal addresses are not the same code if code was unloaded in between. */
static bool stack_is(const struct stack *s, const struct stack_key *key)
{
	return s->hash == key->hash && s->frame_count == key->count && s->end == key->end &&
	       s->omitted_at == key->omitted_at && s->unloads == key->unloads &&
	       s->labels == key->labels && frames_are(s->frames, key->frames, key->count);
}

/* Searches from id up to, but not including, `until`. */
static uint32_t stack_find(uint32_t id, uint32_t until, const struct stack_key *key)
{
	for (int left = MAX_CHAIN; id && id != until && left; left--) {
		const struct stack *s = stack_at(id);
		if (stack_is(s, key))
			return id;
		id = LOAD_ACQ(&s->next);
	}
	return 0;
}

static size_t stack_bytes(uint32_t frames)
{
	return sizeof(struct stack) + frames * sizeof(uint64_t);
}

static uint32_t stack_new(const struct stack_key *key)
{
	uint32_t id = parts_take(part_of(key->labels, key->is_freeing), CELL_STACK,
				 stack_bytes(key->count), key->need);
	struct stack *s = region_at((uint64_t)id * 8);

	if (!id)
		return 0;
	STORE(&s->hash, key->hash);
	s->frame_count = (uint16_t)key->count;
	s->end = (uint16_t)key->end;
	s->omitted_at = (uint16_t)key->omitted_at;
	s->is_freeing = key->is_freeing;
	s->unloads = key->unloads;
	s->labels = key->labels;
	memcpy(s->frames, key->frames, key->count * sizeof(key->frames[0]));
	return id;
}

static void stack_give(uint32_t id)
{
	const struct stack *s = stack_at(id);

	parts_give(part_of(s->labels, s->is_freeing), id, stack_bytes(s->frame_count));
}

static uint32_t *bucket_of(const struct stack_key *key)
{
	return &buckets()[key->hash & (bucket_count() - 1)];
}

static uint32_t stack_intern(const struct stack_key *key)
{
	uint32_t *bucket = bucket_of(key);
	uint32_t head = LOAD_ACQ(bucket);
	uint32_t found = stack_find(head, 0, key);

	if (found)
		return found;
	uint32_t id = stack_new(key);
	if (!id)
		return 0;
	for (;;) {
		uint32_t seen = head;
		STORE(&stack_at(id)->next, head);
		if (__atomic_compare_exchange_n(bucket, &head, id, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			break;
		found = stack_find(head, seen, key);
		if (found) {
			stack_give(id);
			return found;
		}
	}
	ADD(&stack_total, 1);
	return id;
}

/* ---- sites ------------------------------------------------------------ */

/* What identifies a site of a stack. */
struct site_key {
	uint64_t size;
	enum origin origin;
	bool mixed;
	enum cells_need need;
};

static bool site_is(const struct site *s, const struct site_key *key)
{
	return s->size == key->size && s->origin == key->origin && s->mixed == key->mixed;
}

static uint32_t site_find(uint32_t id, uint32_t until, const struct site_key *key)
{
	for (int left = MAX_CHAIN; id && id != until && left; left--) {
		const struct site *s = site_at(id);
		if (site_is(s, key))
			return id;
		id = LOAD(&s->next);
	}
	return 0;
}

/* site_block_bytes is not 0. */
static bool site_key_is_of_one_size(const struct site_key *key)
{
	return key->origin == ORIGIN_MALLOC && key->size;
}

static size_t site_bytes(bool is_of_one_size)
{
	return is_of_one_size ? SITE_BYTES : sizeof(struct site);
}

static uint32_t site_new(uint32_t stack, const struct site_key *key)
{
	bool one = site_key_is_of_one_size(key);
	uint32_t id = parts_take(part_of(stack_at(stack)->labels, false),
				 one ? CELL_SITE : CELL_WIDE_SITE, site_bytes(one), key->need);
	struct site *s = region_at((uint64_t)id * 8);

	if (!id)
		return 0;
	STORE(&s->stack, stack);
	s->size = key->size;
	s->origin = (uint8_t)key->origin;
	s->mixed = key->mixed;
	s->born = (ADD(&born, 1) + 1) << 2 | key->origin;
	return id;
}

/* Pushes a new site unless another thread just did; head is where the search began. */
static uint32_t site_push(uint32_t stack, uint32_t head, const struct site_key *key)
{
	uint32_t *first = &stack_at(stack)->first_site;
	uint32_t id = site_new(stack, key);

	while (id) {
		uint32_t seen = head, found;
		STORE(&site_at(id)->next, head);
		if (__atomic_compare_exchange_n(first, &head, id, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE)) {
			ADD(&stack_at(stack)->site_count, 1);
			ADD(&site_total, 1);
			break;
		}
		found = site_find(head, seen, key);
		if (found) {
			parts_give(part_of(stack_at(stack)->labels, false), id,
				   site_bytes(site_key_is_of_one_size(key)));
			return found;
		}
	}
	return id;
}

static uint32_t site_find_or_push(uint32_t stack, const struct site_key *key, uint32_t most)
{
	uint32_t head = LOAD_ACQ(&stack_at(stack)->first_site), found = site_find(head, 0, key);

	if (found || LOAD(&stack_at(stack)->site_count) >= most)
		return found;
	return site_push(stack, head, key);
}

/*
 * The bound on sizes limits the length of a walk. Threads that race for the last place may all
 * get one, which is harmless. Sizes without a site share one.
 */
static uint32_t site_of(uint32_t stack, const struct stack_key *key, uint64_t size,
			enum origin origin)
{
	struct site_key own = {.size = size, .origin = origin, .need = CELLS_WHOLE};
	struct site_key shared = {.origin = origin,
				  .mixed = true,
				  .need = key->need == CELLS_WHOLE ? CELLS_COARSE : key->need};
	uint32_t found = 0;

	if (key->end < CAPTURE_NO_ROOM)
		found = site_find_or_push(stack, &own, STACK_MAX_SIZES);
	return found ? found : site_find_or_push(stack, &shared, UINT32_MAX);
}

static uint32_t site_under(struct stack_key *key, uint64_t size, enum origin origin)
{
	stack_key_finish(key);
	uint32_t stack = stack_intern(key);
	return stack ? site_of(stack, key, size, origin) : 0;
}

/* ---- known sites -------------------------------------------------------- */

/* As site_under, for a stack that may be known, with its own labels. */
static uint32_t site_met(const struct capture *c, uint32_t now, uint64_t size, enum origin origin)
{
	struct stack_key key = stack_key_of(c, c->labels);
	uint32_t stack = known_stack(c->note, now), site;

	if (!stack) {
		stack_key_finish(&key);
		stack = stack_intern(&key);
		capture_note(c, known_note(stack, now));
	}
	if (!stack)
		return 0;
	site = site_of(stack, &key, size, origin);
	if (site && origin == ORIGIN_MALLOC)
		known_add(now, stack, size, site);
	return site;
}

/* ---- no room ---------------------------------------------------------- */

/* One per origin. Allocations at them may be in use, and they are never reclaimed. */
static uint32_t without_frames[ORIGIN_COUNT], reclaimed[ORIGIN_COUNT];

static int make_lasting(uint32_t sites[ORIGIN_COUNT], enum capture_end end)
{
	struct capture none = {.end = end};

	for (uint32_t origin = 0; origin < ORIGIN_COUNT; origin++) {
		struct stack_key key = stack_key_of(&none, 0);
		STORE(&sites[origin], site_under(&key, 0, (enum origin)origin));
		if (!sites[origin])
			return -1;
	}
	return 0;
}

int stacks_init(void)
{
	if (make_lasting(without_frames, CAPTURE_NO_ROOM))
		return -1;
	return make_lasting(reclaimed, CAPTURE_RECLAIMED);
}

bool stack_is_lasting(const struct stack *stack)
{
	return stack->frame_count == 0 && stack->end >= CAPTURE_NO_ROOM;
}

uint32_t stacks_reclaimed_to(enum origin origin)
{
	return reclaimed[origin];
}

static uint32_t site_coarse(const struct capture *c, uint64_t size, enum origin origin)
{
	uint64_t frames[STACK_KEY_ENDS_FRAMES];
	uint32_t site = 0;

	for (size_t i = 0; i < STACK_KEY_ENDS_FORMS && !site; i++) {
		struct stack_key key = stack_key_ends(c, i, frames);
		site = site_under(&key, size, origin);
	}
	ADD(&coarse, 1);
	return site ? site : LOAD(&without_frames[origin]);
}

static __attribute__((noinline)) uint32_t site_searched(const struct capture *c, uint32_t now,
							uint64_t size, enum origin origin)
{
	uint32_t site = site_met(c, now, size, origin);

	if (unlikely(!site) && c->labels) {
		struct stack_key key = stack_key_of(c, 0);
		labelsets_count_dropped();
		site = site_under(&key, size, origin);
	}
	return likely(site) ? site : site_coarse(c, size, origin);
}

uint32_t stacks_site(const struct capture *c, uint64_t size, enum origin origin)
{
	uint32_t now = known_generation();
	uint32_t site = origin == ORIGIN_MALLOC ? known_site(c->note, now, size) : 0;

	return likely(site) ? site : site_searched(c, now, size, origin);
}

/* ---- freeing stacks ----------------------------------------------------- */

uint32_t stacks_freeing(const struct capture *c, bool may_add)
{
	struct stack_key key = stack_key_of(c, 0);

	key.is_freeing = true;
	stack_key_finish(&key);
	return may_add ? stack_intern(&key) : stack_find(LOAD_ACQ(bucket_of(&key)), 0, &key);
}

/* ---- the table -------------------------------------------------------- */

uint32_t stacks_count(void)
{
	return LOAD(&stack_total);
}

uint32_t stacks_site_count(void)
{
	return LOAD(&site_total);
}

uint64_t stacks_coarse(void)
{
	return LOAD(&coarse);
}

uint64_t stacks_latest_born(void)
{
	return LOAD(&born) << 2 | 3;
}

uint32_t *stacks_buckets(size_t *count)
{
	*count = bucket_count();
	return buckets();
}

void stacks_link(uint32_t id)
{
	uint32_t *bucket = &buckets()[stack_at(id)->hash & (bucket_count() - 1)];
	uint32_t head = LOAD_ACQ(bucket);

	do
		STORE(&stack_at(id)->next, head);
	while (!__atomic_compare_exchange_n(bucket, &head, id, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_ACQUIRE));
}

void stacks_free(uint32_t id)
{
	const struct stack *s = stack_at(id);
	uint32_t site = s->first_site, next;
	enum part part = part_of(s->labels, false);

	for (int left = MAX_CHAIN; site && left; site = next, left--) {
		struct site *gone = site_at(site);
		next = gone->next;
		gone->born = 0; /* for who remembers this site */
		parts_give(part, site, site_bytes(site_block_bytes(gone)));
		__atomic_fetch_sub(&site_total, 1, __ATOMIC_RELAXED);
	}
	stack_give(id);
	__atomic_fetch_sub(&stack_total, 1, __ATOMIC_RELAXED);
}
