/*
 * Which allocations are sampled, and what a sample stands for.
 *
 * Bytes are a line; sample points lie on it as a Poisson process of one point
 * per `interval` bytes on average; an allocation is sampled when a point falls
 * into it, that is with probability 1 - e^(-size/interval).  Each thread keeps
 * only the distance to its next point.  The process has no memory, so that an
 * interval may change at any time: a thread that sees a new epoch draws anew.
 * Interval 1 means every allocation, exactly.
 *
 * A thread's state is zero-initialised, initial-exec TLS: no constructor, no
 * allocation, valid in a thread's first instruction.  bytes_left == 0 sends
 * every allocation to the slow path: a new thread, and a thread that control
 * has told to look up, begin there, and draw.
 */
#ifndef CGOHEAP_SAMPLE_H
#define CGOHEAP_SAMPLE_H

#include "base/arch.h"
#include "base/base.h"

/* What a thread does inside the shim. A call that meets BUSY_RECORDING is the host's
 * and is missed (a signal handler's, or an allocator's that uses public names). */
enum sample_busy {
	BUSY_NOT,
	BUSY_RECORDING,
	BUSY_OWN /* the shim's own work: nothing is missed */
};

struct sample_thread {
	uint64_t bytes_left; /* an allocation smaller than this is not sampled; first: arch.h */
	uint64_t rng;
	uint32_t epoch;     /* of the interval that bytes_left was drawn under */
	uint8_t busy;       /* enum sample_busy: hooks pass through unless 0 */
	uint8_t registered; /* in the list of threads; 2 = has left it, exiting */
	uint8_t pins;       /* that it holds: pins.h */
	uint32_t slot;      /* in the list of threads, once registered */
};

extern __thread struct sample_thread sample_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/*
 * The fast path's question: may this allocation go unsampled?  3 instructions
 * with its update; no call, lock or store outside the thread's own state.
 */
static inline bool sample_skip(size_t size)
{
	ARCH_TLS_SUBTRACT(sample_self, size, run_out);
	return true;
run_out:
	/* As if it had not been asked: the slow path judges. */
	STORE(&sample_self.bytes_left, LOAD(&sample_self.bytes_left) + size);
	return false;
}

/*
 * Inside the shim: hooks that this thread, or a signal handler on it, runs into
 * meanwhile pass through.  Returns what to hand to sample_leave; nests.
 */
static inline uint8_t sample_enter_as(enum sample_busy busy)
{
	uint8_t before = LOAD(&sample_self.busy);
	STORE(&sample_self.busy, before > busy ? before : busy);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return before;
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
 * The slow path's answer, after sample_skip said no: the interval this block is
 * sampled at, or 0 where it is not sampled (new thread or epoch and the new
 * draw missed, sampling is off, the shim is passive, the thread is busy).
 * Redraws bytes_left.  Async-signal-safe; errno untouched.
 */
uint32_t sample_take(size_t size);

/*
 * The current state for all threads.  interval 0 = off.  Bumps the epoch; every
 * registered thread looks it up at its next allocation, within a second
 * (sample_nudge is called by the server's timer until it has).
 */
void sample_set_interval(uint32_t interval);
uint32_t sample_interval(void); /* 0 = off */
void sample_nudge(void);        /* tell threads of older epochs to look up */
uint32_t sample_threads(void);  /* registered now */
/*
 * Threads may be listed from now on: makes the pthread key whose destructor takes
 * a thread off the list.  Once, in the constructor of an active process, before
 * the first sample_set_interval.  -1: no key that can be set without allocating;
 * threads then go unlisted, and one that runs on a long draw sees a change late.
 */
int sample_init(void);
/* The calling thread's number, without asking the kernel where libc keeps it. */
int sample_thread_id(void);
/* The thread ends (pthread key destructor), or everything is forgotten (child of fork). */
void sample_thread_exit(struct sample_thread *t);
/* The list is empty, nobody is listed again, and sampling is off for good. */
void sample_after_fork_in_child(void);
/* Around a fork whose child goes on (atfork.c): the lock is held in between. */
void sample_before_fork(void);
void sample_after_fork(void);
/* In that child: this thread is the only one there is. */
void sample_follow_in_child(void);

/*
 * What one sampled block of size bytes stands for, in fixed point: how many
 * blocks, 16 fraction bits, and how many bytes, 8 fraction bits.  Deterministic:
 * adding it at malloc and subtracting it at free cancels exactly.  Interval 1:
 * exactly one block and size bytes.
 */
#define WEIGHT_OBJECT_BITS 16
#define WEIGHT_BYTE_BITS   8
struct weight {
	uint64_t objects_fx;
	uint64_t bytes_fx;
};
struct weight sample_weight(uint64_t size, uint32_t interval);

#endif
