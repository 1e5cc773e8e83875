/* See account_top.h. */
#include "account/account_top.h"

#include <string.h>

#include "base/sort.h"

static uint64_t key_of(const struct account_part *p)
{
	return (uint64_t)p->site << 16 | p->file;
}

/* Each site and file of the owner once; NULL: out of scratch. */
static struct account_top *sum_sites(struct scratch *scratch, const struct account_parts *parts,
				     enum account_owner owner, size_t *count)
{
	size_t n = 0;
	struct sort_item *items = scratch_alloc(scratch, parts->count * sizeof(*items));
	struct account_top *sites = scratch_alloc(scratch, parts->count * sizeof(*sites));
	*count = 0;
	if (!items || !sites)
		return NULL;
	for (size_t i = 0; i < parts->count; i++)
		if (parts->list[i].owner == owner)
			items[n++] = (struct sort_item){.key = key_of(&parts->list[i]), .value = i};
	sort_items(items, n);
	for (size_t i = 0; i < n; i++) {
		const struct account_part *p = &parts->list[items[i].value];
		if (i == 0 || items[i].key != items[i - 1].key)
			sites[(*count)++] = (struct account_top){.site = p->site, .file = p->file};
		sites[*count - 1].resident += p->resident;
		sites[*count - 1].mapped += p->end - p->start;
	}
	return sites;
}

/* Moves the largest to the front, in order. Returns their number. */
static size_t keep_largest(struct account_top *sites, size_t count)
{
	size_t kept = count < ACCOUNT_TOP ? count : ACCOUNT_TOP;
	for (size_t i = 0; i < kept; i++) {
		size_t largest = i;
		for (size_t k = i + 1; k < count; k++)
			if (sites[k].resident > sites[largest].resident)
				largest = k;
		struct account_top swap = sites[i];
		sites[i] = sites[largest];
		sites[largest] = swap;
	}
	return kept;
}

size_t account_top_read(struct scratch *scratch, const struct account_parts *parts,
			enum account_owner owner, struct account_top out[ACCOUNT_TOP])
{
	size_t count;
	struct account_top *sites = sum_sites(scratch, parts, owner, &count);
	if (!sites)
		return 0;
	count = keep_largest(sites, count);
	memcpy(out, sites, count * sizeof(*out));
	return count;
}
