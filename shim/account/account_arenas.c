/*
 * Finds Go's heap where the runtime maps it by system calls that no hook sees: in a program
 * without cgo that still calls libraries (purego).
 *
 * The runtime keeps a list of its arenas, runtime.mheap_.heapArenas (allArenas until Go 1.25): a
 * slice of arena numbers. A number is the arena's address / 64 MiB plus half of the address
 * space, so no other slice looks like it. The list is searched for in the variables of the
 * module, which needs no symbols.
 *
 * Facts by source: runtime/mheap.go, runtime/malloc.go (heapArenaBytes, arenaBaseOffset),
 * linux/amd64, Go 1.21 to 1.27.
 */
#include <string.h>

#include "base/selfmem.h"
#include "go/gomodules.h"
#include "record/mappings.h"
#include "account/account_job.h"

#define ARENA_BYTES  (64 * MIB)
#define FIRST_NUMBER UINT64_C(0x200000) /* of address 0 */
#define MAX_ARENAS   (UINT64_C(1) << 21)
#define AT_ONCE      512

struct list {
	uint64_t start, count, room;
};

/* Where the list was found in each module; it does not move. */
static uint64_t known_at[GOMODULES_MAX];

static uint64_t arena_start(uint64_t number)
{
	return (number - FIRST_NUMBER) * ARENA_BYTES;
}

/* Whether some of it is mapped and usable. */
static bool is_arena(const struct account_job *job, uint64_t number)
{
	uint64_t start = arena_start(number);
	if (number <= FIRST_NUMBER || number - FIRST_NUMBER >= MAX_ARENAS)
		return false;
	for (size_t i = 0; i < job->anonymous.count; i++)
		if (job->anonymous.list[i].start < start + ARENA_BYTES &&
		    job->anonymous.list[i].end > start)
			return true;
	return false;
}

static bool is_list(const struct account_job *job, const struct list *l)
{
	uint64_t first;
	return l->count > 0 && l->count <= l->room && l->room <= MAX_ARENAS && l->start != 0 &&
	       l->start % 8 == 0 && selfmem_read(l->start, &first, sizeof(first)) == 0 &&
	       is_arena(job, first);
}

/* The longest: the runtime has copies of it for sweeping, which may be older. */
static uint64_t find_list(const struct account_job *job, uint64_t start, uint64_t end)
{
	uint64_t words[PAGE_BYTES / 8 + 2] = {0}, best = 0,
					best_count = 0; /* words begins with two of the previous
							 * page */
	struct list l;
	for (uint64_t page = start & ~(uint64_t)(PAGE_BYTES - 1); page < end; page += PAGE_BYTES) {
		words[0] = words[PAGE_BYTES / 8];
		words[1] = words[PAGE_BYTES / 8 + 1];
		if (selfmem_read(page, words + 2, PAGE_BYTES))
			memset(words + 2, 0, PAGE_BYTES);
		for (size_t i = 0; i + 2 < COUNT_OF(words); i++) {
			l = (struct list){words[i], words[i + 1], words[i + 2]};
			if (l.count <= best_count || !is_list(job, &l))
				continue;
			best = page + i * 8 - 16;
			best_count = l.count;
		}
	}
	return best;
}

static int read_list(const struct account_job *job, const struct gomodule *module, struct list *l)
{
	uint64_t *at = &known_at[module->index], start, end;
	if (*at && selfmem_read(*at, l, sizeof(*l)) == 0 && is_list(job, l))
		return 0;
	*at = account_ranges_data(job, module->tables.text, &start, &end)
		      ? find_list(job, start, end)
		      : 0;
	return *at && selfmem_read(*at, l, sizeof(*l)) == 0 && is_list(job, l) ? 0 : -1;
}

static int take(struct account_job *job, uint64_t number)
{
	uint64_t start = arena_start(number), end = start + ARENA_BYTES;
	for (size_t i = 0; i < job->anonymous.count; i++) {
		const struct rangeset_range *m = &job->anonymous.list[i];
		uint64_t from = m->start > start ? m->start : start;
		uint64_t to = m->end < end ? m->end : end;
		job->go_heap_usable += from < to ? to - from : 0;
	}
	return rangeset_add(job->scratch, &job->go_heap, start, end, OWNER_GO_HEAP, 0);
}

static int take_list(struct account_job *job, const struct list *l)
{
	uint64_t numbers[AT_ONCE];
	for (uint64_t done = 0; done < l->count; done += AT_ONCE) {
		uint64_t n = l->count - done < AT_ONCE ? l->count - done : AT_ONCE;
		if (selfmem_read(l->start + done * 8, numbers, n * 8))
			return 0;
		for (uint64_t i = 0; i < n; i++)
			if (is_arena(job, numbers[i]) && take(job, numbers[i]))
				return -1;
	}
	return 0;
}

int account_arenas_find(struct account_job *job)
{
	struct list l;
	/* The table of mappings has them if the runtime maps through libc. */
	if (job->go_heap.count != 0)
		return 0;
	for (uint32_t i = 0; i < gomodules_count(); i++) {
		const struct gomodule *module = gomodules_get(i);
		if (module->has_runtime && read_list(job, module, &l) == 0 && take_list(job, &l))
			return -1;
	}
	return 0;
}
