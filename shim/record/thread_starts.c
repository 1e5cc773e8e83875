/* See thread_starts.h. */
#include "record/thread_starts.h"

#include "region/region.h"

/* Block 0 means none. The upper half of the list's head is a counter, so that a block that
 * was taken and given back meanwhile is not mistaken for an untouched one. */
static uint64_t free_blocks;
static uint32_t unused_blocks = 1; /* blocks from here on were never used */

struct thread_start *thread_starts_at(uint32_t block)
{
	return (struct thread_start *)region_at(region_layout.thread_starts.offset) + block;
}

static uint32_t block_count(void)
{
	return (uint32_t)(region_layout.thread_starts.bytes / sizeof(struct thread_start));
}

static uint64_t head_of(uint64_t before, uint32_t block)
{
	return ((before >> 32) + 1) << 32 | block;
}

static uint32_t block_never_used(void)
{
	uint32_t block = LOAD(&unused_blocks);

	do {
		if (block >= block_count())
			return 0;
	} while (!__atomic_compare_exchange_n(&unused_blocks, &block, block + 1, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return block;
}

uint32_t thread_starts_take(void)
{
	uint64_t head = LOAD_ACQ(&free_blocks);

	while ((uint32_t)head) {
		uint32_t next;
		/* A wild write of the host: the rest of the list is abandoned. */
		if ((uint32_t)head >= block_count())
			break;
		next = LOAD(&thread_starts_at((uint32_t)head)->next);
		if (__atomic_compare_exchange_n(&free_blocks, &head, head_of(head, next), true,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return (uint32_t)head;
	}
	return block_never_used();
}

/* The server that finds no site here takes the lock of the mappings after that, so it finds the
 * mapping that the thread added under that lock. */
void thread_starts_give(uint32_t block)
{
	uint64_t head = LOAD(&free_blocks);

	STORE(&thread_starts_at(block)->site, 0);
	do
		STORE(&thread_starts_at(block)->next, (uint32_t)head);
	while (!__atomic_compare_exchange_n(&free_blocks, &head, head_of(head, block), true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

void thread_starts_each_site(void (*visit)(uint32_t site))
{
	uint32_t end = LOAD(&unused_blocks);

	for (uint32_t block = 1; block < end; block++)
		visit(LOAD_ACQ(&thread_starts_at(block)->site));
}
