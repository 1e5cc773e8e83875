/* See stackcalls.h. */
#include "stackcalls.h"

struct job {
	void (*call)(const void *arg);
	const void *arg;
	uint16_t stack;
};

static void call_digit(const struct job *j, int digits);

#define NO_TAIL_CALL() __asm__ volatile("" ::: "memory")

#define DIGIT(n)                                                                                   \
	static __attribute__((noinline)) void digit_##n(const struct job *j, int digits)           \
	{                                                                                          \
		call_digit(j, digits);                                                             \
		NO_TAIL_CALL();                                                                    \
	}
#define DIGITS(make)                                                                               \
	make(0) make(1) make(2) make(3) make(4) make(5) make(6) make(7) make(8) make(9) make(a)    \
		make(b) make(c) make(d) make(e) make(f)
DIGITS(DIGIT)

static __attribute__((noinline)) void call_digit(const struct job *j, int digits)
{
#define NAME(n) digit_##n,
	static void (*const digit[])(const struct job *j, int digits) = {DIGITS(NAME)};

	if (digits)
		digit[j->stack >> (digits - 1) * 4 & 15](j, digits - 1);
	else
		j->call(j->arg);
	NO_TAIL_CALL();
}

void stackcalls_from(uint16_t stack, void (*call)(const void *arg), const void *arg)
{
	struct job j = {call, arg, stack};

	call_digit(&j, 4);
	NO_TAIL_CALL();
}
