/* See memory.h. */
#include "memory.h"

#include "sys.h"

static bool page_is_known(struct memory *m, uint64_t page)
{
	for (size_t i = 0; i < MEMORY_RANGES; i++)
		if (page >= m->ranges[i].lo && page < m->ranges[i].hi)
			return true;
	return false;
}

/* Grows the range that ends or starts at this page, or gives up the oldest for it. */
static void remember_page(struct memory *m, uint64_t page)
{
	for (size_t i = 0; i < MEMORY_RANGES; i++) {
		if (m->ranges[i].hi == page && m->ranges[i].lo != 0) {
			m->ranges[i].hi = page + PAGE_BYTES;
			return;
		}
		if (m->ranges[i].lo == page + PAGE_BYTES) {
			m->ranges[i].lo = page;
			return;
		}
	}
	m->ranges[m->next].lo = page;
	m->ranges[m->next].hi = page + PAGE_BYTES;
	m->next = (m->next + 1) % MEMORY_RANGES;
}

bool memory_read(struct memory *m, uint64_t address, uint64_t *word)
{
	uint64_t page = address & ~(uint64_t)(PAGE_BYTES - 1);

	if (unlikely((address & 7) != 0 || page == 0))
		return false;
	if (unlikely(!page_is_known(m, page))) {
		if (!sys_readable((const void *)address))
			return false;
		remember_page(m, page);
	}
	*word = LOAD((const uint64_t *)address);
	return true;
}
