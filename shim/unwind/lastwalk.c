/* See lastwalk.h. */
#include "unwind/lastwalk.h"

static struct last_walk memories[LASTWALK_COUNT];

/* 1 + the index of this thread's; 0: it has none yet. */
static __thread uint32_t own __attribute__((tls_model("initial-exec")));

static __attribute__((noinline)) uint32_t choose(void)
{
	static uint32_t chosen;

	STORE(&own, 1 + ADD(&chosen, 1) % LASTWALK_COUNT);
	return LOAD(&own);
}

struct last_walk *lastwalk_take(void)
{
	uint32_t i = LOAD(&own);

	if (unlikely(i == 0))
		i = choose();
	struct last_walk *last = &memories[i - 1];
	return likely(!__atomic_exchange_n(&last->is_busy, 1, __ATOMIC_ACQUIRE)) ? last : NULL;
}

void lastwalk_give(struct last_walk *last)
{
	STORE_REL(&last->is_busy, 0);
}

void lastwalk_after_fork_in_child(void)
{
	for (uint32_t i = 0; i < LASTWALK_COUNT; i++)
		if (i + 1 != own)
			STORE(&memories[i].is_busy, 0);
}

void capture_note(const struct capture *c, uint64_t note)
{
	struct last_walk *last = c->memory;

	if (!last || __atomic_exchange_n(&last->is_busy, 1, __ATOMIC_ACQUIRE))
		return;
	if (last->serial == c->serial)
		last->note = note;
	lastwalk_give(last);
}
