/*
 * Frames of many forms, compiled once for each set of compiler and flags: BUILD names the set.
 */
#include <alloca.h>
#include <stdarg.h>
#include <stdlib.h>

#include "rows.h"

#define GLUE2(a, b) a##b
#define GLUE(a, b)  GLUE2(a, b)
#define TEXT2(a)    #a
#define TEXT(a)     TEXT2(a)

#define FRAME(name)                                                                                \
	static void NOINLINE name##_body(struct plan *p, const struct step *s);                    \
	static void NOINLINE name(struct plan *p)                                                  \
	{                                                                                          \
		name##_body(p, &p->steps[p->at]);                                                  \
		ROWS_HERE(100);                                                                    \
	}                                                                                          \
	static void NOINLINE name##_body(struct plan *p, const struct step *s)

static volatile uint64_t sink;

FRAME(plain)
{
	ROWS_CALL(p, s);
}

/* All registers that survive calls, with values that the plan chooses. */
FRAME(registers)
{
	uint64_t a = s->data, b = a * 3, c = b ^ 7, d = c * 5, e = d + 11, f = e * 13, g = f ^ a;

	ROWS_CALL(p, s);
	sink = a + b * c + d * e + f * g;
}

FRAME(one_register)
{
	uint64_t a = s->data;

	ROWS_CALL(p, s);
	sink = a;
}

FRAME(large)
{
	volatile char room[3000];

	room[0] = room[sizeof(room) - 1] = (char)s->data;
	ROWS_CALL(p, s);
	sink = (uint64_t)room[0];
}

/* Two of them whose sizes change by as much up and down leave all below where it was. */
FRAME(by_alloca)
{
	volatile char *room = alloca(s->bytes + 16);

	room[0] = (char)s->data;
	ROWS_CALL(p, s);
	sink = (uint64_t)room[0];
}

FRAME(by_alloca_with_registers)
{
	uint64_t a = s->data, b = a * 3, c = b ^ 7, d = c * 5;
	volatile char *room = alloca(s->bytes + 16);

	room[0] = (char)a;
	ROWS_CALL(p, s);
	sink = (uint64_t)room[0] + a * b + c * d;
}

FRAME(by_array)
{
	volatile char room[s->bytes + 16];

	room[s->bytes] = (char)s->data;
	ROWS_CALL(p, s);
	sink = (uint64_t)room[s->bytes];
}

FRAME(realigned)
{
	_Alignas(64) volatile char room[128];

	room[0] = (char)s->data;
	ROWS_CALL(p, s);
	sink = (uint64_t)room[0];
}

FRAME(realigned_by_alloca)
{
	_Alignas(128) volatile char room[128];
	volatile char *more = alloca(s->bytes + 16);

	room[0] = more[0] = (char)s->data;
	ROWS_CALL(p, s);
	sink = (uint64_t)room[0] + (uint64_t)more[0];
}

static void NOINLINE with_arguments(struct plan *p, const struct step *s, ...)
{
	va_list args;
	uint64_t sum = 0;

	va_start(args, s);
	for (int i = 0; i < 10; i++)
		sum += va_arg(args, uint64_t);
	va_end(args);
	ROWS_CALL(p, s);
	sink = sum;
}

FRAME(variadic)
{
	uint64_t d = s->data;

	with_arguments(p, s, d, d, d, d, d, d, d, d, d, d);
	ROWS_HERE(101);
}

struct many {
	uint64_t words[20];
};

static void NOINLINE takes_many(struct many m, struct plan *p, const struct step *s)
{
	ROWS_CALL(p, s);
	sink = m.words[3];
}

FRAME(by_value)
{
	struct many m = {{s->data, 2, 3, s->data}};

	takes_many(m, p, s);
	ROWS_HERE(102);
}

/* Not there when the next one runs, where the compiler optimises. */
static void NOINLINE tail_call(struct plan *p)
{
	p->at++;
	p->steps[p->at].frame(p);
}

/* libc's frames in between. */
static __thread struct plan *sorted;

static int compare(const void *a, const void *b)
{
	struct plan *p = sorted;
	(void)a;
	(void)b;
	sorted = NULL;
	if (p) {
		const struct step *s = &p->steps[p->at];
		ROWS_CALL(p, s);
	}
	return 1;
}

FRAME(through_qsort)
{
	uint64_t list[3] = {s->data, 1, 2};

	sorted = p;
	qsort(list, 3, sizeof(list[0]), compare);
	sink = list[0];
}

FRAME(through_bsearch)
{
	uint64_t key = s->data;

	sorted = p;
	sink = bsearch(&key, &key, 1, sizeof(key), compare) != NULL;
}

FRAME(recursive)
{
	if (s->data % 5) {
		struct step less = *s;
		less.data = s->data / 5 * 5 + s->data % 5 - 1;
		recursive_body(p, &less);
		ROWS_HERE(103);
		return;
	}
	ROWS_CALL(p, s);
}

const struct rows_build GLUE(rows_build_, BUILD) = {
	TEXT(BUILD),
	13,
	{plain, registers, one_register, large, by_alloca, by_alloca_with_registers, by_array,
	 variadic, by_value, tail_call, through_qsort, through_bsearch, recursive, realigned,
	 realigned_by_alloca}};
