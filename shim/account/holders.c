/* See holders.h. */
#include "account/holders.h"

#include "base/hash.h"
#include "base/work.h"
#include "record/live.h"
#include "record/sample.h"

uint32_t holder_class(uint64_t chunk_bytes)
{
	if (chunk_bytes < 64 * KIB)
		return (uint32_t)(chunk_bytes / GLIBC_CHUNK_ALIGNED);
	return (uint32_t)(HOLDER_SMALL_CLASSES + (63 - __builtin_clzll(chunk_bytes)) - 16);
}

/* ---- collecting --------------------------------------------------------- */

static uint64_t hash_address(uint64_t address)
{
	address = hash_spread(address);
	return (address ^ address >> 32) * UINT64_C(0x9FB21C651E98DF25);
}

static void visit(const struct live_block *block, void *arg)
{
	struct holders *h = arg;
	if (h->was_cut || !work_may_go_on_first_half(100)) {
		h->was_cut = true;
		return;
	}
	if (h->count == h->room || block->address < GLIBC_CHUNK_HEADER ||
	    hash_address(block->address) > h->keep_below)
		return;
	uint64_t objects_fx = sample_weight(block->size, block->interval).objects_fx;
	double weight = (double)objects_fx / (double)(1u << WEIGHT_OBJECT_BITS);
	h->items[h->count] =
		(struct sort_item){.key = block->address - GLIBC_CHUNK_HEADER, .value = h->count};
	h->list[h->count++] = (struct holder){
		.size = block->size, .weight = weight / h->share, .site = block->site};
}

/* What a caller makes of them needs as many items again, and the rest of an answer its share. */
static uint64_t most_read(void)
{
	return region_scratch_max_bytes() / 2 / (sizeof(struct sort_item) + sizeof(struct holder));
}

int holders_collect(struct scratch *scratch, struct holders *out)
{
	uint64_t count = live_count(), most = most_read();
	*out = (struct holders){
		.room = count + count / 8 + 64, .keep_below = UINT64_MAX, .share = 1};
	if (out->room > most) {
		out->room = most;
		out->share = (double)(most - most / 8) / (double)count;
	}
	if (out->share < 1)
		out->keep_below = (uint64_t)(out->share * 18446744073709549568.0);
	out->items = scratch_alloc(scratch, out->room * sizeof(*out->items));
	out->list = scratch_alloc(scratch, out->room * sizeof(*out->list));
	if (!out->items || !out->list)
		return -1;
	live_each(visit, out);
	sort_items(out->items, out->count);
	return 0;
}

/* ---- looking ------------------------------------------------------------ */

/* Ascending blocks that are looked at together, because three reads each would cost more. */
struct batch {
	struct holder *holders[SELFMEM_EACH];
	const struct glibcchunk_heap *heaps[SELFMEM_EACH];
	uint64_t at[SELFMEM_EACH], limits[SELFMEM_EACH]; /* what is read next */
	uint64_t free_bytes[SELFMEM_EACH];
	struct glibcchunk chunks[SELFMEM_EACH];
	bool ok[SELFMEM_EACH];
	size_t count;
	/* Each step reads further up, so that each has its own window. */
	struct pagemap_window own, next, behind, stuck;
};

static void keep(struct batch *b, size_t *n, size_t from, uint64_t at)
{
	b->holders[*n] = b->holders[from];
	b->heaps[*n] = b->heaps[from];
	b->at[*n] = at;
	b->limits[*n] = b->heaps[from]->end;
	(*n)++;
}

/* A rest too small for a chunk stays with a block; blocks that were aligned can have more. */
static bool fits(const struct holder *h, uint64_t bytes)
{
	return bytes >= h->size + sizeof(uint64_t) && bytes >= GLIBC_CHUNK_LEAST &&
	       bytes <= 2 * h->size + PAGE_BYTES && bytes % GLIBC_CHUNK_ALIGNED == 0;
}

/* From the blocks' chunks to the chunks behind them. */
static void look_at_own(struct batch *b)
{
	size_t n = 0;
	glibcchunk_read(&b->own, b->at, b->limits, b->count, b->chunks, b->ok);
	for (size_t i = 0; i < b->count; i++) {
		uint64_t flags = b->chunks[i].size_flags & (GLIBC_IS_MAPPED | GLIBC_NOT_MAIN);
		uint64_t bytes = glibcchunk_bytes(&b->chunks[i]);
		if (!b->ok[i] || flags != (b->heaps[i]->is_main ? 0 : GLIBC_NOT_MAIN) ||
		    !fits(b->holders[i], bytes) || bytes >= b->limits[i] - b->at[i])
			continue;
		b->holders[i]->class = (uint16_t)holder_class(bytes);
		keep(b, &n, i, b->at[i] + bytes);
	}
	b->count = n;
}

/* From there to the chunks behind those, which say whether those are free. */
static void look_at_next(struct batch *b)
{
	size_t n = 0;
	glibcchunk_read(&b->next, b->at, b->limits, b->count, b->chunks, b->ok);
	for (size_t i = 0; i < b->count; i++) {
		uint64_t bytes = glibcchunk_bytes(&b->chunks[i]);
		if (!b->ok[i] || !(b->chunks[i].size_flags & GLIBC_PREV_IN_USE))
			continue; /* freed meanwhile */
		b->holders[i]->is_in_heap = true;
		if (bytes < GLIBC_CHUNK_LEAST || bytes % GLIBC_CHUNK_ALIGNED != 0 ||
		    bytes >= b->limits[i] - b->at[i])
			continue; /* the arena's or the heap's end */
		b->free_bytes[n] = bytes;
		keep(b, &n, i, b->at[i] + bytes);
	}
	b->count = n;
}

static void look_behind(struct batch *b)
{
	glibcchunk_read(&b->behind, b->at, b->limits, b->count, b->chunks, b->ok);
	for (size_t i = 0; i < b->count; i++) {
		uint64_t bytes = b->free_bytes[i];
		if (!b->ok[i] || b->chunks[i].size_flags & GLIBC_PREV_IN_USE ||
		    b->chunks[i].before != bytes)
			continue;
		uint64_t stuck =
			glibcchunk_stuck(&b->stuck, b->at[i] - bytes, bytes, b->limits[i], NULL);
		if (stuck != UNKNOWN)
			b->holders[i]->stuck = (uint32_t)stuck;
	}
}

static void look(struct batch *b)
{
	look_at_own(b);
	look_at_next(b);
	look_behind(b);
	b->count = 0;
}

void holders_look(struct holders *holders, const struct glibcchunk_heaps *heaps)
{
	struct batch b = {.count = 0};
	for (size_t i = 0; i < holders->count; i++) {
		uint64_t chunk = holders->items[i].key;
		const struct glibcchunk_heap *heap = glibcchunk_heap_at(heaps, chunk);
		if (!work_may_go_on_first_half(2000)) {
			holders->was_cut = true;
			return;
		}
		if (!heap)
			continue;
		b.holders[b.count] = &holders->list[holders->items[i].value];
		b.heaps[b.count] = heap;
		b.at[b.count] = chunk;
		b.limits[b.count++] = heap->end;
		if (b.count == SELFMEM_EACH)
			look(&b);
	}
	look(&b);
}
