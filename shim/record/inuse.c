/* See inuse.h. */
#include "record/inuse.h"

#include "base/pagemap.h"
#include "record/live.h"
#include "record/mappings.h"
#include "record/sample.h"

uint64_t inuse_range_bytes(const struct mappings_range *r)
{
	if (r->kind != MAPPINGS_THREAD_STACK)
		return r->end - r->start;
	uint64_t touched = pagemap_resident_bytes(r->start, r->end);
	return touched == UNKNOWN ? 0 : touched;
}

struct walk {
	void (*visit)(uint32_t site, uint32_t tick, struct weight w, void *arg);
	void *arg;
};

static void visit_block(const struct live_block *block, void *arg)
{
	const struct walk *w = arg;

	w->visit(block->site, block->tick, sample_weight(block->size, block->interval), w->arg);
}

int inuse_each(struct scratch *scratch,
	       void (*visit)(uint32_t site, uint32_t tick, struct weight w, void *arg), void *arg)
{
	struct walk walk = {visit, arg};
	struct mappings_range *list;

	live_each(visit_block, &walk);
	long count = mappings_copy(scratch, &list);
	for (long i = 0; i < count; i++) {
		const struct mappings_range *r = &list[i];
		uint64_t objects = r->flags & MAPPINGS_HEAD ? 1 : 0;
		if (mappings_is_counted(r))
			visit(r->site, r->tick,
			      (struct weight){objects << WEIGHT_OBJECT_BITS,
					      inuse_range_bytes(r) << WEIGHT_BYTE_BITS},
			      arg);
	}
	return count < 0 ? -1 : 0;
}
