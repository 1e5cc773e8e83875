/*
 * Reads the table of mappings, and removes ranges that no longer exist: see mappings.h.
 */
#include "record/mappings_fragment.h"
#include "record/mappings_lock.h"
#include "record/mappings.h"

/* ---- reading ---------------------------------------------------------- */

static struct mappings_range range_of(const struct mappings_node *n)
{
	return (struct mappings_range){.start = n->start,
				       .end = n->end,
				       .site = n->site,
				       .tick = n->tick,
				       .kind = n->kind,
				       .flags = n->flags,
				       .thread = n->thread};
}

bool mappings_find(uint64_t address, struct mappings_range *out)
{
	if (mappings_enter())
		return false;
	uint32_t node = mappings_above(address);
	bool found = node && mappings_follow(node)->start <= address;
	if (found)
		*out = range_of(mappings_follow(node));
	mappings_leave();
	return found;
}

/* Ranges copied per hold of the lock: about ten microseconds. */
#define COPY_AT_ONCE 64

/* Copies ranges that end above *address and sets *address to where to continue. Returns their
 * number; fewer than room: all were copied. */
static size_t copy_some(uint64_t *address, struct mappings_range *out, size_t room)
{
	size_t n = 0;

	if (mappings_enter())
		return 0;
	for (uint32_t node = mappings_above(*address); node && n < room;
	     node = mappings_above(*address)) {
		out[n++] = range_of(mappings_follow(node));
		*address = mappings_follow(node)->end;
	}
	mappings_leave();
	return n;
}

/* -1: there was not room for all. */
static int copy_all(struct mappings_range *list, size_t room, size_t *count)
{
	uint64_t address = 0;
	size_t n = 0, got, at_once;

	do {
		at_once = room - n < COPY_AT_ONCE ? room - n : COPY_AT_ONCE;
		got = copy_some(&address, list + n, at_once);
		n += got;
	} while (got == at_once && n < room);
	*count = n;
	return n < room ? 0 : -1;
}

long mappings_copy(struct scratch *scratch, struct mappings_range **out)
{
	size_t room, count = 0;

	do {
		/* Leaves room for ranges mapped meanwhile. */
		room = (size_t)mappings_counters().ranges * 5 / 4 + 64;
		*out = scratch_alloc(scratch, room * sizeof(**out));
		if (!*out)
			return -1;
	} while (copy_all(*out, room, &count));
	return (long)count;
}

void mappings_each_site(void (*visit)(uint32_t site))
{
	struct mappings_range some[COPY_AT_ONCE];
	uint64_t address = 0;
	size_t n;

	do {
		n = copy_some(&address, some, COPY_AT_ONCE);
		for (size_t i = 0; i < n; i++)
			visit(some[i].site);
	} while (n == COPY_AT_ONCE);
}

/* ---- reconciling ------------------------------------------------------ */

/* Whether an old range is in the gap. Always moves upwards, so that a damaged tree cannot
 * cause an endless loop. */
static bool any_older(uint64_t start, uint64_t end, uint32_t since)
{
	for (uint64_t at = start;;) {
		uint32_t node = mappings_above(at);
		const struct mappings_node *n = mappings_follow(node);
		if (!node || n->start >= end)
			return false;
		if (n->tick < since)
			return true;
		if (n->end <= at)
			return false;
		at = n->end;
	}
}

static uint64_t forget_gap(uint64_t start, uint64_t end, uint32_t since)
{
	uint64_t bytes = 0;
	uint32_t kept = 0, node;
	struct mappings_parts p;

	if (start >= end || mappings_enter())
		return 0;
	if (any_older(start, end, since)) {
		p = mappings_take_apart(start, end);
		while ((node = mappings_tree_take_first(&p.middle))) {
			const struct mappings_node *n = mappings_follow(node);
			if (n->tick >= since) {
				kept = mappings_fragment_append(kept, node);
				continue;
			}
			bytes += n->end - n->start;
			mappings_fragment_release(node);
			mappings_tree_free(node);
		}
		p.middle = kept;
		mappings_put_together(&p);
	}
	mappings_leave();
	return bytes;
}

uint64_t mappings_reconcile(const struct mappings_span *mapped, size_t count, uint32_t since_tick)
{
	uint64_t bytes = 0, end = 0;

	for (size_t i = 0; i < count; i++) {
		bytes += forget_gap(end, mapped[i].start, since_tick);
		end = mapped[i].end;
	}
	return bytes + forget_gap(end, mappings_page(UINT64_MAX), since_tick);
}
