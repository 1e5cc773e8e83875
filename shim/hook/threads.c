/* See threads.h. */
#include "hook/threads.h"

#include <errno.h>

#include "base/arch.h"
#include "base/forked.h"
#include "base/libc.h"
#include "base/state.h"
#include "base/sys.h"
#include "region/recstack.h"
#include "region/region.h"
#include "unwind/descriptor.h"
#include "unwind/threadroots.h"
#include "record/live.h"
#include "record/mappings.h"
#include "record/pins.h"
#include "record/sample.h"
#include "record/sighandlers.h"
#include "record/stacks.h"
#include "record/thread_starts.h"
#include "hook/malloc_slow.h"
#include "hook/maker.h"
#include "hook/real.h"

/* ---- where a thread's stack lies -------------------------------------- */

static pthread_attr_t defaults;
static pthread_key_t key;
static bool key_is_good;
static uint64_t missed;

static void stack_ended(void *end)
{
	forked_look();
	/* In a child, the table of mappings may have been copied while another thread was
	 * changing it. */
	if (shim_state_now() != SHIM_ACTIVE)
		return;
	mappings_stack_ended((uint64_t)end - 1);
}

/* As in sample.c: only the first 32 keys can be set without allocating. */
void threads_init(void)
{
	if (libc.pthread_attr_init(&defaults) || libc.pthread_key_create(&key, stack_ended))
		return;
	if (key >= 32)
		libc.pthread_key_delete(key);
	else
		key_is_good = true;
}

uint64_t threads_missed(void)
{
	return LOAD(&missed);
}

/* 0: the program supplies the stack. glibc stores the stack's end, which is NULL until it is
 * set; musl fails until then. */
static size_t stack_bytes(const pthread_attr_t *attributes)
{
	void *start = NULL;
	size_t bytes = 0;

	if (!attributes)
		attributes = &defaults;
	int error = libc.pthread_attr_getstack(attributes, &start, &bytes);
	if (libc_kind() == LIBC_MUSL ? !error : error || (uintptr_t)start + bytes != 0)
		return 0;
	return libc.pthread_attr_getstacksize(attributes, &bytes) ? 0 : bytes;
}

/*
 * glibc maps guard and stack together, rounds the size down to the alignment of thread-local
 * storage, and puts the thread's descriptor at the very end; the thread pointer is the
 * descriptor's address (nptl/allocatestack.c). The descriptor is larger than this and smaller
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

/* musl's descriptor says what it mapped; the guard's pages are not in use. */
static struct descriptor_stack own_stack(size_t bytes)
{
	uint64_t end = stack_end(), self = arch_thread_pointer();
	struct descriptor_stack stack = {stack_start(end, bytes), end};

	if (libc_kind() == LIBC_MUSL &&
	    descriptor_musl_mapping((const uint64_t *)self, self, &stack))
		stack.start = stack.top = 0;
	return stack;
}

static void record_stack_here(void *start, const struct regs *host)
{
	const struct thread_start *s = start;
	struct descriptor_stack stack = own_stack(s->stack_bytes);
	struct mappings_range range = {.start = stack.start,
				       .end = stack.top,
				       .site = s->site,
				       .tick = live_tick_now(),
				       .kind = MAPPINGS_THREAD_STACK,
				       .flags = MAPPINGS_USABLE,
				       .thread = (uint32_t)sample_thread_id()};
	uint8_t before = sample_enter();

	(void)host;
	if (!stack.top)
		ADD(&missed, 1);
	else if (libc.pthread_setspecific(key, (void *)stack.top) == 0)
		mappings_map(&range);
	sample_leave(before);
}

/* ---- the start of a thread -------------------------------------------- */

static void *thread_main(void *p)
{
	struct thread_start *s = p;
	void *(*start)(void *) = s->start;
	void *arg = s->arg;

	threadroots_note((uint64_t)__builtin_return_address(0));
	recstack_run_anyhow(record_stack_here, s);
	thread_starts_give((uint32_t)(s - thread_starts_at(0)));
	return start(arg);
}

/* The arguments of the host's call. */
struct creation {
	const pthread_attr_t *attributes;
	void *(*start)(void *);
	void *arg;
	uint64_t leaf; /* the real function that creates it */
	uint64_t caller;
	uint32_t block; /* 0: this thread starts without our routine */
};

static void prepare_here(void *creation, const struct regs *host)
{
	struct creation *c = creation;
	size_t bytes = stack_bytes(c->attributes);

	sighandlers_look_at_thread();
	if (!bytes) /* the stack is the program's */
		return;
	if (key_is_good && !LOAD(&sample_self.busy))
		c->block = thread_starts_take();
	if (!c->block) {
		ADD(&missed, 1);
		return;
	}
	struct thread_start *start = thread_starts_at(c->block);
	start->start = c->start;
	start->arg = c->arg;
	start->stack_bytes = bytes;
	uint32_t pin = pins_enter();
	STORE(&start->site, maker_site(host, bytes, ORIGIN_THREAD_STACK, c->leaf, c->caller));
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

	prepare(&c);
	if (!c.block)
		return real.pthread_create(thread, attributes, start, arg);
	int result =
		real.pthread_create(thread, attributes, thread_main, thread_starts_at(c.block));
	if (result)
		thread_starts_give(c.block);
	return result;
}

/*
 * Its start routine returns an int in the low half of the same register, so a routine of the
 * other type can stand in for it.
 */
int threads_create_c11(pthread_t *thread, int (*start)(void *), void *arg, uint64_t caller)
{
	struct creation c = {.start = (void *(*)(void *))(void *)start,
			     .arg = arg,
			     .leaf = (uint64_t)real.thrd_create,
			     .caller = caller};

	prepare(&c);
	if (!c.block)
		return real.thrd_create(thread, start, arg);
	int result = real.thrd_create(thread, (int (*)(void *))(void *)thread_main,
				      thread_starts_at(c.block));
	if (result)
		thread_starts_give(c.block);
	return result;
}
