/*
 * Stacks put together from a plan: a list of frames of many forms, each of which calls the next by
 * one of several call sites. The last one takes a block (take.c). Between two blocks a plan changes
 * in one place only, so that most of the stack stays as it was.
 */
#ifndef CGOHEAP_TESTS_ROWS_H
#define CGOHEAP_TESTS_ROWS_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NOINLINE    __attribute__((noinline, noclone))
#define ROWS_STEPS  200
#define ROWS_SITES  4
#define ROWS_SHAPES 16 /* at most, of one build */

struct plan;
typedef void rows_frame(struct plan *plan);

struct step {
	rows_frame *frame;
	uint32_t site;  /* the call site, below ROWS_SITES */
	uint32_t bytes; /* how large the frame is, where that varies: a multiple of 16 */
	uint64_t data;  /* what it keeps in registers */
};

struct plan {
	uint32_t at;         /* the step that runs */
	uint32_t blocks;     /* that may yet be taken: jumps and exceptions go down again */
	uint32_t depth;      /* of coroutines, threads and handlers */
	uint32_t random;     /* of the last frame's decisions */
	sigjmp_buf *landing; /* where the last frame may jump to; NULL: nowhere */
	int may_throw;
	int is_common; /* frames of common forms only: one other makes the whole walk another */
	struct step steps[ROWS_STEPS + 1];
};

/* The plan that runs on this thread, for handlers and new stacks. */
extern __thread struct plan *rows_running;

/* A set of frames, compiled in one way. */
struct rows_build {
	const char *name;
	unsigned common; /* so many of its first shapes have common rows, and stay on the stack */
	rows_frame *shapes[ROWS_SHAPES]; /* up to the first NULL */
};

/* Takes a block, and sometimes leaves by a jump or an exception. */
void rows_last(struct plan *plan);
void rows_throw(void);

static inline void rows_next(struct plan *p)
{
	p->at++;
	p->steps[p->at].frame(p);
	p->at--;
}

/* Keeps the compiler from merging call sites. */
#define ROWS_HERE(n) __asm__ volatile("# site %c0" ::"i"(n) : "memory")

#define ROWS_CALL(p, s)                                                                            \
	do {                                                                                       \
		switch ((s)->site % ROWS_SITES) {                                                  \
		case 0:                                                                            \
			rows_next(p);                                                              \
			ROWS_HERE(0);                                                              \
			break;                                                                     \
		case 1:                                                                            \
			ROWS_HERE(11);                                                             \
			rows_next(p);                                                              \
			ROWS_HERE(1);                                                              \
			break;                                                                     \
		case 2:                                                                            \
			ROWS_HERE(12);                                                             \
			rows_next(p);                                                              \
			ROWS_HERE(2);                                                              \
			break;                                                                     \
		default:                                                                           \
			ROWS_HERE(13);                                                             \
			rows_next(p);                                                              \
			ROWS_HERE(3);                                                              \
			break;                                                                     \
		}                                                                                  \
	} while (0)

#ifdef __cplusplus
}
#endif
#endif
