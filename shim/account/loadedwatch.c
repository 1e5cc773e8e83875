/* See loadedwatch.h. */
#include "account/loadedwatch.h"

#include "base/clock.h"
#include "base/loaded.h"
#include "unwind/codetables.h"
#include "account/worker.h"

#define EACH_NS UINT64_C(1000000000)

static void update(void *unused)
{
	(void)unused;
	codetables_update();
}

uint64_t loadedwatch_tick(void)
{
	static uint64_t next_ns;
	uint64_t now_ns;

	if (!loaded_is_watched())
		return UINT64_MAX;
	now_ns = clock_monotonic_ns();
	if (now_ns < next_ns)
		return next_ns - now_ns;
	next_ns = now_ns + EACH_NS;
	if (loaded_is_doubtful() && !worker_is_busy())
		worker_begin(update, NULL);
	return EACH_NS;
}
