/* See earlymaps.h. */
#include "earlymaps.h"

#include "smaps.h"

#define MAX_RANGES 128

static struct {
	uint64_t start, end;
} ranges[MAX_RANGES];
static size_t count;

/* Private, in no file and without a name of the kernel's. */
static void keep(const struct smaps_mapping *m)
{
	if (m->path[0] || m->shared || !(m->readable || m->writable) || count == MAX_RANGES)
		return;
	if (count && ranges[count - 1].end == m->start) {
		ranges[count - 1].end = m->end;
		return;
	}
	ranges[count].start = m->start;
	ranges[count++].end = m->end;
}

void earlymaps_take(struct scratch *scratch)
{
	struct smaps maps;
	struct smaps_mapping m;
	count = 0;
	if (smaps_open_path(&maps, scratch, "/proc/self/maps") == 0)
		while (smaps_next(&maps, &m))
			keep(&m);
	smaps_close(&maps);
}

bool earlymaps_claim(struct scratch *scratch, struct claims *claims, uint8_t what)
{
	for (size_t i = 0; i < count; i++)
		if (!claims_add(scratch, claims, ranges[i].start, ranges[i].end, what, 0))
			return false;
	return true;
}
