/* See glibckept.h. */
#include "account/glibckept.h"

#include <string.h>

#include "base/work.h"
#include "account/glibcchunk.h"

/* Bin 1 is unsorted; bins below 64 have chunks under 1 KiB, which contain no whole page. */
#define BINS      127
#define FIRST_BIG 64

/* Words of an arena's state: the top is among the first, and the bins follow it. */
#define TOP_WORDS   32
#define STATE_WORDS (TOP_WORDS + 2 + 2 * BINS)

#define MAX_STEPS 131072 /* free chunks visited, in all arenas */

struct free_chunk {
	uint64_t before, size, next, previous;
};

struct walk {
	const struct glibckept_places *places;
	struct glibckept *out;
	size_t steps_left;
	struct pagemap_window window;
	bool broken; /* something was inconsistent, or there was too much of it */
};

struct arena {
	uint64_t address; /* of state[0] */
	uint64_t state[STATE_WORDS];
	uint64_t top, top_end;
	size_t top_word;
	bool is_main;
};

/* The end of the arenas' memory that contains address; 0: none does. */
static uint64_t memory_end(const struct walk *w, bool is_main, uint64_t address)
{
	const struct glibckept_places *p = w->places;
	if (is_main)
		return address >= p->brk_start && address < p->brk_end ? p->brk_end : 0;
	const struct rangeset_range *c = rangeset_find(p->heaps, address);
	return c && c->what == p->what ? c->end : 0;
}

static bool in_memory(const struct walk *w, bool is_main, uint64_t start, uint64_t end)
{
	return start < end && end <= memory_end(w, is_main, start);
}

/* ---- an arena ----------------------------------------------------------- */

/* The end of the arena's newest heap if it contains address; otherwise 0. */
static uint64_t heap_end(uint64_t arena, uint64_t address)
{
	struct glibcchunk_heap_header head;
	uint64_t heap = address & ~(GLIBC_HEAP_BYTES - 1);
	if (selfmem_read(heap, &head, sizeof(head)) || head.arena != arena ||
	    head.bytes > GLIBC_HEAP_BYTES)
		return 0;
	return heap + head.bytes;
}

/* The chunk at address ends at the end of a page, and the chunk before it is in use. */
static uint64_t top_end(uint64_t address)
{
	struct free_chunk c;
	if (address % 16 != 0 || selfmem_read(address, &c, 2 * sizeof(c.size)) ||
	    !(c.size & GLIBC_PREV_IN_USE) || (c.size & ~GLIBC_FLAGS) < 16 ||
	    (c.size & ~GLIBC_FLAGS) > UINT64_C(1) << 40)
		return 0;
	uint64_t end = address + (c.size & ~GLIBC_FLAGS);
	return end % PAGE_BYTES == 0 ? end : 0;
}

static uint64_t bin_address(const struct arena *a, size_t bin)
{
	return a->address + (a->top_word + 2 * (bin - 1)) * 8;
}

static const uint64_t *bin_links(const struct arena *a, size_t bin)
{
	return &a->state[a->top_word + 2 + 2 * (bin - 1)];
}

/* Each bin is either empty, and then linked to itself, or its ends are in the arenas' memory. */
static bool has_bins(const struct walk *w, const struct arena *a)
{
	for (size_t bin = 1; bin < BINS; bin++) {
		const uint64_t *links = bin_links(a, bin);
		bool empty = links[0] == bin_address(a, bin) && links[1] == links[0];
		if (!empty &&
		    (!in_memory(w, a->is_main, links[0], links[0] + sizeof(struct free_chunk)) ||
		     !in_memory(w, a->is_main, links[1], links[1] + sizeof(struct free_chunk))))
			return false;
	}
	return true;
}

static bool is_top(const struct walk *w, struct arena *a, size_t word)
{
	uint64_t at = a->state[word];
	if (!in_memory(w, a->is_main, at, at + 16))
		return false;
	a->top = at;
	a->top_end = top_end(at);
	a->top_word = word;
	return a->top_end && in_memory(w, a->is_main, at, a->top_end) &&
	       (a->is_main || a->top_end == heap_end(a->address, at)) && has_bins(w, a);
}

/* ---- resident part ------------------------------------------------------ */

/* limit: the end of the mapping. */
static void add_resident(struct walk *w, uint64_t *sum, uint64_t start, uint64_t end,
			 uint64_t limit)
{
	if (start >= end)
		return;
	uint64_t bytes = pagemap_window_bytes(&w->window, start, end, limit);
	if (bytes == UNKNOWN)
		w->broken = true;
	else
		*sum += bytes;
}

static void add_end(struct walk *w, const struct arena *a)
{
	uint64_t start = ALIGN_UP(a->top + 16, (uint64_t)PAGE_BYTES);
	/* Memory that other code took by sbrk above it keeps the main arena's end in place. */
	if (a->is_main && a->top_end == w->places->brk_end) {
		add_resident(w, &w->out->returnable, start, a->top_end, a->top_end);
		return;
	}
	w->out->end_count++;
	add_resident(w, &w->out->arena_ends, start, a->top_end, a->top_end);
}

static void add_bin(struct walk *w, const struct arena *a, size_t bin)
{
	uint64_t end_of_list = bin_address(a, bin), before = end_of_list;
	struct free_chunk c;
	for (uint64_t at = bin_links(a, bin)[0]; at != end_of_list; at = c.next) {
		if (w->steps_left == 0 || !work_may_go_on_first_half(1500) || at % 16 != 0 ||
		    !in_memory(w, a->is_main, at, at + sizeof(c)) ||
		    selfmem_copy(at, &c, sizeof(c)) != sizeof(c) || c.previous != before ||
		    (c.size & ~GLIBC_FLAGS) < GLIBC_CHUNK_LEAST ||
		    !in_memory(w, a->is_main, at, at + (c.size & ~GLIBC_FLAGS))) {
			w->broken = true;
			return;
		}
		w->steps_left--;
		before = at;
		add_resident(w, &w->out->returnable,
			     ALIGN_UP(at + GLIBC_CHUNK_STATE, (uint64_t)PAGE_BYTES),
			     (at + (c.size & ~GLIBC_FLAGS)) & ~(uint64_t)(PAGE_BYTES - 1),
			     memory_end(w, a->is_main, at));
	}
}

static void add_arena(struct walk *w, const struct arena *a)
{
	add_end(w, a);
	add_bin(w, a, 1);
	for (size_t bin = FIRST_BIG; bin < BINS && !w->broken; bin++)
		add_bin(w, a, bin);
}

/* ---- all arenas --------------------------------------------------------- */

/* Looks for an arena whose first heap starts here; its state is in the heap's first page. */
static void look_at_heap(struct walk *w, uint64_t heap)
{
	struct glibcchunk_heap_header head;
	struct arena a = {.is_main = false};
	if (heap % GLIBC_HEAP_BYTES != 0 || selfmem_read(heap, &head, sizeof(head)) ||
	    head.arena - heap >= PAGE_BYTES) /* a later heap of its arena */
		return;
	a.address = head.arena;
	if (selfmem_read(a.address, a.state, sizeof(a.state)) == 0)
		for (size_t i = 0; i < TOP_WORDS; i++)
			if (is_top(w, &a, i)) {
				add_arena(w, &a);
				return;
			}
	w->broken = true;
}

/* The main arena is a variable of libc; its top is the word that its bins follow. */
static void look_for_main(struct walk *w)
{
	const struct glibckept_places *p = w->places;
	struct arena a = {.is_main = true};
	if (p->brk_start == p->brk_end)
		return;
	for (uint64_t at = p->data_start; at + sizeof(a.state) <= p->data_end;
	     at += TOP_WORDS * 8) {
		a.address = at;
		if (selfmem_copy(at, a.state, sizeof(a.state)) != sizeof(a.state))
			continue;
		for (size_t i = 0; i < TOP_WORDS; i++)
			if (is_top(w, &a, i)) {
				add_arena(w, &a);
				return;
			}
	}
	w->broken = true;
}

void glibckept_read(const struct glibckept_places *places, struct glibckept *out)
{
	struct walk w = {.places = places, .out = out, .steps_left = MAX_STEPS};
	*out = (struct glibckept){0};
	for (size_t i = 0; i < places->heaps->count && !w.broken; i++)
		if (places->heaps->list[i].what == places->what)
			look_at_heap(&w, places->heaps->list[i].start);
	if (!w.broken)
		look_for_main(&w);
	if (w.broken)
		*out = (struct glibckept){UNKNOWN, UNKNOWN, UNKNOWN};
}
