/*
 * The Poisson byte counter.
 *
 * bytes_left is the number of the byte, counted from 1, that contains the next sample point: the
 * smallest integer not below an exponential draw. So "size >= bytes_left" has probability 1 -
 * e^(-size/interval) to the last bit, and bytes_left - size is again such a draw. For the same
 * reason a draw may be discarded and repeated at any moment without bias.
 */
#include "record/sample.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/forked.h"
#include "base/libc.h"
#include "base/lock.h"
#include "base/sys.h"
#include "region/region.h"
#include "config/config.h"
#include "unwind/saferead.h"
#include "record/fixed.h"
#include "record/peak.h"

static_assert(sizeof(struct sample_thread) == 32, "one line of TLS");

__thread struct sample_thread sample_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* More than any thread allocates, so it never leaves the fast path. */
#define NEVER (UINT64_C(1) << 62)

/* In one word, so that both are read at the same moment. */
uint64_t sample_current;

/* Threads beyond this number see a change late. */
#define MAX_LISTED 16384

/*
 * A separate table that also holds the thread's id. A thread that ends by the raw system call
 * runs no destructor, and its storage is then unmapped or reused by another thread, so no list
 * may be linked through it.
 */
struct slot {
	struct sample_thread *thread; /* NULL: free */
	int32_t tid;
	uint32_t next_free; /* 1 + index */
};

static struct {
	struct lock lock;
	uint32_t used; /* slots from here on were never used */
	uint32_t free; /* 1 + index */
	uint32_t count;
	bool open; /* key is valid */
	pthread_key_t key;
	struct slot slots[MAX_LISTED];
} threads;

static uint32_t epoch_of(uint64_t state)
{
	return (uint32_t)(state >> 32);
}

static uint32_t interval_of(uint64_t state)
{
	return (uint32_t)state;
}

static uint64_t process_seed;

static bool libc_has_tid; /* where arch_thread_id reads it */

__attribute__((noinline)) int sample_thread_id(void)
{
	int tid = LOAD(&libc_has_tid) ? arch_thread_id() : 0;
	return tid > 0 ? tid : sys_gettid();
}

/* ---- the draw --------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood 2014): any seed is good; eight bytes of state. */
static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void seed(struct sample_thread *t)
{
	static uint64_t threads_seeded;

	t->rng = mix(clock_coarse_ns()) ^ mix((uint64_t)(uintptr_t)t) ^
		 mix(LOAD(&process_seed) + ADD(&threads_seeded, 1));
	t->rng |= 1; /* 0 means not seeded */
}

static uint64_t draw(struct sample_thread *t, uint32_t interval)
{
	if (!t->rng)
		seed(t);
	t->rng += UINT64_C(0x9e3779b97f4a7c15);
	return fixed_exponential(mix(t->rng), interval);
}

/* ---- the list of threads: under its lock -------------------------------- */

/* -1: all are taken. */
static int slot_take(struct sample_thread *t, int tid)
{
	uint32_t i = threads.free ? threads.free - 1 : threads.used;

	if (i == MAX_LISTED)
		return -1;
	if (threads.free)
		threads.free = threads.slots[i].next_free;
	else
		STORE(&threads.used, i + 1);
	threads.slots[i] = (struct slot){.thread = t, .tid = tid};
	t->slot = i;
	STORE(&threads.count, threads.count + 1);
	return 0;
}

static void slot_give(uint32_t i)
{
	threads.slots[i] = (struct slot){.next_free = threads.free};
	threads.free = i + 1;
	STORE(&threads.count, threads.count - 1);
}

/* ---- the slow path ---------------------------------------------------- */

/*
 * Lists a thread once, so that it can be told of a change. pthread_setspecific does not allocate
 * for the first 32 keys (glibc nptl/pthread_setspecific.c).
 */
static void list_thread(struct sample_thread *t)
{
	if (!LOAD(&threads.open))
		return;
	uint8_t before = sample_enter();
	/* A signal handler's allocation may have listed this thread since the check. */
	if (!t->registered && libc.pthread_setspecific(threads.key, t) == 0) {
		int tid = sample_thread_id();
		lock_take(&threads.lock);
		t->registered = slot_take(t, tid) == 0 ? 1 : 2;
		lock_release(&threads.lock);
	}
	sample_leave(before);
}

uint32_t sample_take(size_t size)
{
	struct sample_thread *t = &sample_self;
	uint64_t state = __atomic_load_n(&sample_current, __ATOMIC_ACQUIRE);
	uint32_t interval = interval_of(state);
	uint64_t left = LOAD(&t->bytes_left);

	/* Before the constructor the interval is unknown: bytes_left stays 0, so that the
	 * thread asks again. */
	if (t->busy || !epoch_of(state))
		return 0;
	if (unlikely(!t->registered))
		list_thread(t);
	/* A draw is never 0: 0 means a new thread, or one that was told of a change. */
	bool drawn = left && t->epoch == epoch_of(state);
	STORE(&t->epoch, epoch_of(state));
	if (interval <= 1) {
		STORE(&t->bytes_left, interval ? 0 : NEVER);
		return interval;
	}
	if (!drawn) {
		left = draw(t, interval);
		if (size < left) {
			STORE(&t->bytes_left, left - size);
			return 0;
		}
	}
	STORE(&t->bytes_left, draw(t, interval));
	return interval;
}

/* ---- all threads ------------------------------------------------------ */

static struct sample_intervals in_force;

/* The callers take turns. */
static void note_interval(uint32_t interval)
{
	if (!interval)
		return;
	if (!in_force.finest || interval < in_force.finest)
		STORE(&in_force.finest, interval);
	if (interval > in_force.coarsest)
		STORE(&in_force.coarsest, interval);
}

struct sample_intervals sample_intervals(void)
{
	return (struct sample_intervals){.finest = LOAD(&in_force.finest),
					 .coarsest = LOAD(&in_force.coarsest)};
}

void sample_set_interval(uint32_t interval)
{
	uint64_t old = LOAD(&sample_current), new;

	if (interval != 1)
		region_mark(REGION_COARSE);
	note_interval(interval);
	do {
		uint32_t epoch = epoch_of(old) + 1;
		new = (uint64_t)(epoch ? epoch : 1) << 32 | interval;
	} while (!__atomic_compare_exchange_n(&sample_current, &old, new, true, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
	saferead_allow_copies(interval && interval < CONFIG_DEFAULT_SAMPLE_BYTES);
	STORE(&sample_self.bytes_left, 0);
	sample_nudge();
}

/* The kernel reads the word before it checks the arguments. */
static bool is_readable(const void *word)
{
	static const struct timespec at_once;
	return sys_call(futex, word, FUTEX_WAIT_PRIVATE, 0, &at_once) != -EFAULT;
}

/* mem is -errno if the process may not open it (after setuid, or without /proc); then the
 * storage is checked for readability just before it is read. */
static int read_thread(long mem, const struct sample_thread *t, struct sample_thread *seen)
{
	if (!sys_failed(mem)) {
		long n = sys_pread((int)mem, seen, sizeof(*seen), (uint64_t)t);
		return n == sizeof(*seen) ? 0 : -1;
	}
	if (!is_readable(t) || !is_readable((const char *)(t + 1) - 4))
		return -1;
	seen->epoch = LOAD(&t->epoch);
	seen->registered = LOAD(&t->registered);
	seen->slot = LOAD(&t->slot);
	return 0;
}

static void tell_thread(long mem, struct sample_thread *t)
{
	static const uint64_t look_up = 0;
	if (sys_failed(mem))
		STORE(&t->bytes_left, look_up);
	else
		sys_pread((int)mem, &t->bytes_left, sizeof(look_up), (uint64_t)&look_up);
}

/*
 * A thread that ended by the raw system call may have left its id to another thread, and its
 * storage may be unmapped or hold the host's data. So the kernel does the reading and writing
 * (mem is /proc/self/mem): it cannot fault, and it writes only if the storage still holds this
 * thread's data.
 *
 * The thread's own store may overwrite the 0, so nudges are repeated until the thread has caught
 * up. A 0 written to a thread that has just caught up costs it one extra draw, without bias.
 */
static void nudge(uint32_t i, uint32_t epoch, int pid, long mem)
{
	struct slot *s = &threads.slots[i];
	struct sample_thread seen;

	if (!s->thread)
		return;
	if (sys_call(tgkill, pid, s->tid, 0) == -ESRCH)
		slot_give(i);
	else if (s->thread == &sample_self)
		STORE(&s->thread->bytes_left, 0);
	else if (read_thread(mem, s->thread, &seen) || seen.slot != i || seen.registered != 1)
		slot_give(i);
	else if (seen.epoch != epoch)
		tell_thread(mem, s->thread);
}

/* Threads per hold of the lock: a thread that starts or ends waits for it. */
#define NUDGE_AT_ONCE 32

void sample_nudge(void)
{
	uint32_t epoch = epoch_of(LOAD(&sample_current)), i = 0;
	int pid = sys_getpid();
	uint8_t before = sample_enter();
	long mem = LOAD(&threads.used) ? sys_open_read("/proc/self/mem") : -1;

	while (i < LOAD(&threads.used)) {
		uint32_t end = i + NUDGE_AT_ONCE;
		lock_take(&threads.lock);
		for (; i < end && i < threads.used; i++)
			nudge(i, epoch, pid, mem);
		lock_release(&threads.lock);
	}
	if (!sys_failed(mem))
		sys_close((int)mem);
	sample_leave(before);
}

uint32_t sample_threads(void)
{
	return LOAD(&threads.count);
}

static void unlist_thread(void *t)
{
	forked_look();
	sample_thread_exit(t);
}

int sample_init(void)
{
	libc_has_tid = libc_kind() != LIBC_MUSL && arch_thread_id() == sys_gettid();
	process_seed = mix(clock_ns(CLOCK_REALTIME)) ^ mix((uint64_t)sys_getpid());
	if (libc.pthread_key_create(&threads.key, unlist_thread))
		return -1;
	if (threads.key >= 32) {
		libc.pthread_key_delete(threads.key);
		return -1;
	}
	STORE(&threads.open, true);
	return 0;
}

/* Destructors of other keys may still allocate; their blocks are sampled without being listed. */
void sample_thread_exit(struct sample_thread *t)
{
	if (t->registered != 1)
		return;
	uint8_t before = sample_enter();
	lock_take(&threads.lock);
	if (threads.slots[t->slot].thread == t)
		slot_give(t->slot);
	lock_release(&threads.lock);
	t->registered = 2;
	peak_flush();
	sample_leave(before);
}

void sample_after_fork_in_child(void)
{
	threads.open = false;
	threads.lock = (struct lock){0};
	threads.used = 0;
	threads.free = 0;
	threads.count = 0;
	sample_self.registered = 2;
	sample_set_interval(0);
}

void sample_before_fork(void)
{
	lock_take(&threads.lock);
}

void sample_after_fork(void)
{
	lock_release(&threads.lock);
}

/* The child needs its own random numbers: the parent's thread continues with the current ones. */
void sample_follow_in_child(void)
{
	struct sample_thread *t = &sample_self;

	threads.used = threads.free = threads.count = 0;
	if (t->registered == 1)
		slot_take(t, sys_gettid());
	process_seed ^= mix((uint64_t)sys_getpid());
	t->rng = 0;
	STORE(&t->bytes_left, 0);
}

/* ---- what a sample stands for ----------------------------------------- */

/* Above this many intervals e^-x is below the last bit of either fixed point. */
#define CERTAIN_INTERVALS FIXED_MAX_INTERVALS

struct weight sample_weight_of(uint64_t size, uint32_t interval)
{
	if (size / interval >= CERTAIN_INTERVALS)
		return weight_whole(size);
	if (!size) /* never sampled at such an interval */
		return (struct weight){0};
	return fixed_weight(size, interval);
}
