/*
 * A fixed table with one entry per request that may wait.
 */
#include "profile/baseline.h"

#include "base/clock.h"

#define SHARED_NS UINT64_C(1000000000)

static struct baseline baselines[BASELINES_MAX];
static uint32_t places = BASELINES_MAX;

void baseline_set_places(uint64_t count)
{
	places = count < BASELINES_MAX ? (uint32_t)count : BASELINES_MAX;
}

uint32_t baseline_places(void)
{
	return places;
}

bool baseline_is_full(void)
{
	uint32_t users = 0;
	for (const struct baseline *b = baselines; b < baselines + BASELINES_MAX; b++)
		users += b->users;
	return users >= places;
}

struct baseline *baseline_new(uint64_t min_age_ns)
{
	for (struct baseline *b = baselines; b < baselines + BASELINES_MAX; b++)
		if (b->users == 0) {
			*b = (struct baseline){
				.users = 1,
				.min_age_ns = min_age_ns,
				.scratch = SCRATCH_INIT(region_scratch_max_bytes()),
			};
			return b;
		}
	return NULL;
}

/* More than a quarter of the scratch; answers are built in the rest. */
static bool memory_is_short(void)
{
	size_t held_bytes = 0;
	for (const struct baseline *b = baselines; b < baselines + BASELINES_MAX; b++)
		held_bytes += b->users > 0 ? b->scratch.mapped_bytes : 0;
	return held_bytes > region_scratch_max_bytes() / 4;
}

struct baseline *baseline_share(uint64_t min_age_ns, bool with_go)
{
	uint64_t now_ns = clock_monotonic_ns();
	if (!memory_is_short())
		return NULL;
	for (struct baseline *b = baselines; b < baselines + BASELINES_MAX; b++)
		if (b->users > 0 && b->min_age_ns == min_age_ns && (b->go.count > 0) == with_go &&
		    now_ns - b->snapshot.time_ns <= SHARED_NS) {
			b->users++;
			return b;
		}
	return NULL;
}

void baseline_release(struct baseline *b)
{
	if (b != NULL && --b->users == 0)
		scratch_release(&b->scratch);
}

void baseline_forget_all(void)
{
	for (struct baseline *b = baselines; b < baselines + BASELINES_MAX; b++)
		b->users = 0;
}
