/* See lastwalk.h. */
#include "unwind/lastwalk.h"

static struct last_walk memories[LASTWALK_COUNT];

__thread struct last_walk *lastwalk_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

__attribute__((noinline)) struct last_walk *lastwalk_choose(void)
{
	static uint32_t chosen;
	uint32_t i = ADD(&chosen, 1);
	bool is_shared = i >= LASTWALK_OWN;

	if (is_shared) {
		i = LASTWALK_OWN + (i - LASTWALK_OWN) % (LASTWALK_COUNT - LASTWALK_OWN);
		STORE(&memories[i].is_shared, true);
	}
	STORE(&lastwalk_self, &memories[i]);
	return &memories[i];
}

void lastwalk_after_fork_in_child(void)
{
	for (uint32_t i = 0; i < LASTWALK_COUNT; i++)
		if (&memories[i] != lastwalk_self)
			STORE(&memories[i].is_busy, 0);
}

void capture_note(const struct capture *c, uint64_t note)
{
	struct last_walk *last = c->memory;

	if (!last || lastwalk_take_this(last))
		return;
	if (last->serial == c->serial)
		last->note = note;
	lastwalk_give(last);
}
