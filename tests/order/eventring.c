/*
 * eventring.c: an event that a reader takes is whole, and one writer's, also where the place was
 * claimed or overwritten meanwhile.
 *
 * with shim/record/eventring.c s/^	skip_overwritten(r, head);//
 * break shim/record/eventring.c /^static bool claim/,/^}/s/turn & 1/false/
 * break shim/record/eventring.c s/is_there = LOAD_ACQ(&p->turn) == done/is_there = true/
 * break shim/record/eventring.c s/STORE_REL(&p->turn/STORE(\&p->turn/
 * break shim/record/eventring.c s/turn = LOAD_ACQ(&p->turn);/turn = LOAD(\&p->turn);/
 * break shim/record/eventring.c s/STORE_REL(&p->words.SIZE/STORE(\&p->words[SIZE/
 * break shim/record/eventring.c s/LOAD_ACQ(&p->words.SIZE/LOAD(\&p->words[SIZE/
 */
#include "model.h"

#define CGOHEAP_SAMPLE_H /* of these headers, eventring.c needs this */
#define CGOHEAP_STACKS_H
#define CGOHEAP_CLOCK_H
static inline int sample_thread_id(void)
{
	return 1;
}
static inline uint64_t clock_coarse_ns(void)
{
	return 0;
}
static inline uint64_t clock_monotonic_ns(void)
{
	return 1;
}
static const struct site {
	uint32_t stack;
	uint64_t born;
} any_site;
static const struct stack {
	uint64_t hash;
} any_stack;
static inline const struct site *site_at(uint32_t site)
{
	(void)site;
	return &any_site;
}
static inline const struct stack *stack_at(uint32_t stack)
{
	(void)stack;
	return &any_stack;
}

#include "record/eventring.c"

size_t region_scratch_max_bytes(void)
{
	return 0;
}
void *scratch_alloc(struct scratch *s, size_t n)
{
	(void)s, (void)n;
	return NULL;
}

/* One place. */
static struct {
	uint64_t head, mask, padding[6];
	struct place places[1];
} ring;

static void put(uint64_t n)
{
	struct live_block block = {.address = n, .size = n};

	eventring_put((struct eventring *)(void *)&ring, EVENT_ALLOC, &block);
}

static void *writes_1(void *unused)
{
	put(1);
	return unused;
}

static void *writes_2(void *unused)
{
	put(2);
	return unused;
}

static void *reads(void *unused)
{
	struct eventring_reader reader = {0};
	struct event event;

	own.ring = (struct eventring *)(void *)&ring;
	if (eventring_take(&reader, &event))
		assert(event.address && event.address == event.size);
	return unused;
}

int main(void)
{
	model_run(3, writes_1, writes_2, reads);
	return 0;
}
