/* See slabholders.h. */
#include "account/slabholders.h"

#include "base/work.h"
#include "account/allocator.h"

/* The worker's while it is busy, so it is not in scratch. */
static struct jemallocbins_query query;

static int ask(struct holder **asked)
{
	if (query.count == 0)
		return 0;
	if (allocator_ask_slabs(&query) != 0)
		return -1;
	for (size_t i = 0; i < query.count; i++)
		asked[i]->stuck = query.held[i];
	query.count = 0;
	return 0;
}

int slabholders_look(struct holders *holders, const struct jemallocbins *bins)
{
	struct holder *asked[JEMALLOCBINS_ASKED];
	bool is_known = allocator_bins() != NULL; /* also: the worker is not busy with the query */
	if (is_known)
		query.count = 0;
	for (size_t i = 0; i < holders->count; i++) {
		struct holder *h = &holders->list[holders->items[i].value];
		size_t bin = jemallocbins_find(bins, h->size);
		if (!work_may_go_on_first_half(300)) {
			holders->was_cut = true;
			return -1;
		}
		if (bin == bins->count)
			continue;
		h->is_in_heap = true;
		h->class = (uint16_t)bin;
		if (!is_known)
			continue;
		asked[query.count] = h;
		query.blocks[query.count++] = (void *)(holders->items[i].key + GLIBC_CHUNK_HEADER);
		if (query.count == JEMALLOCBINS_ASKED)
			is_known = ask(asked) == 0;
	}
	return is_known ? ask(asked) : -1;
}

int slabholders_count(struct scratch *scratch, const struct jemallocbins *bins,
		      struct holders *holders, bool was_asked, struct heapwalk *out)
{
	*out = (struct heapwalk){.kept = {UNKNOWN, UNKNOWN, UNKNOWN}};
	out->classes = scratch_alloc(scratch, HOLDER_CLASSES * sizeof(*out->classes));
	double *holding = scratch_alloc(scratch, JEMALLOCBINS_MOST * sizeof(*holding));
	if (!out->classes || !holding)
		return -1;
	for (size_t i = 0; i < holders->count; i++) {
		struct holder *h = &holders->list[i];
		h->is_walked = h->is_in_heap;
		if (h->is_in_heap && h->stuck)
			holding[h->class] += h->weight;
	}
	for (size_t i = 0; i < bins->count; i++) {
		struct heapwalk_class *c = &out->classes[i];
		c->in_use = bins->list[i].in_use;
		c->stuck_bytes = bins->list[i].free_bytes;
		c->holding = was_asked && holding[i] < (double)c->in_use ? (uint64_t)holding[i]
									 : c->in_use;
		out->stuck_bytes += c->stuck_bytes;
	}
	return 0;
}
