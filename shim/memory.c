/* See memory.h. */
#include "memory.h"

#include <signal.h>

#include "sys.h"

/* More than the frames of the shim can be: not a stretch of this stack. */
#define MAX_KNOWN_BYTES (64 * KIB)

static uint64_t page_of(uint64_t address)
{
	return address & ~(uint64_t)(PAGE_BYTES - 1);
}

void memory_init(struct memory *m, const void *lo, uint64_t hi)
{
	*m = (struct memory){.next = 0};
	if (hi - (uint64_t)lo > MAX_KNOWN_BYTES)
		return;
	m->ranges[0].lo = page_of((uint64_t)lo);
	m->ranges[0].hi = page_of(hi) + PAGE_BYTES;
	m->next = 1;
}

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

static __attribute__((noinline)) bool ask_for_page(struct memory *m, uint64_t page)
{
	if (page == 0 || !sys_readable((const void *)page))
		return false;
	remember_page(m, page);
	return true;
}

bool memory_holds(struct memory *m, uint64_t address, uint64_t bytes)
{
	if (bytes == 0 || address + bytes < address)
		return false;
	for (uint64_t page = page_of(address); page < address + bytes; page += PAGE_BYTES)
		if (!page_is_known(m, page) && !ask_for_page(m, page))
			return false;
	return true;
}

bool memory_read(struct memory *m, uint64_t address, uint64_t *word)
{
	uint64_t page = page_of(address);

	if (unlikely((address & 7) != 0))
		return false;
	if (unlikely(!page_is_known(m, page)) && !ask_for_page(m, page))
		return false;
	*word = LOAD((const uint64_t *)address);
	return true;
}

static bool ask_for_stack(uint64_t here, uint64_t bytes)
{
	stack_t own;

	if (sys_call(sigaltstack, 0, &own) == 0 && (own.ss_flags & SS_ONSTACK))
		return here - (uint64_t)own.ss_sp >= bytes;
	return sys_readable((const void *)((here - bytes) & ~UINT64_C(7)));
}

bool memory_has_stack(uint64_t bytes)
{
	/* The stretch of stack that has been asked about: most calls come from the same depth. */
	static __thread struct {
		uint64_t lo, hi;
	} asked __attribute__((tls_model("initial-exec")));
	uint64_t here = (uint64_t)__builtin_frame_address(0), lo = here - bytes;
	bool touches = lo <= asked.hi && here >= asked.lo;

	if (likely(lo >= asked.lo && here <= asked.hi))
		return true;
	if (!ask_for_stack(here, bytes))
		return false;
	asked.lo = touches && asked.lo < lo ? asked.lo : lo;
	asked.hi = touches && asked.hi > here ? asked.hi : here;
	return true;
}
