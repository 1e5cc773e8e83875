/* See rangeset.h. */
#include "proc/rangeset.h"

#include <string.h>

#include "base/search.h"
#include "base/sort.h"

int rangeset_add(struct scratch *scratch, struct rangeset *c, uint64_t start, uint64_t end,
		 uint8_t what, uint32_t site)
{
	if (end <= start)
		return 0;
	if (c->count == c->room) {
		size_t room = c->room ? 2 * c->room : 64;
		struct rangeset_range *list = scratch_alloc(scratch, room * sizeof(*list));
		if (!list)
			return -1;
		if (c->count)
			memcpy(list, c->list, c->count * sizeof(*list));
		c->list = list;
		c->room = room;
	}
	c->list[c->count++] =
		(struct rangeset_range){.start = start, .end = end, .site = site, .what = what};
	return 0;
}

static bool is_ascending(const struct rangeset *c)
{
	for (size_t i = 1; i < c->count; i++)
		if (c->list[i].start < c->list[i - 1].start)
			return false;
	return true;
}

/* 0, or -1 without memory. */
static int sort_by_start(struct scratch *scratch, struct rangeset *c)
{
	if (is_ascending(c))
		return 0;
	struct sort_item *items = scratch_alloc(scratch, c->count * sizeof(*items));
	struct rangeset_range *sorted = scratch_alloc(scratch, c->count * sizeof(*sorted));
	if (!items || !sorted)
		return -1;
	for (size_t i = 0; i < c->count; i++)
		items[i] = (struct sort_item){.key = c->list[i].start, .value = i};
	sort_items(items, c->count);
	for (size_t i = 0; i < c->count; i++)
		sorted[i] = c->list[items[i].value];
	c->list = sorted;
	c->room = c->count;
	return 0;
}

int rangeset_sort(struct scratch *scratch, struct rangeset *c)
{
	size_t kept = 0;
	uint64_t taken_to = 0;
	if (sort_by_start(scratch, c)) {
		c->count = 0;
		return -1;
	}
	for (size_t i = 0; i < c->count; i++) {
		struct rangeset_range claim = c->list[i];
		if (claim.end <= taken_to)
			continue;
		if (claim.start < taken_to)
			claim.start = taken_to;
		taken_to = claim.end;
		c->list[kept++] = claim;
	}
	c->count = kept;
	return 0;
}

/* The first range that ends after address. */
static size_t first_after(const struct rangeset *c, uint64_t address)
{
	return SEARCH(c->count, i, c->list[i].end <= address);
}

const struct rangeset_range *rangeset_find(const struct rangeset *c, uint64_t address)
{
	size_t i = first_after(c, address);
	return i < c->count && c->list[i].start <= address ? &c->list[i] : NULL;
}

void rangeset_cut(const struct rangeset *const *layers, size_t count, uint64_t start, uint64_t end,
		  rangeset_visit *visit, void *arg)
{
	if (count == 0) {
		if (start < end)
			visit(arg, start, end, NULL);
		return;
	}
	const struct rangeset *c = layers[0];
	for (size_t i = first_after(c, start); i < c->count && c->list[i].start < end; i++) {
		const struct rangeset_range *claim = &c->list[i];
		uint64_t from = claim->start > start ? claim->start : start;
		uint64_t to = claim->end < end ? claim->end : end;
		if (start < from)
			rangeset_cut(layers + 1, count - 1, start, from, visit, arg);
		visit(arg, from, to, claim);
		start = to;
	}
	if (start < end)
		rangeset_cut(layers + 1, count - 1, start, end, visit, arg);
}
