/* See freer.h. */
#include "record/freer.h"

#include <string.h>

#include "base/ascii.h"
#include "go/gosym.h"
#include "unwind/capture_end.h"
#include "unwind/pcinfo.h"

/* The function that this frame is in; "" if it is not Go's. n: from the root. */
static const char *name_at(const uint64_t *frames, uint32_t count, uint32_t n)
{
	struct gosym_func f;

	return n < count && gosym_find(frames[count - 1 - n] - 1, &f) ? f.name : "";
}

static bool is_in_go(uint64_t frame)
{
	return pcinfo_at(frame - 1).kind >= PCINFO_GO;
}

static bool has_go(const uint64_t *frames, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (is_in_go(frames[i]))
			return true;
	return false;
}

/* n: the frame of the goroutine's function, from the root. */
static enum freed_by kind_of_goroutine(const uint64_t *frames, uint32_t count, uint32_t n)
{
	const char *name = name_at(frames, count, n);

	if (strcmp(name, "runtime.runCleanups") == 0)
		return FREED_BY_CLEANUP;
	if (strcmp(name, "runtime.runFinalizers") == 0)
		return FREED_BY_FINALIZER;
	if (strcmp(name, "runtime.runfinq") != 0)
		return FREED_BY_GO;
	/* Its closure calls the cleanup; a finalizer is called by reflectcall. */
	return ascii_begins(name_at(frames, count, n + 1), "runtime.AddCleanup[")
		       ? FREED_BY_CLEANUP
		       : FREED_BY_FINALIZER;
}

enum freed_by freer_kind(const uint64_t *frames, uint32_t count, uint32_t end)
{
	if (!count || (!capture_end_is_complete(end) && end != CAPTURE_GAP))
		return FREED_BY_UNKNOWN;
	if (!is_in_go(frames[count - 1]))
		return has_go(frames, count) ? FREED_BY_GO : FREED_BY_C;
	return kind_of_goroutine(frames, count,
				 strcmp(name_at(frames, count, 0), "runtime.goexit") == 0);
}
