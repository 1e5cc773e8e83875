/*
 * See recstack.h.  A thread tries the stack it used last, which is warm in its cache.
 * While there are enough stacks no other thread takes it, so they share no cache line.
 */
#include "region/recstack.h"

#include <assert.h>

#include "base/sys.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* The guard is whole pages, of whatever size they are. */
struct recstack {
	char guard[ARCH_PAGE_MOST];
	char unused[-RECSTACK_BYTES % ARCH_PAGE_MOST];
	char bytes[RECSTACK_BYTES];
};

/* Two lines each, which processors fetch together. */
static struct recstack_own owners[RECSTACK_COUNT] __attribute__((aligned(128)));
static_assert(sizeof(owners[0]) == 128, "no line is shared");

__thread struct recstack_own *recstack_own
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

static struct recstack *stacks;

static __thread uint32_t last_used __attribute__((tls_model("initial-exec")));

ARCH_DEFINE_RUN_ON(run_on);
void run_on(void *top, recstack_work *work, void *arg) __attribute__((visibility("hidden")));

/* Linux 6.13's guards do not split the mapping; mprotect does. */
static void guard(char *page)
{
	if (sys_call(madvise, page, ARCH_PAGE_MOST, MADV_GUARD_INSTALL))
		sys_call(mprotect, page, ARCH_PAGE_MOST, PROT_NONE);
}

/*
 * Tells valgrind that this is a stack, so that it does not mistake a switch to it for
 * returning frames.  This is its client request STACK_REGISTER (valgrind.h).
 */
static void tell_valgrind(const struct recstack *s)
{
	const uint64_t request[6] = {0x1501, (uint64_t)s->bytes, (uint64_t)(s + 1) - 1};

	arch_ask_valgrind(request);
}

int recstack_init(void)
{
	struct recstack *fresh;

	if (stacks)
		return 0;
	fresh = sys_map_anonymous(RECSTACK_COUNT * sizeof(*fresh));
	if (!fresh)
		return -1;
	for (size_t i = 0; i < RECSTACK_COUNT; i++) {
		guard(fresh[i].guard);
		tell_valgrind(&fresh[i]);
	}
	STORE_REL(&stacks, fresh);
	return 0;
}

void recstack_range(uint64_t *start, uint64_t *end)
{
	*start = (uint64_t)LOAD(&stacks);
	*end = *start ? *start + RECSTACK_COUNT * sizeof(*stacks) : 0;
}

static int take(uint32_t i, uint64_t self)
{
	uint64_t nobody = 0;
	bool is_ours = LOAD(&owners[i].thread) == 0 &&
		       __atomic_compare_exchange_n(&owners[i].thread, &nobody, self, false,
						   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);

	return is_ours ? 0 : -1;
}

/* RECSTACK_COUNT: none is free. */
static uint32_t take_any(uint32_t first, uint64_t self)
{
	for (uint32_t i = 0; i < RECSTACK_COUNT; i++) {
		uint32_t at = (first + i) % RECSTACK_COUNT;
		if (take(at, self) == 0) {
			STORE(&last_used, at);
			return at;
		}
	}
	return RECSTACK_COUNT;
}

static __attribute__((noinline)) void run_here(recstack_work *work, void *arg)
{
	struct regs host;

	arch_get_regs(&host);
	work(arg, &host);
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* no tail call: host is in use */
}

static recstack_room *room_below;

void recstack_stay(recstack_room *room)
{
	STORE(&room_below, room);
}

static __attribute__((noinline)) bool run_on_one(recstack_work *work, void *arg)
{
	struct recstack *all = LOAD_ACQ(&stacks);
	uint64_t self = arch_thread_pointer();
	uint32_t at = LOAD(&last_used);

	if (unlikely(!all))
		return false;
	if (unlikely(take(at, self)))
		at = take_any(at, self);
	if (unlikely(at == RECSTACK_COUNT))
		return false;
	struct recstack_own *before = LOAD(&recstack_own);
	STORE(&recstack_own, &owners[at]);
	if (IS_SANITIZED) /* the sanitizer's runtime does not follow the switch */
		run_here(work, arg);
	else
		run_on(all[at].bytes + RECSTACK_BYTES, work, arg);
	STORE(&recstack_own, before);
	STORE_REL(&owners[at].thread, 0);
	return true;
}

/* Not inlined, so that the other path needs no more of the caller's stack. */
static __attribute__((noinline)) bool run_if_room(recstack_work *work, void *arg)
{
	recstack_room *room = LOAD(&room_below);

	if (!room || !LOAD(&stacks) || room(arch_stack_pointer()) < RECSTACK_ROOM)
		return false;
	struct recstack_own *before = LOAD(&recstack_own);
	STORE(&recstack_own, NULL);
	run_here(work, arg);
	STORE(&recstack_own, before);
	return true;
}

/* host has the registers of the caller, so this must be a frame, and the last one. */
bool recstack_run(recstack_work *work, void *arg)
{
	if (unlikely(LOAD(&room_below)) && run_if_room(work, arg))
		return true;
	return run_on_one(work, arg);
}

void recstack_run_anyhow(recstack_work *work, void *arg)
{
	if (unlikely(!recstack_run(work, arg)))
		work(arg, NULL);
}

struct recstack_own *recstack_own_at(uint32_t n)
{
	return &owners[n];
}

uint64_t recstack_figure(uint32_t figure)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < RECSTACK_COUNT; i++)
		sum += LOAD(&owners[i].figures[figure]);
	return sum;
}

void recstack_after_fork_in_child(void)
{
	for (size_t i = 0; i < RECSTACK_COUNT; i++)
		if (owners[i].thread != arch_thread_pointer())
			STORE(&owners[i].thread, 0);
}
