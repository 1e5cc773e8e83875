/* See account_live.h. */
#include "account/account_live.h"

#include "base/hash.h"
#include "base/pagemap.h"
#include "base/work.h"
#include "record/live.h"
#include "record/sample.h"

/* Enough for a ratio. More would take time, and memory that the account then has to count. */
#define MAX_KEPT 8192

static uint64_t hash_address(uint64_t address)
{
	address = hash_spread(address);
	return (address ^ address >> 32) * UINT64_C(0xD6E8FEB86659FD93);
}

/* malloc/malloc.c: a size field in front, steps of 16, at least 32. */
static uint64_t glibc_chunk_bytes(uint64_t size)
{
	uint64_t bytes = ALIGN_UP(size + 8, (uint64_t)16);
	return bytes < 32 ? 32 : bytes;
}

static void keep(struct account_live *l, const struct live_block *block, uint64_t weight)
{
	if (l->count == l->room || hash_address(block->address) > l->keep_below)
		return;
	l->items[l->count] = (struct sort_item){.key = block->address, .value = l->count};
	l->blocks[l->count++] =
		(struct account_block){.size = block->size, .weight = weight, .site = block->site};
}

/*
 * A block of S bytes was sampled with probability p = 1 - e^(-S/R) and stands for S/p. It adds
 * S^2 (1-p) / p^2 to the variance of the sum. p is recomputed from the weight, which was
 * computed from it.
 */
static void visit(const struct live_block *block, void *arg)
{
	struct account_live *l = arg;
	if (l->was_cut || !work_may_go_on(100)) {
		l->was_cut = true;
		return;
	}
	double size = (double)block->size;
	uint64_t weight_fx = sample_weight(block->size, block->interval).bytes_fx;
	double weight = (double)weight_fx / (1 << WEIGHT_BYTE_BITS);
	if (block->size == 0 || weight_fx == 0)
		return;
	double p = size < weight ? size / weight : 1;
	l->bytes += weight;
	l->rounded_bytes += (double)glibc_chunk_bytes(block->size) / p;
	l->variance += weight * weight * (1 - p);
	keep(l, block, weight_fx >> WEIGHT_BYTE_BITS);
}

/* If there is little memory for answers, the rest of an account needs most of it. */
static uint64_t most_kept(void)
{
	uint64_t each = sizeof(struct sort_item) + sizeof(struct account_block);
	uint64_t most = region_scratch_max_bytes() / 8 / each;
	return most < MAX_KEPT ? most : MAX_KEPT;
}

int account_live_read(struct scratch *scratch, struct account_live *l)
{
	uint64_t count = live_count(), most = most_kept();
	*l = (struct account_live){.room = count + count / 8 + 64, .keep_below = UINT64_MAX};
	if (count > most)
		l->keep_below = UINT64_MAX / count * (most - most / 8);
	if (l->room > most)
		l->room = most;
	l->items = scratch_alloc(scratch, l->room * sizeof(*l->items));
	l->blocks = scratch_alloc(scratch, l->room * sizeof(*l->blocks));
	if (!l->items || !l->blocks)
		return -1;
	live_each(visit, l);
	sort_items(l->items, l->count);
	return 0;
}

static bool is_allocators(const struct account_part *part)
{
	return part->owner == OWNER_C_LIVE || part->owner == OWNER_C_RETAINED;
}

static void measure(struct account_live *l, struct account_block *block, uint64_t address,
		    const struct account_part *part, struct pagemap_window *window)
{
	uint64_t end = address + block->size < part->end ? address + block->size : part->end;
	block->resident = pagemap_window_bytes(window, address, end, part->end);
	if (block->resident == UNKNOWN) {
		block->resident = block->size;
		return;
	}
	double stands_for = (double)block->weight / (double)block->size;
	double resident = stands_for * (double)block->resident;
	l->all_bytes += (double)block->weight;
	l->all_resident += resident;
	if (part->owner == OWNER_C_RETAINED) {
		l->pool_bytes += (double)block->weight;
		l->pool_resident += resident;
	}
}

/* Blocks and parts are both ascending, so one pass goes through both. */
void account_live_measure(struct account_live *l, const struct account_parts *parts)
{
	struct pagemap_window window = {.end = 0};
	size_t at = 0;
	for (size_t i = 0; i < l->count; i++) {
		uint64_t address = l->items[i].key;
		while (at < parts->count && parts->list[at].end <= address)
			at++;
		if (at == parts->count)
			return;
		if (parts->list[at].start <= address && is_allocators(&parts->list[at]))
			measure(l, &l->blocks[l->items[i].value], address, &parts->list[at],
				&window);
	}
}
