/* See threads.h. */
#include "threads.h"

#include <errno.h>

#include "arch.h"
#include "forked.h"
#include "handlers.h"
#include "ledger.h"
#include "live.h"
#include "pins.h"
#include "real.h"
#include "recstack.h"
#include "region.h"
#include "sample.h"
#include "stacks.h"
#include "sys.h"
#include "track.h"
#include "track_map.h"

/* ---- blocks ----------------------------------------------------------- */

/* What a new thread is to do. */
struct thread_start {
	void *(*start)(void *);
	void *arg;
	uint64_t stack_bytes;
	uint32_t site;
	uint32_t next; /* in the list of free blocks */
};

/* Block 0 is no block.  The list's head has a count in its upper half, so that a block that was
 * taken and given back meanwhile is not mistaken for an untouched one. */
static uint64_t free_blocks;
static uint32_t unused_blocks = 1; /* from here on never used */

static struct thread_start *block_at(uint32_t block)
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

static uint32_t block_take(void)
{
	uint64_t head = LOAD_ACQ(&free_blocks);

	while ((uint32_t)head) {
		uint32_t next;
		/* A host's wild write: what the list led to is given up. */
		if ((uint32_t)head >= block_count())
			break;
		next = LOAD(&block_at((uint32_t)head)->next);
		if (__atomic_compare_exchange_n(&free_blocks, &head, head_of(head, next), true,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return (uint32_t)head;
	}
	return block_never_used();
}

static void block_give(uint32_t block)
{
	uint64_t head = LOAD(&free_blocks);

	STORE(&block_at(block)->site, 0);
	do
		STORE(&block_at(block)->next, (uint32_t)head);
	while (!__atomic_compare_exchange_n(&free_blocks, &head, head_of(head, block), true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

void threads_each_site(void (*visit)(uint32_t site))
{
	uint32_t end = LOAD(&unused_blocks);

	for (uint32_t block = 1; block < end; block++)
		visit(LOAD_ACQ(&block_at(block)->site));
}

/* ---- where a thread's stack lies -------------------------------------- */

static pthread_attr_t defaults;
static pthread_key_t key;
static bool key_is_good;
static uint64_t missed;

static void stack_ended(void *end)
{
	forked_look();
	/* In a child, another thread may have been changing the ledger as it was copied. */
	if (LOAD(&shim_state) != SHIM_ACTIVE)
		return;
	ledger_stack_ended((uint64_t)end - 1);
}

/* As in sample.c: only the first 32 keys can be set without allocating. */
void threads_init(void)
{
	if (pthread_attr_init(&defaults) || pthread_key_create(&key, stack_ended))
		return;
	if (key >= 32)
		pthread_key_delete(key);
	else
		key_is_good = true;
}

uint64_t threads_missed(void)
{
	return LOAD(&missed);
}

/* 0: the program's own.  glibc keeps the stack's end, which is NULL until it is set. */
static size_t stack_bytes(const pthread_attr_t *attributes)
{
	void *start = NULL;
	size_t bytes = 0;

	if (!attributes)
		attributes = &defaults;
	if (real.pthread_attr_getstack(attributes, &start, &bytes) || (uintptr_t)start + bytes != 0)
		return 0;
	return real.pthread_attr_getstacksize(attributes, &bytes) ? 0 : bytes;
}

/*
 * glibc maps guard and stack in one, the size rounded down to the alignment of
 * thread-local storage, and puts the thread's descriptor at the very end; the
 * thread pointer is the descriptor's address (nptl/allocatestack.c).  What
 * matters of the descriptor's own size is that it is more than this and less
 * than a page.
 */
#define DESCRIPTOR_BYTES UINT64_C(2048)
#define STACK_ALIGNMENT  UINT64_C(64)

static uint64_t stack_end(void)
{
	return ALIGN_UP(arch_thread_pointer() + DESCRIPTOR_BYTES, (uint64_t)PAGE_BYTES);
}

static uint64_t stack_start(uint64_t end, uint64_t bytes)
{
	return end - ALIGN_UP(bytes & ~(STACK_ALIGNMENT - 1), (uint64_t)PAGE_BYTES);
}

static void record_stack_here(void *start, const struct regs *host)
{
	const struct thread_start *s = start;
	uint64_t end = stack_end();
	struct ledger_range range = {.start = stack_start(end, s->stack_bytes),
				     .end = end,
				     .site = s->site,
				     .tick = live_tick_now(),
				     .kind = LEDGER_THREAD_STACK,
				     .flags = LEDGER_USABLE,
				     .thread = (uint32_t)sample_thread_id()};
	uint8_t before = sample_enter();

	(void)host;
	if (real.pthread_setspecific(key, (void *)end) == 0)
		ledger_map(&range);
	sample_leave(before);
}

/* ---- the start of a thread -------------------------------------------- */

static void *thread_main(void *p)
{
	struct thread_start *s = p;
	void *(*start)(void *) = s->start;
	void *arg = s->arg;

	recstack_run_anyhow(record_stack_here, s);
	block_give((uint32_t)(s - block_at(0)));
	return start(arg);
}

/* What the host asks for. */
struct creation {
	const pthread_attr_t *attributes;
	void *(*start)(void *);
	void *arg;
	uint64_t leaf; /* the real function that will make it */
	uint64_t caller;
	uint32_t block; /* 0: this thread is to start without us */
};

static void prepare_here(void *creation, const struct regs *host)
{
	struct creation *c = creation;
	size_t bytes = stack_bytes(c->attributes);
	struct thread_start *start;
	uint32_t pin;

	handlers_look_at_thread();
	if (!bytes) /* on a stack that the program has mapped */
		return;
	if (key_is_good && !LOAD(&sample_self.busy))
		c->block = block_take();
	if (!c->block) {
		ADD(&missed, 1);
		return;
	}
	start = block_at(c->block);
	start->start = c->start;
	start->arg = c->arg;
	start->stack_bytes = bytes;
	pin = pins_enter();
	STORE(&start->site, track_map_site(host, bytes, ORIGIN_THREAD_STACK, c->leaf, c->caller));
	pins_leave(pin);
}

static void prepare(struct creation *c)
{
	int error = errno;

	if (unlikely(!recstack_run(prepare_here, c)))
		ADD(&missed, 1);
	errno = error;
}

int threads_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
		   void *arg, uint64_t caller)
{
	struct creation c = {.attributes = attributes,
			     .start = start,
			     .arg = arg,
			     .leaf = (uint64_t)real.pthread_create,
			     .caller = caller};
	int result;

	prepare(&c);
	if (!c.block)
		return real.pthread_create(thread, attributes, start, arg);
	result = real.pthread_create(thread, attributes, thread_main, block_at(c.block));
	if (result)
		block_give(c.block);
	return result;
}

/*
 * Its start routine returns an int, in the register whose lower half that is, so that
 * a routine of the other type may stand in for it.
 */
int threads_create_c11(pthread_t *thread, int (*start)(void *), void *arg, uint64_t caller)
{
	struct creation c = {.start = (void *(*)(void *))(void *)start,
			     .arg = arg,
			     .leaf = (uint64_t)real.thrd_create,
			     .caller = caller};
	int result;

	prepare(&c);
	if (!c.block)
		return real.thrd_create(thread, start, arg);
	result = real.thrd_create(thread, (int (*)(void *))(void *)thread_main, block_at(c.block));
	if (result)
		block_give(c.block);
	return result;
}
