/*
 * Which allocations are sampled, and what a sample stands for.
 *
 * Bytes form a line. Sample points lie on it as a Poisson process, on average one per `interval`
 * bytes. An allocation is sampled if a point falls into it, with probability 1 -
 * e^(-size/interval). Each thread keeps only the distance to its next point. The process has no
 * memory, so the interval may change at any time: a thread that sees a new epoch draws again.
 * Interval 1 means every allocation, exactly.
 *
 * A thread's state is zero-initialised, initial-exec TLS: no constructor, no allocation, valid
 * from a thread's first instruction. bytes_left == 0 sends every allocation to the slow path,
 * where it is drawn: a new thread starts like this, and so does a thread that control has told
 * of a change.
 */
#ifndef CGOHEAP_SAMPLE_H
#define CGOHEAP_SAMPLE_H

#include "base/arch.h"
#include "base/base.h"
#include "record/weight.h"

/* What a thread does inside the shim. A call that meets BUSY_RECORDING belongs to the host (a
 * signal handler, or an allocator that calls public names) and is missed. */
enum sample_busy {
	BUSY_NOT,
	BUSY_RECORDING,
	BUSY_OWN /* the shim's own work: nothing is missed */
};

struct sample_thread {
	uint64_t bytes_left; /* an allocation smaller than this is not sampled; must be first:
			      * arch.h */
	uint64_t rng;
	uint32_t epoch;     /* epoch of the interval that bytes_left was drawn for */
	uint8_t busy;       /* enum sample_busy: hooks pass through unless 0 */
	uint8_t registered; /* in the list of threads; 2 = removed again, exiting */
	uint8_t pins;       /* pins held: pins.h */
	uint32_t slot;      /* in the list of threads, once registered */
};

extern __thread struct sample_thread sample_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/*
 * The fast path's question: may this allocation go unsampled? 3 instructions including the
 * update; no call, lock or store outside the thread's state.
 */
static inline bool sample_skip(size_t size)
{
	ARCH_TLS_SUBTRACT(sample_self, size, run_out);
	return true;
run_out:
	/* Undo the subtraction: the slow path decides. */
	STORE(&sample_self.bytes_left, LOAD(&sample_self.bytes_left) + size);
	return false;
}

/*
 * Marks the thread as inside the shim: hooks called meanwhile by it, or by a signal handler on
 * it, pass through. Pass the result to sample_leave; nests.
 */
static inline uint8_t sample_enter_as(enum sample_busy busy)
{
	uint8_t before = LOAD(&sample_self.busy);
	STORE(&sample_self.busy, before > busy ? before : busy);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return before;
}

/* For a thread that is not inside the shim yet. */
static inline void sample_enter_first(void)
{
	STORE(&sample_self.busy, BUSY_RECORDING);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline uint8_t sample_enter(void)
{
	return sample_enter_as(BUSY_RECORDING);
}

static inline void sample_leave(uint8_t before)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	STORE(&sample_self.busy, before);
}

/*
 * The slow path's answer after sample_skip returned false: the interval at which this block is
 * sampled, or 0 if it is not (the draw for a new thread or epoch missed, sampling is off, the
 * shim is passive, or the thread is busy). Redraws bytes_left. Async-signal-safe; errno
 * untouched.
 */
uint32_t sample_take(size_t size);

/* The epoch in the high half, the interval in the low half; 0 before the constructor. Whoever takes
 * a sample has acquired it, and so sees all that was set up before sampling was. */
extern uint64_t sample_current __attribute__((visibility("hidden")));

/*
 * Whether every allocation is sampled, this thread has seen the epoch that says so, and it is not
 * inside the shim. 8 instructions, and no stack.
 */
static inline bool sample_is_exact(void)
{
	const struct sample_thread *t = &sample_self;
	uint64_t seen = (uint64_t)LOAD(&t->epoch) << 32 | 1;

	return LOAD_ACQ(&sample_current) == seen && !LOAD(&t->busy);
}

/*
 * As sample_take, where that is so. It stores what should be there: a signal handler that
 * allocates while sample_skip undoes its subtraction leaves another number.
 */
static inline uint32_t sample_take_exact(void)
{
	STORE(&sample_self.bytes_left, 0);
	return 1;
}

/*
 * Sets the interval for all threads; 0 = off. Increments the epoch; every registered thread
 * notices at its next allocation, within a second (the server's timer calls sample_nudge until
 * then).
 */
void sample_set_interval(uint32_t interval);
/* 0 = off */
static inline uint32_t sample_interval(void)
{
	return (uint32_t)LOAD(&sample_current);
}
/* The finest and the coarsest that were ever in force; 0, 0 before the first. */
struct sample_intervals {
	uint32_t finest, coarsest;
};
struct sample_intervals sample_intervals(void);
void sample_nudge(void);       /* tells threads of older epochs */
uint32_t sample_threads(void); /* registered now */
/*
 * Starts listing threads: creates the pthread key whose destructor removes a thread from the
 * list. Call once, in the constructor of an active process, before the first
 * sample_set_interval. -1: no key can be set without allocating; threads are then not listed,
 * and one with a long draw left sees a change late.
 */
int sample_init(void);
/* The calling thread's id, without a system call if libc keeps it. */
int sample_thread_id(void);
/* The thread ends (pthread key destructor), or all state is forgotten (child of fork). */
void sample_thread_exit(struct sample_thread *t);
/* Empties the list, stops listing threads and turns sampling off for good. */
void sample_after_fork_in_child(void);
/* Around a fork whose child keeps profiling (atfork.c): the lock is held in between. */
void sample_before_fork(void);
void sample_after_fork(void);
/* In that child: only this thread exists. */
void sample_follow_in_child(void);

struct weight sample_weight_of(uint64_t size, uint32_t interval); /* interval above 1 */

/*
 * What one sampled block of size bytes stands for. Deterministic: adding it at malloc and
 * subtracting it at free cancels exactly. Interval 1: exactly one block and size bytes.
 */
static inline struct weight sample_weight(uint64_t size, uint32_t interval)
{
	return interval <= 1 ? weight_whole(size) : sample_weight_of(size, interval);
}

#endif
