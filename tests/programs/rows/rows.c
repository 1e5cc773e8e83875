/*
 * rows SEED BLOCKS THREADS: stacks by random plans that change in one place at a time, each
 * compared with what libgcc's unwinder says at the same place.
 */
#include "rows.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "take.h"

void special_start(void);
void special_start_thread(void);
void special_end_thread(void);
void special_end_coroutines(void);

#define DECLARE(name) extern const struct rows_build rows_build_##name;
#define NAME(name)    &rows_build_##name,
BUILDS(DECLARE)
static const struct rows_build *const builds[] = {BUILDS(NAME)};
#define BUILD_COUNT (sizeof(builds) / sizeof(builds[0]))

__thread struct plan *rows_running;

/* ---- chance (Marsaglia's xorshift) ------------------------------------------------ */

static uint32_t chance(uint32_t *state, uint32_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return (uint32_t)((uint64_t)*state * below >> 32);
}

/* ---- the last frame ------------------------------------------------------------------ */

void rows_last(struct plan *p)
{
	if (p->blocks == 0)
		return;
	p->blocks--;
	take();
	if (p->landing && chance(&p->random, 3) == 0)
		siglongjmp(*p->landing, 1);
	if (p->may_throw && chance(&p->random, 3) == 0)
		rows_throw();
}

/* ---- plans ------------------------------------------------------------------------------ */

#define BLOCKS_EACH 6 /* of one way down */

static rows_frame *any_frame(uint32_t *state, bool is_common)
{
	const struct rows_build *b = builds[chance(state, BUILD_COUNT)];
	uint32_t count = 0;

	while (is_common && !b->common)
		b = builds[chance(state, BUILD_COUNT)];
	while (count < ROWS_SHAPES && b->shapes[count])
		count++;
	return b->shapes[chance(state, is_common ? b->common : count)];
}

/* Data that an unwinder could take for something else: small numbers, addresses of the stack and
 * of code. */
static uint64_t any_data(uint32_t *state)
{
	switch (chance(state, 4)) {
	case 0:
		return chance(state, 64);
	case 1:
		return (uint64_t)__builtin_frame_address(0) + chance(state, 4096);
	case 2:
		return (uint64_t)rows_last + chance(state, 256);
	default:
		return (uint64_t)chance(state, UINT32_MAX) << 32 | chance(state, UINT32_MAX);
	}
}

static struct step any_step(uint32_t *state, bool is_common)
{
	return (struct step){any_frame(state, is_common), chance(state, ROWS_SITES),
			     chance(state, 64) * 16, any_data(state)};
}

/* Mostly shallow; some deeper than a capture keeps. */
static uint32_t any_depth(uint32_t *state)
{
	return 2 + chance(state, chance(state, 8) ? 24 : 150);
}

static uint32_t depth_of(const struct plan *p)
{
	uint32_t depth = 0;

	while (p->steps[depth].frame != rows_last)
		depth++;
	return depth;
}

static void make_plan(struct plan *p, uint32_t *state)
{
	uint32_t depth = any_depth(state);

	p->is_common = chance(state, 4) != 0;
	for (uint32_t i = 0; i < depth; i++)
		p->steps[i] = any_step(state, p->is_common);
	p->steps[depth] = (struct step){.frame = rows_last};
}

/* Moves bytes from one frame to another: all below both stays where it was. */
static void move_bytes(struct plan *p, uint32_t depth, uint32_t *state)
{
	struct step *a = &p->steps[chance(state, depth)], *b = &p->steps[chance(state, depth)];
	uint32_t bytes = (1 + chance(state, 16)) * 16;

	if (a->bytes < bytes)
		return;
	a->bytes -= bytes;
	b->bytes += bytes;
}

static void swap_steps(struct plan *p, uint32_t depth, uint32_t *state)
{
	uint32_t a = chance(state, depth), b = chance(state, depth);
	struct step first = p->steps[a];

	p->steps[a] = p->steps[b];
	p->steps[b] = first;
}

/* Ends the plan earlier, or goes on after its end. */
static void move_end(struct plan *p, uint32_t depth, uint32_t *state)
{
	uint32_t end = 1 + chance(state, depth + 4);

	for (uint32_t i = depth; i < end; i++)
		p->steps[i] = any_step(state, p->is_common);
	p->steps[end] = (struct step){.frame = rows_last};
}

static void change_plan(struct plan *p, uint32_t *state)
{
	uint32_t depth = depth_of(p);
	struct step *s = &p->steps[chance(state, depth)];

	switch (chance(state, 10)) {
	case 0:
		return; /* the same once more */
	case 1:
	case 2:
		s->site = (s->site + 1) % ROWS_SITES;
		return;
	case 3:
		s->data = any_data(state);
		return;
	case 4:
		*s = any_step(state, p->is_common);
		return;
	case 5:
	case 6:
		move_bytes(p, depth, state);
		return;
	case 7:
		swap_steps(p, depth, state);
		return;
	case 8:
		if (depth < ROWS_STEPS - 4)
			move_end(p, depth, state);
		return;
	default:
		if (chance(state, 3) == 0)
			make_plan(p, state);
	}
}

static void go_down(struct plan *p, uint32_t seed)
{
	p->at = 0;
	p->blocks = BLOCKS_EACH;
	p->depth = 0;
	p->random = seed | 1;
	p->landing = NULL;
	p->may_throw = 0;
	rows_running = p;
	p->steps[0].frame(p);
}

/* ---- threads -------------------------------------------------------------------------------- */

static size_t blocks;

static void *work(void *seed)
{
	uint32_t state = (uint32_t)(uintptr_t)seed * 2654435761u | 1;
	struct plan *p = calloc(1, sizeof(*p));

	special_start_thread();
	make_plan(p, &state);
	while (take_count() < blocks) {
		go_down(p, state);
		change_plan(p, &state);
	}
	special_end_coroutines();
	special_end_thread();
	free(p);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_attr_t attr;
	pthread_t threads[16];
	size_t count;

	if (argc != 4)
		return 2;
	uintptr_t seed = strtoul(argv[1], NULL, 10);
	blocks = strtoul(argv[2], NULL, 10);
	count = strtoul(argv[3], NULL, 10);
	take_start(blocks);
	special_start();
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 4 << 20);
	for (size_t i = 0; i < count; i++)
		if (pthread_create(&threads[i], &attr, work, (void *)(seed * 16 + i)))
			return 1;
	for (size_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	return take_compare() != take_count();
}
