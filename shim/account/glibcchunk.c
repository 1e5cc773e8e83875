/* See glibcchunk.h. */
#include "account/glibcchunk.h"

#include "base/search.h"

uint64_t glibcchunk_stuck(struct pagemap_window *window, uint64_t start, uint64_t bytes,
			  uint64_t limit, uint64_t *whole)
{
	uint64_t end = start + bytes;
	uint64_t first = ALIGN_UP(start + GLIBC_CHUNK_STATE, (uint64_t)PAGE_BYTES);
	uint64_t last = end & ~(uint64_t)(PAGE_BYTES - 1);
	if (whole)
		*whole = 0;
	if (first >= last)
		return pagemap_window_bytes(window, start, end, limit);
	uint64_t before = pagemap_window_bytes(window, start, first, limit);
	if (whole)
		*whole = pagemap_window_bytes(window, first, last, limit);
	uint64_t behind = pagemap_window_bytes(window, last, end, limit);
	if (before == UNKNOWN || behind == UNKNOWN || (whole && *whole == UNKNOWN))
		return UNKNOWN;
	return before + behind;
}

void glibcchunk_read(struct pagemap_window *window, const uint64_t *at, const uint64_t *limits,
		     size_t count, struct glibcchunk *out, bool *ok)
{
	struct glibcchunk read[SELFMEM_EACH];
	uint64_t addresses[SELFMEM_EACH] = {0};
	size_t places[SELFMEM_EACH], n = 0;
	bool was_read[SELFMEM_EACH] = {false};
	for (size_t i = 0; i < count; i++) {
		uint64_t end = at[i] + sizeof(*out);
		uint64_t bytes = at[i] % GLIBC_CHUNK_ALIGNED == 0 && end > at[i] && end <= limits[i]
					 ? pagemap_window_bytes(window, at[i], end, limits[i])
					 : 0;
		ok[i] = false;
		if (bytes != sizeof(*out)) /* UNKNOWN too */
			continue;
		places[n] = i;
		addresses[n++] = at[i];
	}
	selfmem_read_each(addresses, n, read, sizeof(*read), was_read);
	for (size_t i = 0; i < n; i++) {
		out[places[i]] = read[i];
		ok[places[i]] = was_read[i];
	}
}

/* ---- heaps -------------------------------------------------------------- */

static void add(struct glibcchunk_heaps *heaps, uint64_t start, uint64_t end, bool is_main)
{
	size_t at = heaps->count++;
	for (; at > 0 && heaps->list[at - 1].start > start; at--)
		heaps->list[at] = heaps->list[at - 1];
	heaps->list[at] = (struct glibcchunk_heap){start, end, is_main};
}

int glibcchunk_heaps_find(struct scratch *scratch, const struct rangeset *claims, uint8_t what,
			  uint64_t brk_start, uint64_t brk_end, struct glibcchunk_heaps *out)
{
	*out = (struct glibcchunk_heaps){
		.list = scratch_alloc(scratch, (claims->count + 1) * sizeof(*out->list))};
	if (!out->list)
		return -1;
	for (size_t i = 0; i < claims->count; i++) {
		const struct rangeset_range *c = &claims->list[i];
		struct glibcchunk_heap_header head;
		if (c->what == what && selfmem_read(c->start, &head, sizeof(head)) == 0 &&
		    head.bytes <= c->end - c->start)
			add(out, c->start, c->start + head.bytes, false);
	}
	if (brk_start < brk_end)
		add(out, brk_start, brk_end, true);
	return 0;
}

const struct glibcchunk_heap *glibcchunk_heap_at(const struct glibcchunk_heaps *heaps,
						 uint64_t address)
{
	size_t behind = SEARCH(heaps->count, i, heaps->list[i].start <= address);
	const struct glibcchunk_heap *h = behind > 0 ? &heaps->list[behind - 1] : NULL;
	return h && address < h->end ? h : NULL;
}
