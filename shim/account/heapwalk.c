/* See heapwalk.h. */
#include "account/heapwalk.h"

#include "base/work.h"

#define BUFFER_PAGES 16
#define BUFFER_BYTES (BUFFER_PAGES * PAGE_BYTES)

/* What precedes a heap's first chunk is less: its header and, in an arena's first, its state. */
#define SEARCHED_BYTES (2 * PAGE_BYTES)

/* What other code takes by sbrk is less, as a rule. */
#define GAP_BYTES (256 * KIB)

/* If more is missing than this part of what was walked, sums over all heaps are unknown. */
#define MISSED_PART 64

/* Chunks side by side that make sense; state that looks like one of them has no such neighbours. */
#define CHUNKS_IN_A_ROW 8

struct walk {
	const struct glibcchunk_heap *heap;
	struct heapwalk *out;
	struct holders *holders;
	size_t next_holder; /* the first that the walk has not passed */
	uint8_t *buffer;
	uint64_t buffer_start, buffer_end;
	struct pagemap_window read, stuck;
};

/* ---- reading ------------------------------------------------------------ */

static bool is_resident(struct walk *w, uint64_t page)
{
	return pagemap_window_bytes(&w->read, page, page + PAGE_BYTES, w->heap->end) == PAGE_BYTES;
}

/* Reads the resident pages from that of address on. -1: the chunk there cannot be read. */
static int fill(struct walk *w, uint64_t address)
{
	uint64_t start = address & ~(uint64_t)(PAGE_BYTES - 1), end = start;
	while (end < w->heap->end && end - start < BUFFER_BYTES && is_resident(w, end))
		end += PAGE_BYTES;
	w->buffer_start = w->buffer_end = start;
	if (end > start)
		w->buffer_end += selfmem_copy(start, w->buffer, end - start);
	return address + sizeof(struct glibcchunk) <= w->buffer_end ? 0 : -1;
}

/* NULL: it cannot be read. Valid until the next call. */
static const struct glibcchunk *chunk_at(struct walk *w, uint64_t address)
{
	if ((address < w->buffer_start || address + sizeof(struct glibcchunk) > w->buffer_end) &&
	    fill(w, address))
		return NULL;
	return (const void *)(w->buffer + (address - w->buffer_start));
}

/* ---- one chunk ---------------------------------------------------------- */

enum kind {
	IN_USE,
	FREE,
	TOP,   /* the end of the arena */
	FENCE, /* it was left here, because its next part is not adjacent */
	NONSENSE
};

/* What the chunk at `at` is, and its size. */
static enum kind look(struct walk *w, uint64_t at, uint64_t *bytes)
{
	const struct glibcchunk *c = chunk_at(w, at);
	if (!c)
		return NONSENSE;
	uint64_t size_flags = c->size_flags;
	*bytes = glibcchunk_bytes(c);
	if (*bytes % GLIBC_CHUNK_ALIGNED != 0 || *bytes > w->heap->end - at ||
	    size_flags & GLIBC_IS_MAPPED)
		return NONSENSE;
	if (*bytes == w->heap->end - at)
		return TOP;
	if (*bytes == GLIBC_CHUNK_ALIGNED)
		return FENCE;
	if (*bytes < GLIBC_CHUNK_LEAST || w->heap->end - at - *bytes < sizeof(*c) ||
	    !(c = chunk_at(w, at + *bytes)))
		return NONSENSE;
	if (!(c->size_flags & GLIBC_PREV_IN_USE))
		return c->before == *bytes ? FREE : NONSENSE;
	bool is_main = !(size_flags & GLIBC_NOT_MAIN);
	return is_main == w->heap->is_main ? IN_USE : NONSENSE;
}

static bool is_first(struct walk *w, uint64_t at)
{
	uint64_t bytes;
	const struct glibcchunk *c = chunk_at(w, at);
	if (!c || !(c->size_flags & GLIBC_PREV_IN_USE))
		return false;
	for (size_t i = 0; i < CHUNKS_IN_A_ROW; i++, at += bytes)
		switch (look(w, at, &bytes)) {
		case TOP:
			return true;
		case FENCE:
			return i > 0;
		case NONSENSE:
			return false;
		default:
			break;
		}
	return true;
}

/* The first chunk at or above `from`, within `bytes`. 0: it was not found. */
static uint64_t chunk_from(struct walk *w, uint64_t from, uint64_t bytes)
{
	uint64_t at = ALIGN_UP(from, (uint64_t)GLIBC_CHUNK_ALIGNED), end = w->heap->end;
	if (end > at && end - at > bytes)
		end = at + bytes;
	for (; at < end && work_may_go_on_first_half(20); at += GLIBC_CHUNK_ALIGNED)
		if (is_first(w, at))
			return at;
	return 0;
}

static uint64_t first_chunk(struct walk *w)
{
	uint64_t header = w->heap->is_main ? 0 : sizeof(struct glibcchunk_heap_header);
	return chunk_from(w, w->heap->start + header, SEARCHED_BYTES);
}

/* ---- a heap ------------------------------------------------------------- */

/* The next sampled block at or above the address; its place is where the walk can go on. */
static struct holder *holder_from(struct walk *w, uint64_t address, uint64_t *at)
{
	struct holders *h = w->holders;
	while (w->next_holder < h->count && h->items[w->next_holder].key < address)
		w->next_holder++;
	if (w->next_holder == h->count)
		return NULL;
	*at = h->items[w->next_holder].key;
	return &h->list[h->items[w->next_holder].value];
}

static void mark_walked(struct walk *w, uint64_t chunk)
{
	uint64_t at;
	struct holder *h = holder_from(w, chunk, &at);
	if (h && at == chunk)
		h->is_walked = true;
}

/*
 * Where the walk goes on above an address whose chunk makes no sense, or where the heap was left;
 * 0: nowhere. There is no sampled block near in a heap of few.
 */
static uint64_t resume(struct walk *w, uint64_t above)
{
	uint64_t at = chunk_from(w, above, GAP_BYTES);
	if (at)
		return at;
	for (struct holder *h; (h = holder_from(w, above, &at)) && at < w->heap->end;
	     w->next_holder++)
		if (h->is_in_heap)
			return at;
	return 0;
}

static void add_free(struct walk *w, struct heapwalk_class *holder, uint64_t holder_bytes,
		     uint64_t at, uint64_t bytes)
{
	uint64_t whole, stuck = glibcchunk_stuck(&w->stuck, at, bytes, w->heap->end, &whole);
	if (stuck == UNKNOWN)
		return;
	w->out->kept.returnable += whole;
	w->out->stuck_bytes += stuck;
	if (!holder || stuck == 0)
		return;
	holder->stuck_bytes += stuck;
	holder->holding++;
	holder->holding_bytes += holder_bytes;
}

/* Of the main arena, malloc_trim returns it; of the others, it never does. */
static void add_top(struct walk *w, uint64_t at)
{
	uint64_t first = ALIGN_UP(at + GLIBC_CHUNK_HEADER, (uint64_t)PAGE_BYTES);
	uint64_t bytes = first < w->heap->end ? pagemap_window_bytes(&w->stuck, first, w->heap->end,
								     w->heap->end)
					      : 0;
	if (bytes == UNKNOWN)
		return;
	if (w->heap->is_main) {
		w->out->kept.returnable += bytes;
		return;
	}
	w->out->kept.arena_ends += bytes;
	w->out->kept.end_count++;
}

/* From `at` until chunks make no sense or time runs out. Returns where that is. */
static uint64_t walk_chunks(struct walk *w, uint64_t at, enum kind *why)
{
	struct heapwalk_class *before = NULL;
	uint64_t bytes, bytes_before = 0;
	while ((*why = look(w, at, &bytes)) == IN_USE || *why == FREE) {
		if (!work_may_go_on_first_half(*why == FREE ? 60 : 20)) {
			w->out->was_cut = true;
			break;
		}
		if (*why == FREE) {
			add_free(w, before, bytes_before, at, bytes);
			before = NULL;
		} else {
			before = &w->out->classes[holder_class(bytes)];
			before->in_use++;
			bytes_before = bytes;
			mark_walked(w, at);
		}
		w->out->chunks++;
		at += bytes;
	}
	return at;
}

static void walk_heap(struct walk *w)
{
	uint64_t start = w->heap->start, at = first_chunk(w);
	enum kind why;
	if (!at)
		at = resume(w, start);
	while (at && !w->out->was_cut) {
		w->out->missed_bytes += at - start;
		start = at;
		at = walk_chunks(w, at, &why);
		w->out->walked_bytes += at - start;
		start = at;
		if (why == TOP)
			add_top(w, at);
		if (why == TOP || (why == FENCE && !w->heap->is_main))
			return; /* only the main arena goes on behind a fence, in the same heap */
		at = resume(w, start + 1);
		if (why == FENCE && at && at - start <= GAP_BYTES)
			start = at; /* what lies between is not glibc's */
	}
	w->out->missed_bytes += w->heap->end - start;
}

int heapwalk_run(struct scratch *scratch, const struct glibcchunk_heaps *heaps,
		 struct holders *holders, struct heapwalk *out)
{
	struct walk w = {.out = out, .holders = holders};
	*out = (struct heapwalk){0};
	out->classes = scratch_alloc(scratch, HOLDER_CLASSES * sizeof(*out->classes));
	w.buffer = scratch_alloc(scratch, BUFFER_BYTES);
	if (!out->classes || !w.buffer)
		return -1;
	for (size_t i = 0; i < heaps->count; i++) {
		w.heap = &heaps->list[i];
		w.buffer_start = w.buffer_end = 0;
		if (out->was_cut)
			out->missed_bytes += w.heap->end - w.heap->start;
		else
			walk_heap(&w);
	}
	if (out->was_cut || out->missed_bytes > out->walked_bytes / MISSED_PART)
		out->kept = (struct glibckept){UNKNOWN, UNKNOWN, UNKNOWN};
	return 0;
}
