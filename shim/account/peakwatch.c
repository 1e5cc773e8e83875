/* See peakwatch.h. */
#include "account/peakwatch.h"

#include "base/clock.h"
#include "proc/procinfo.h"
#include "record/peak.h"
#include "record/sample.h"

#define SLOW_NS UINT64_C(1000000000)
#define FAST_NS (PEAKWATCH_FAST_MS * UINT64_C(1000000))

static uint64_t next_ns;

uint64_t peakwatch_look(void)
{
	struct process_resident now = procinfo_resident();

	uint64_t before = peak_height(PEAK_RSS).bytes;

	peak_look(now.all);
	bool is_rising = peak_height(PEAK_RSS).bytes > before + MIB;
	next_ns = clock_monotonic_ns() + (is_rising ? FAST_NS : SLOW_NS);
	return now.all;
}

uint64_t peakwatch_tick(void)
{
	uint64_t now_ns = clock_monotonic_ns();

	if (!sample_interval())
		return UINT64_MAX;
	if (now_ns >= next_ns)
		peakwatch_look();
	return next_ns > now_ns ? next_ns - now_ns : 0;
}
