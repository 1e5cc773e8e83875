/* See taker.h. */
#include "taker.h"

#include <fcntl.h>
#include <unistd.h>

#include "region/region.h"
#include "go/gomodules.h"
#include "go/gosym.h"
#include "unwind/capture.h"
#include "record/control.h"
#include "record/labelsets.h"
#include "record/stacks.h"
#include "hook/real.h"
#include "profile/profile.h"
#include "serve/status.h"

#define EXPORT __attribute__((visibility("default")))

static struct scratch kept = SCRATCH_INIT(16 * MIB);
static struct snapshot before;

EXPORT int taker_init(void)
{
	if (gomodules_init() || region_init(32 * MIB))
		return -1;
	real_resolve();
	capture_init(labelsets_keep);
	control_init(&(struct control_start){.sample_bytes = 524288});
	return 0;
}

static void take(struct capture *c)
{
	struct regs regs;
	arch_get_regs(&regs);
	capture_stack(c, &regs, (uint64_t)real.malloc);
}

static void record(const struct capture *c, size_t size, int count, int freed)
{
	struct site *site = site_at(stacks_site(c, size, ORIGIN_MALLOC));
	struct weight w = sample_weight(size, 1);
	for (int i = 0; i < count; i++)
		site_add_alloc(site, w);
	for (int i = 0; i < freed; i++)
		site_add_free(site, w);
}

EXPORT void taker_record(size_t size, int count, int freed)
{
	struct capture c;
	take(&c);
	record(&c, size, count, freed);
}

EXPORT void taker_record_marks(void)
{
	struct capture c;
	take(&c);
	struct capture gap = c, cut = c;
	gap.omitted_at = 3;
	gap.end = CAPTURE_TOO_DEEP;
	record(&gap, 11, 1, 0);
	cut.count = 2;
	cut.end = CAPTURE_NO_CFI;
	record(&cut, 12, 1, 0);
	for (size_t size = 1000; size < 1000 + STACK_MAX_SIZES + 10; size++)
		record(&c, size, 1, 0);
}

EXPORT void taker_record_address(void *pc, size_t size)
{
	struct capture c = {.count = 2, .end = CAPTURE_COMPLETE_THREAD};
	c.frames[0] = (uint64_t)real.malloc + 1;
	c.frames[1] = (uint64_t)pc;
	record(&c, size, 1, 0);
}

static int file_write(struct sink *sink, const void *bytes, size_t count)
{
	return write(*(int *)sink->arg, bytes, count) == (ssize_t)count ? 0 : -1;
}

static int write_into(struct sink *sink, struct scratch *scratch, int flags)
{
	struct snapshot now, growth;
	struct profile_options options = {
		.format = flags & TAKER_TEXT ? PROFILE_TEXT : PROFILE_GZIP,
		.symbols = !(flags & TAKER_NO_SYMBOLS),
		.all_frames = flags & TAKER_ALL_FRAMES,
		.is_growth = flags & TAKER_GROWTH,
		.comments = status_comments(scratch),
	};
	if (stacks_snapshot(scratch, 0, &now))
		return -1;
	if (!options.is_growth)
		return profile_write(scratch, &now, &options, sink);
	options.duration_ns = now.time_ns - before.time_ns;
	if (stacks_difference(scratch, &before, &now, &growth))
		return -1;
	return profile_write(scratch, &growth, &options, sink);
}

EXPORT int taker_write(const char *path, int flags)
{
	struct scratch scratch = SCRATCH_INIT(64 * MIB);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	struct sink sink = {.write = file_write, .arg = &fd};
	int result = write_into(&sink, &scratch, flags);
	close(fd);
	scratch_release(&scratch);
	return result;
}

EXPORT int taker_start_growth(void)
{
	return stacks_snapshot(&kept, 0, &before);
}
