/* See glibcheap.h. */
#include "account/glibcheap.h"

#include "base/work.h"
#include "account/glibcchunk.h"

static bool is_whole_pages(uint64_t bytes)
{
	return bytes != 0 && bytes % PAGE_BYTES == 0;
}

void glibcheap_init(struct glibcheap *h, struct scratch *scratch)
{
	*h = (struct glibcheap){.scratch = scratch};
}

static void add(struct glibcheap *h, struct rangeset *to, uint64_t start, uint64_t end,
		uint8_t what)
{
	if (rangeset_add(h->scratch, to, start, end, what, 0))
		h->failed = true;
}

static void add_big(struct glibcheap *h, uint64_t start, uint64_t end)
{
	add(h, &h->found, start, end, GLIBCHEAP_BIG);
	h->big_bytes += end - start;
}

/* Merges neighbours, because a chunk may extend across a place where a heap could have started. */
static void add_unknown(struct glibcheap *h, uint64_t start, uint64_t end)
{
	struct rangeset_range *last =
		h->unknown.count ? &h->unknown.list[h->unknown.count - 1] : NULL;
	if (last && last->end == start)
		last->end = end;
	else
		add(h, &h->unknown, start, end, 0);
}

/* ---- headers ------------------------------------------------------------ */

/* The end of the heap that starts at address, or 0. */
static uint64_t heap_at(struct glibcheap *h, uint64_t address)
{
	struct glibcchunk_heap_header head;
	if (address % GLIBC_HEAP_BYTES != 0 || selfmem_read(address, &head, sizeof(head)))
		return 0;
	bool is_first = head.arena - address < PAGE_BYTES;
	if (head.arena % GLIBC_HEAP_BYTES >= PAGE_BYTES || head.arena < GLIBC_HEAP_BYTES ||
	    head.previous % GLIBC_HEAP_BYTES != 0 || is_first != (head.previous == 0) ||
	    !is_whole_pages(head.bytes) || !is_whole_pages(head.usable_bytes) ||
	    head.bytes > head.usable_bytes || head.usable_bytes > GLIBC_HEAP_BYTES)
		return 0;
	h->arenas += is_first;
	h->heap_bytes += head.bytes;
	return address + head.usable_bytes;
}

/* The end of the mapping that has this chunk at its end, or 0. Since glibc 2.43 its size leaves out
 * the room of a header there. */
static uint64_t mapping_end(uint64_t chunk, const struct glibcchunk *c)
{
	uint64_t end = chunk + glibcchunk_bytes(c);
	if (end % PAGE_BYTES == PAGE_BYTES - GLIBC_CHUNK_HEADER)
		end += GLIBC_CHUNK_HEADER;
	return (c->size_flags & GLIBC_FLAGS) == GLIBC_IS_MAPPED && end % PAGE_BYTES == 0 &&
			       end > chunk
		       ? end
		       : 0;
}

static uint64_t chunk_end(uint64_t address, const struct glibcchunk *c, uint64_t limit)
{
	uint64_t end = mapping_end(address, c);
	return c->before == 0 && end <= limit ? end : 0;
}

/* The end of the chunk whose mapping starts at address, or 0. */
static uint64_t chunk_at(uint64_t address, uint64_t limit)
{
	struct glibcchunk c;
	return selfmem_read(address, &c, sizeof(c)) == 0 ? chunk_end(address, &c, limit) : 0;
}

/* ---- searching ---------------------------------------------------------- */

static uint64_t next_heap_boundary(uint64_t address)
{
	return (address & ~(GLIBC_HEAP_BYTES - 1)) + GLIBC_HEAP_BYTES;
}

/* The next place where one may start, which must have a resident page. If time has run out,
 * there is none. */
static uint64_t may_be_heap_after(uint64_t address, uint64_t end)
{
	uint64_t boundary = next_heap_boundary(address);
	if (boundary >= end || !work_may_go_on_first_half(10000))
		return end;
	uint64_t resident = pagemap_next(boundary, end);
	boundary = ALIGN_UP(resident, GLIBC_HEAP_BYTES);
	return boundary < end ? boundary : end;
}

void glibcheap_look(struct glibcheap *h, uint64_t at, uint64_t end)
{
	while (at < end) {
		uint64_t stop = heap_at(h, at);
		if (stop) {
			stop = stop < end ? stop : end;
			add(h, &h->found, at, stop, GLIBCHEAP_ARENA);
		} else if ((stop = chunk_at(at, end)) != 0) {
			add_big(h, at, stop);
		} else {
			stop = may_be_heap_after(at, end);
			add_unknown(h, at, stop);
		}
		at = stop;
	}
}

/* ---- by blocks: an aligned one is inside its chunk, whatever is at the chunk's start ---- */

static void look_at_block(struct glibcheap *h, uint64_t block)
{
	struct glibcchunk c;
	uint64_t chunk = block - GLIBC_CHUNK_HEADER;
	if (block % GLIBC_CHUNK_HEADER != 0 || selfmem_read(chunk, &c, sizeof(c)) ||
	    c.before >= chunk)
		return;
	uint64_t start = chunk - c.before, end = mapping_end(chunk, &c);
	if (start % PAGE_BYTES != 0 || !end)
		return;
	/* The walk may already have covered the chunk up to an earlier, smaller size. */
	const struct rangeset_range *gap = rangeset_find(&h->unknown, end - 1);
	if (gap)
		add_big(h, start > gap->start ? start : gap->start, end);
}

/* ---- page by page ---------------------------------------------------------- */

struct search {
	struct glibcheap *heap;
	uint64_t expected;
	size_t pages_left;
	uint64_t seen_to;      /* end of the last chunk found */
	struct rangeset known; /* found by their blocks, so already counted */
	struct pagemap_window window;
	uint64_t pages[SELFMEM_EACH];
	size_t count; /* pages to read at once */
};

static void search_read(struct search *s, uint64_t end)
{
	struct glibcchunk heads[SELFMEM_EACH];
	bool ok[SELFMEM_EACH];
	selfmem_read_each(s->pages, s->count, heads, sizeof(heads[0]), ok);
	for (size_t i = 0; i < s->count; i++) {
		uint64_t stop = ok[i] && s->pages[i] >= s->seen_to
					? chunk_end(s->pages[i], &heads[i], end)
					: 0;
		if (stop && s->heap->big_bytes + (stop - s->pages[i]) <= s->expected) {
			add_big(s->heap, s->pages[i], stop);
			s->seen_to = stop;
		}
	}
	s->count = 0;
}

static void search_range(struct search *s, uint64_t start, uint64_t end)
{
	for (uint64_t page = start; page < end && s->pages_left > 0; page += PAGE_BYTES) {
		uint64_t resident;
		if (page < s->window.start || page >= s->window.end)
			page = pagemap_next(page, end);
		if (page >= end || !work_may_go_on_first_half(500))
			break;
		if (page < s->seen_to || rangeset_find(&s->known, page))
			continue;
		resident = pagemap_window_bytes(&s->window, page, page + 1, end);
		if (resident == UNKNOWN)
			break;
		if (!resident)
			continue;
		s->pages[s->count++] = page;
		s->pages_left--;
		if (s->count == SELFMEM_EACH)
			search_read(s, end);
	}
	search_read(s, end);
}

void glibcheap_finish(struct glibcheap *h, const struct glibcheap_hints *hints)
{
	struct search s = {.heap = h, .expected = hints->big_bytes, .pages_left = hints->max_pages};
	if (hints->big_bytes != UNKNOWN && rangeset_sort(h->scratch, &h->unknown) == 0) {
		for (size_t i = 0; i < hints->block_count && h->big_bytes < s.expected; i++)
			look_at_block(h, hints->blocks[i]);
		if (rangeset_sort(h->scratch, &h->found))
			h->failed = true;
		s.known = h->found;
		for (size_t i = 0; i < h->unknown.count && h->big_bytes < s.expected; i++)
			search_range(&s, h->unknown.list[i].start, h->unknown.list[i].end);
	}
	if (rangeset_sort(h->scratch, &h->found))
		h->failed = true;
}
