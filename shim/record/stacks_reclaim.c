/*
 * See stacks_reclaim.h. For stacks taken out, stack.reclaim is the link. For others it is a
 * folded copy of what had been allocated at the last look, which shows whether the stack is
 * idle.
 */
#include "record/stacks_reclaim.h"

#include "base/clock.h"
#include "base/sys.h"
#include "base/work.h"
#include "region/cells.h"
#include "record/frees.h"
#include "record/known.h"
#include "record/labelsets.h"
#include "record/mappings.h"
#include "record/parts.h"
#include "record/peak.h"
#include "record/pins.h"
#include "record/thread_starts.h"
#include "record/unloads.h"

#define LOOK_EVERY_NS  UINT64_C(1000000000)
#define HASTE_NS       UINT64_C(50000000)    /* while the arena fills */
#define REST_NS        UINT64_C(10000000000) /* after a pass that freed little */
#define GRACE_POLLS    64
#define LITTLE_SHARE   64 /* of the room */
#define HALF_PERMILLE  500
#define HASTE_PERMILLE 750

static struct {
	uint32_t first; /* first stack taken out */
	struct grace grace;
	uint64_t next_pass_ns;
	uint64_t refused; /* cells, at the last pass */
	bool is_under_way;
	uint32_t waiting; /* stacks that can be removed if they stay idle until the next pass */
	uint64_t stacks;  /* reclaimed so far */
} reclaim;

uint32_t stacks_reclaim_first(void)
{
	return reclaim.first;
}

uint64_t stacks_reclaimed(void)
{
	return LOAD(&reclaim.stacks);
}

/* ---- which stacks ----------------------------------------------------- */

/* More than a stack has, so that a list that a wild write of the host turned into a ring ends. */
#define MOST_SITES 1024

#define EACH_SITE(stack, site)                                                                     \
	for (uint32_t id_ = LOAD_ACQ(&(stack)->first_site), left_ = MOST_SITES;                    \
	     id_ && left_ && (site = site_at(id_)); id_ = LOAD(&site->next), left_--)

static bool site_is_unused(const struct site *s)
{
	/* A free adds its bytes last and does not touch the site after that. */
	uint64_t objects = site_objects_freed_fx(s), bytes = LOAD_ACQ(&s->free_bytes_fx);

	return objects == site_objects_made_fx(s) && bytes == LOAD(&s->alloc_bytes_fx);
}

static bool stack_is_unused(const struct stack *stack)
{
	struct site *s;

	EACH_SITE(stack, s)
	if (!site_is_unused(s))
		return false;
	return true;
}

static bool is_of_a_peak(const struct stack *stack)
{
	struct site *s;

	EACH_SITE(stack, s)
	if (peak_has_site(s))
		return true;
	return false;
}

static void hold_none(const struct stack *stack)
{
	struct site *s;

	EACH_SITE(stack, s)
	s->is_held = 0;
}

static void hold(uint32_t site)
{
	if (site)
		site_at(site)->is_held = 1;
}

static bool stack_is_held(const struct stack *stack)
{
	struct site *s;

	EACH_SITE(stack, s)
	if (s->is_held)
		return true;
	return false;
}

/* Whether nothing was allocated there since the last look. */
static bool is_idle(struct stack *stack)
{
	uint32_t before = stack->reclaim;
	struct site *s;
	uint64_t sum = 0;

	EACH_SITE(stack, s)
	sum += LOAD(&s->alloc_bytes_fx) + site_objects_made_fx(s);
	stack->reclaim = (uint32_t)(sum ^ sum >> 32) | 1;
	return stack->reclaim == before;
}

/* Such a stack is never met again, because a new one has another stamp. */
static bool has_unloaded(const struct stack *stack)
{
	for (uint32_t i = 0; i < stack->frame_count && i < CAPTURE_MAX_FRAMES; i++)
		if (unloads_since(stack->unloads, stack->frames[i]))
			return true;
	return false;
}

static bool may_go(struct stack *stack, bool in_haste)
{
	bool idle = is_idle(stack);

	if (stack_is_lasting(stack) || stack->is_kept || !stack_is_unused(stack))
		return false;
	if (!in_haste && is_of_a_peak(stack))
		return false;
	if (idle || in_haste || has_unloaded(stack))
		return true;
	reclaim.waiting++;
	return false;
}

/* ---- out of the table ------------------------------------------------- */

/*
 * *link led to the stack. Only heads can change meanwhile; then a stack pushed since leads to
 * it. Returns what now leads to the next stack; NULL: the stack was not found.
 */
static uint32_t *unlink_stack(uint32_t *bucket, uint32_t *link, uint32_t id, size_t *left)
{
	uint32_t head = id, next = LOAD(&stack_at(id)->next);

	if (link == bucket) {
		if (__atomic_compare_exchange_n(bucket, &head, next, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return bucket;
		for (; head && LOAD(&stack_at(head)->next) != id; --*left)
			head = *left ? LOAD_ACQ(&stack_at(head)->next) : 0;
		if (!head)
			return NULL;
		link = &stack_at(head)->next;
	}
	STORE_REL(link, next);
	return link;
}

static void take_out_of(uint32_t *bucket, bool in_haste, size_t *left)
{
	uint32_t *link = bucket, id;

	while (link && *left && (id = LOAD_ACQ(link)) && cells_is(id, CELL_STACK, 1)) {
		struct stack *stack = stack_at(id);
		--*left;
		if (!may_go(stack, in_haste)) {
			link = &stack->next;
			continue;
		}
		hold_none(stack);
		link = unlink_stack(bucket, link, id, left);
		if (!link)
			break;
		stack->reclaim = reclaim.first;
		reclaim.first = id;
	}
}

static void mark_labels_of(uint32_t stack, void *unused)
{
	(void)unused;
	labelsets_mark(stack_at(stack)->labels);
}

/* Existing stacks keep their labels. */
static void mark_labels(void)
{
	labelsets_unmark();
	stacks_each(mark_labels_of, NULL);
}

/* ---- freeing stacks ----------------------------------------------------- */

static void keep_none(uint32_t stack, void *unused)
{
	(void)unused;
	stack_at(stack)->is_kept = 0;
}

static void keep(uint32_t stack)
{
	stack_at(stack)->is_kept = 1;
}

static void keep_freers_of(uint32_t site, void *unused)
{
	(void)unused;
	frees_each_stack(site, keep);
}

/* Existing sites keep the stacks that free their blocks. */
static void keep_freers(void)
{
	stacks_each(keep_none, NULL);
	stacks_each_site(keep_freers_of, NULL);
}

static void forget_freers(const struct stack *stack)
{
	struct site *s;

	EACH_SITE(stack, s)
	frees_forget(id_);
}

static void keep_unloads_of(uint32_t id, void *unused)
{
	const struct stack *stack = stack_at(id);

	(void)unused;
	unloads_keep(stack->unloads, stack->frames, stack->frame_count);
}

static void forget_unloads(void)
{
	if (!unloads_are_many())
		return;
	unloads_forget_begin();
	stacks_each(keep_unloads_of, NULL);
	unloads_forget_end();
}

static void take_out(bool in_haste)
{
	size_t count, left = region_layout.arena.bytes / CELLS_UNIT;
	uint32_t *buckets = stacks_buckets(&count);

	keep_freers();
	for (size_t b = 0; b < count && left; b++)
		take_out_of(&buckets[b], in_haste, &left);
	mark_labels();
	labelsets_take_out();
}

/* ---- free, or back ---------------------------------------------------- */

static void add_total(struct site *to, unsigned __int128 objects_fx, unsigned __int128 bytes_fx)
{
	const unsigned __int128 most = UINT64_C(1) << 62;

	while (objects_fx || bytes_fx) {
		struct weight w = {(uint64_t)(objects_fx < most ? objects_fx : most),
				   (uint64_t)(bytes_fx < most ? bytes_fx : most)};
		site_add_alloc(to, w);
		site_add_free(to, w);
		objects_fx -= w.objects_fx;
		bytes_fx -= w.bytes_fx;
	}
}

static void fold(const struct stack *stack)
{
	struct site *s;

	EACH_SITE(stack, s)
	{
		struct site_allocated all = site_allocated(s);
		if (s->origin >= ORIGIN_COUNT)
			continue;
		struct site *to = site_at(stacks_reclaimed_to(s->origin));
		add_total(to, all.objects_fx, all.bytes_fx);
		peak_fold(s, to);
	}
}

static void put_back(uint32_t id)
{
	stack_at(id)->reclaim = 0;
	stacks_link(id);
}

static void settle(void)
{
	uint32_t id = reclaim.first, next;

	/* In this order, because a starting thread moves from the first to the second. */
	thread_starts_each_site(hold);
	mappings_each_site(hold);
	keep_freers();
	for (; id; id = next) {
		const struct stack *stack = stack_at(id);
		next = stack->reclaim;
		if (!stack_is_unused(stack) || stack_is_held(stack) || stack->is_kept) {
			put_back(id);
			continue;
		}
		fold(stack);
		forget_freers(stack);
		stacks_free(id);
		ADD(&reclaim.stacks, 1);
	}
	reclaim.first = 0;
	mark_labels();
	labelsets_settle();
	cells_gather();
	forget_unloads();
}

/* ---- when ------------------------------------------------------------- */

static uint32_t permille(uint64_t used, uint64_t total)
{
	return total ? (uint32_t)(used * 1000 / total) : 0;
}

/* The fill level of the fullest table that can be reclaimed. */
static uint32_t fullness(void)
{
	uint32_t all = permille(cells_used_bytes(), cells_total_bytes());
	uint32_t labelled = parts_permille(PART_LABELLED), sets = labelsets_permille();

	all = all > labelled ? all : labelled;
	all = all > sets ? all : sets;
	if (all < HALF_PERMILLE && unloads_are_many())
		all = HALF_PERMILLE;
	return cells_refused() != reclaim.refused && all < HASTE_PERMILLE ? HASTE_PERMILLE : all;
}

static bool pass_is_over(void)
{
	struct timespec pause = {.tv_nsec = 10000};

	for (int i = 0; i < GRACE_POLLS; i++) {
		if (pins_poll(&reclaim.grace))
			return true;
		sys_call(nanosleep, &pause, 0);
	}
	return false;
}

/* True: this pass freed something, or the next one will. */
static bool end_pass(void)
{
	uint64_t before = cells_used_bytes(), after;
	bool many_unloads = unloads_are_many();

	settle();
	reclaim.is_under_way = false;
	after = cells_used_bytes();
	return reclaim.waiting || (many_unloads && !unloads_are_many()) ||
	       (after < before && before - after > cells_total_bytes() / LITTLE_SHARE);
}

/*
 * The time until the next pass. It is short only if this pass freed something. A large table
 * that takes long is walked less often: at most a hundredth of a core, or a tenth in haste.
 * took_ns: processor time, because on a busy machine a short pass can last for seconds.
 */
static uint64_t rest_after(bool brought, bool in_haste, uint64_t took_ns)
{
	uint64_t least = took_ns * (in_haste ? 10 : 100);
	uint64_t rest = in_haste ? (brought ? HASTE_NS : LOOK_EVERY_NS)
				 : (brought ? LOOK_EVERY_NS : REST_NS);

	return rest > least ? rest : least;
}

static void begin_pass(bool in_haste)
{
	reclaim.refused = cells_refused();
	reclaim.waiting = 0;
	known_forget();
	take_out(in_haste);
	reclaim.grace = (struct grace){0};
	reclaim.is_under_way = true;
}

uint64_t stacks_reclaim_tick(void)
{
	uint64_t now = clock_monotonic_ns(), cpu = work_cpu_ns();

	if (!region)
		return UINT64_MAX;
	uint32_t full = fullness();
	bool in_haste = full >= HASTE_PERMILLE;
	if (full < HALF_PERMILLE / 2 && !reclaim.is_under_way)
		return REST_NS;
	if (!reclaim.is_under_way) {
		if (full < HALF_PERMILLE)
			return LOOK_EVERY_NS;
		if (now < reclaim.next_pass_ns)
			return reclaim.next_pass_ns - now;
		begin_pass(in_haste);
	}
	if (!pass_is_over())
		return HASTE_NS;
	bool brought = end_pass();
	reclaim.next_pass_ns = now + rest_after(brought, in_haste, work_cpu_ns() - cpu);
	return reclaim.next_pass_ns - now;
}

void stacks_reclaim_follow_in_child(void)
{
	uint32_t id = reclaim.first, next;

	for (; id; id = next) {
		next = stack_at(id)->reclaim;
		put_back(id);
	}
	reclaim.first = 0;
	reclaim.is_under_way = false;
	labelsets_follow_in_child();
	pins_follow_in_child();
}
