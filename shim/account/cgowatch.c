/* See cgowatch.h. */
#include "account/cgowatch.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/pagemap.h"
#include "base/sys.h"
#include "base/work.h"
#include "text/procfile.h"
#include "proc/procinfo.h"
#include "go/gosym.h"
#include "record/control.h"

#define GROWN_BYTES (4 * MIB)
#define FAST_NS     UINT64_C(50000000)
#define SLOW_NS     UINT64_C(1000000000)
#define FAST_FOR_NS UINT64_C(10000000000)
#define LOOKS       32 /* in a row */
#define LOOK_NS     UINT64_C(1000000)
#define CALLS       64
#define THREADS     64
#define REST_FACTOR 400
#define WORK_SHARE  UINT64_C(20000000) /* nanoseconds that a look may take */
#define SCRATCH     (1 * MIB)

static struct {
	uint64_t next_ns, fast_until_ns, rest_until_ns;
	uint64_t lowest;     /* lowest anonymous bytes since the last looks */
	uint32_t looks_left; /* of the current series */
	uint64_t spent_ns;   /* processor time spent on looks */
	struct cgowatch_candidate list[CGOWATCH_CANDIDATES];
	size_t count;
	uint32_t looks;
	struct {
		uint32_t thread;
		uint64_t faults; /* when last seen */
	} threads[THREADS];
	size_t oldest;
} watch;

static long read_small_file(const char *path, char *text, size_t room)
{
	long fd = sys_open_read(path);
	if (sys_failed(fd))
		return 0;
	long n = sys_pread((int)fd, text, room - 1, 0);
	sys_close((int)fd);
	n = sys_failed(n) ? 0 : n;
	text[n] = 0;
	return n;
}

/* 0: not known. */
static uint64_t anonymous_bytes(void)
{
	struct process_resident now = procinfo_resident();
	return now.all == UNKNOWN ? 0 : now.all - now.files;
}

static bool is_same(const struct gocall *a, const struct gocall *b)
{
	return a->count == b->count &&
	       memcmp(a->frames, b->frames, a->count * sizeof(a->frames[0])) == 0;
}

/* minflt of /proc/self/task/TID/stat: the eighth field after the name, which may contain
 * anything but ends with the last ")". 0: not known. */
static uint64_t faultinject_of(uint32_t thread)
{
	char path[48], text[512];
	uint64_t faults = 0;
	snprintf(path, sizeof(path), "/proc/self/task/%u/stat", thread);
	read_small_file(path, text, sizeof(text));
	const char *at = strrchr(text, ')');
	for (int field = 0; at && field < 8; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return at && procfile_number(&at, 10, &faults) ? faults : 0;
}

/* The thread's faults since it was last seen; 0 the first time. */
static uint64_t new_faults(uint32_t thread)
{
	uint64_t faults = thread ? faultinject_of(thread) : 0, before;
	if (faults == 0)
		return 0;
	for (size_t i = 0; i < THREADS; i++)
		if (watch.threads[i].thread == thread) {
			before = watch.threads[i].faults;
			watch.threads[i].faults = faults;
			return faults > before ? faults - before : 0;
		}
	watch.threads[watch.oldest].thread = thread;
	watch.threads[watch.oldest].faults = faults;
	watch.oldest = (watch.oldest + 1) % THREADS;
	return 0;
}

/* If the table is full, replaces the candidate with the fewest faults. */
static struct cgowatch_candidate *candidate_of(const struct gocall *call)
{
	size_t least = 0;
	for (size_t i = 0; i < watch.count; i++) {
		if (is_same(&watch.list[i].call, call))
			return &watch.list[i];
		if (watch.list[i].faults < watch.list[least].faults)
			least = i;
	}
	if (watch.count < CGOWATCH_CANDIDATES)
		least = watch.count++;
	watch.list[least] = (struct cgowatch_candidate){.call = *call};
	return &watch.list[least];
}

static void look(void)
{
	static struct gocall calls[CALLS];
	struct scratch scratch = SCRATCH_INIT(SCRATCH);
	size_t count = gocalls_now(&scratch, calls, CALLS);
	watch.looks++;
	for (size_t i = 0; i < count; i++) {
		uint64_t faults = new_faults(calls[i].thread);
		if (faults == 0)
			continue;
		struct cgowatch_candidate *c = candidate_of(&calls[i]);
		c->faults += faults;
		c->looks++;
	}
	scratch_release(&scratch);
}

static void look_again(uint64_t now_ns)
{
	uint64_t begun_ns = work_cpu_ns();
	work_begin(WORK_SHARE);
	look();
	work_end();
	watch.looks_left--;
	watch.spent_ns += work_cpu_ns() - begun_ns;
	if (watch.looks_left == 0)
		watch.rest_until_ns = now_ns + REST_FACTOR * watch.spent_ns;
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
	watch.lowest = bytes;
	watch.looks_left = LOOKS;
	watch.spent_ns = 0;
}

static uint64_t until_next(uint64_t now_ns)
{
	if (watch.looks_left)
		return LOOK_NS;
	return now_ns < watch.fast_until_ns ? FAST_NS : SLOW_NS;
}

uint64_t cgowatch_tick(void)
{
	if (!control_get().on || !gosym_is_go())
		return UINT64_MAX;
	uint64_t now_ns = clock_monotonic_ns();
	if (watch.fast_until_ns == 0)
		watch.fast_until_ns = now_ns + FAST_FOR_NS;
	if (now_ns >= watch.next_ns) {
		if (!watch.looks_left)
			look_if_grown(now_ns);
		if (watch.looks_left)
			look_again(now_ns);
		watch.next_ns = now_ns + until_next(now_ns);
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
		for (; at > 0 && out[at - 1].faults < moving.faults; at--)
			out[at] = out[at - 1];
		out[at] = moving;
	}
	return watch.count;
}
