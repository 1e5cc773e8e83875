/* The library's own functions of <math.h> against libm's in long double. */
#include "child.h"

#include <math.h>

#define TIMES 300000

static uint64_t seed = 1;

static double any_unit(void)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double)(seed >> 11) * 0x1p-53;
}

/* From -most to most, half of them of any order of magnitude. */
static double any_number(double most)
{
	double x = any_unit() * most;

	if (any_unit() < 0.5)
		x = most * (double)exp2l(-60 * (long double)any_unit());
	return any_unit() < 0.5 ? -x : x;
}

static void close_to(double got, long double want)
{
	if (!(fabsl(got - want) <= fabsl(want) * 1e-14L + 0x1p-1074L))
		fail_msg("%a instead of %La", got, want);
}

static void functions_of_all_numbers(void **state)
{
	(void)state;
	for (int i = 0; i < TIMES; i++) {
		double x = any_number(700), positive = (double)expl(any_number(700));
		close_to(expm1(x), expm1l(x));
		close_to(exp2(x), exp2l(x));
		close_to(log2(positive), log2l(positive));
		close_to(log1p(positive), log1pl(positive));
		x = any_number(0.999);
		close_to(log1p(x), log1pl(x));
	}
}

static void whole_numbers_and_order(void **state)
{
	(void)state;
	for (int i = 0; i < TIMES; i++) {
		double x = any_number(0x1p54), y = any_number(0x1p54);
		assert_true(ceil(x) == ceill(x) && ceil(x / 0x1p50) == ceill(x / 0x1p50));
		assert_true(fmax(x, y) == fmaxl(x, y));
	}
	assert_true(ceil(-0.5) == 0 && ceil(3) == 3);
	assert_true(exp2(10) == 1024 && exp2(-1074) == 0x1p-1074 && exp2(1023) == 0x1p1023);
}

static void the_ends(void **state)
{
	(void)state;
	assert_true(isinf(expm1(800)) && expm1(-800) == -1 && expm1(0) == 0 && isnan(expm1(NAN)));
	assert_true(isinf(exp2(1100)) && exp2(-1100) == 0 && isnan(exp2(NAN)));
	assert_true(isinf(log2(0)) && isinf(log2(INFINITY)) && isnan(log2(-1)) && isnan(log2(NAN)));
	assert_true(isinf(log1p(-1)) && isinf(log1p(INFINITY)) && isnan(log1p(-2)));
	assert_true(log2(0x1p-1074) == -1074 && log1p(0x1p-80) == 0x1p-80);
	assert_true(isinf(ceil(INFINITY)) && isnan(ceil(NAN)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_of_all_numbers),
		cmocka_unit_test(whole_numbers_and_order),
		cmocka_unit_test(the_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
