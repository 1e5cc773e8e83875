/* See cgowatch.h. */
#include "cgowatch.h"

#include <string.h>

#include "control.h"
#include "gosym.h"
#include "lines.h"
#include "sys.h"
#include "work.h"

#define GROWN_BYTES (4 * MIB)
#define FAST_NS     UINT64_C(50000000)
#define SLOW_NS     UINT64_C(1000000000)
#define FAST_FOR_NS UINT64_C(10000000000)
#define CALLS       64
#define REST_FACTOR 200
#define WORK_SHARE  UINT64_C(20000000) /* nanoseconds a look may take */
#define SCRATCH     (1 * MIB)

static struct {
	uint64_t next_ns, fast_until_ns, rest_until_ns;
	uint64_t lowest; /* anonymous bytes, since the last note */
	struct cgowatch_candidate list[CGOWATCH_CANDIDATES];
	size_t count;
	uint32_t looks;
} watch;

/* Pages in RSS less those of files: "size resident shared ..." of /proc/self/statm. */
static uint64_t anonymous_bytes(void)
{
	char text[128];
	const char *at = text;
	uint64_t size, resident, shared;
	long fd = sys_open_read("/proc/self/statm");
	if (sys_failed(fd))
		return 0;
	long n = sys_pread((int)fd, text, sizeof(text) - 1, 0);
	sys_close((int)fd);
	text[sys_failed(n) ? 0 : n] = 0;
	if (!lines_number(&at, 10, &size) || !lines_skip(&at, ' ') ||
	    !lines_number(&at, 10, &resident) || !lines_skip(&at, ' ') ||
	    !lines_number(&at, 10, &shared) || shared > resident)
		return 0;
	return (resident - shared) * PAGE_BYTES;
}

static bool is_same(const struct gocall *a, const struct gocall *b)
{
	return a->count == b->count &&
	       memcmp(a->frames, b->frames, a->count * sizeof(a->frames[0])) == 0;
}

/* Where the table is full the one seen least makes room. */
static void note(const struct gocall *call)
{
	size_t least = 0;
	for (size_t i = 0; i < watch.count; i++) {
		if (is_same(&watch.list[i].call, call)) {
			watch.list[i].looks++;
			return;
		}
		if (watch.list[i].looks < watch.list[least].looks)
			least = i;
	}
	if (watch.count < CGOWATCH_CANDIDATES)
		least = watch.count++;
	watch.list[least] = (struct cgowatch_candidate){.call = *call, .looks = 1};
}

/* Many goroutines may be in one call: it is noted once a look. */
static void look(void)
{
	static struct gocall calls[CALLS];
	struct scratch scratch = SCRATCH_INIT(SCRATCH);
	size_t count = gocalls_now(&scratch, calls, CALLS);
	watch.looks++;
	for (size_t i = 0; i < count; i++) {
		bool seen = false;
		for (size_t k = 0; k < i && !seen; k++)
			seen = is_same(&calls[k], &calls[i]);
		if (!seen)
			note(&calls[i]);
	}
	scratch_release(&scratch);
}

static void look_if_grown(uint64_t now_ns)
{
	uint64_t bytes = anonymous_bytes();
	if (bytes < watch.lowest || watch.lowest == 0)
		watch.lowest = bytes;
	if (bytes < watch.lowest + GROWN_BYTES)
		return;
	watch.fast_until_ns = now_ns + FAST_FOR_NS;
	if (now_ns < watch.rest_until_ns)
		return;
	work_begin(WORK_SHARE);
	look();
	work_end();
	watch.lowest = bytes;
	watch.rest_until_ns = now_ns + REST_FACTOR * (control_monotonic_ns() - now_ns);
}

uint64_t cgowatch_tick(void)
{
	if (!control_get().on || !gosym_is_go())
		return UINT64_MAX;
	uint64_t now_ns = control_monotonic_ns();
	if (watch.fast_until_ns == 0)
		watch.fast_until_ns = now_ns + FAST_FOR_NS;
	if (now_ns >= watch.next_ns) {
		look_if_grown(now_ns);
		watch.next_ns = now_ns + (now_ns < watch.fast_until_ns ? FAST_NS : SLOW_NS);
	}
	return watch.next_ns - now_ns;
}

size_t cgowatch_read(struct cgowatch_candidate out[CGOWATCH_CANDIDATES], uint32_t *looks)
{
	*looks = watch.looks;
	memcpy(out, watch.list, watch.count * sizeof(*out));
	for (size_t i = 1; i < watch.count; i++) {
		struct cgowatch_candidate moving = out[i];
		size_t at = i;
		for (; at > 0 && out[at - 1].looks < moving.looks; at--)
			out[at] = out[at - 1];
		out[at] = moving;
	}
	return watch.count;
}
