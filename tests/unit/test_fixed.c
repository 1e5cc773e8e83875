/* The sampler's two functions against libm's. */
#include "child.h"

#include <fenv.h>
#include <math.h>

#include "record/fixed.h"
#include "record/sample.h"

#define TIMES 200000

static uint64_t seed = 1;

static uint64_t any(void)
{
	seed += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = seed;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Of any order of magnitude. */
static uint64_t any_size(void)
{
	return any() >> (any() % 64);
}

static void check_draw(uint64_t random, uint32_t interval)
{
	long double want = -logl(((long double)random + 1) * 0x1p-64L) * interval;
	long double got = fixed_exponential(random, interval);
	if (want < 1)
		want = 1;
	/* The next larger integer, plus the error of the last of 57 bits. */
	CHECK(got - want > -1e-12L * interval && got - want < 1 + 1e-12L * interval);
}

static void exponential(void)
{
	for (int i = 0; i < TIMES; i++) {
		check_draw(any(), (uint32_t)any_size() | 2);
		check_draw(any_size(), UINT32_MAX);
		check_draw(~any_size(), 524288);
	}
	check_draw(0, UINT32_MAX);
	check_draw(UINT64_MAX, UINT32_MAX);
	for (int bit = 0; bit < 64; bit++) {
		check_draw(UINT64_C(1) << bit, UINT32_MAX);
		check_draw((UINT64_C(1) << bit) - 1, UINT32_MAX);
		check_draw(~(UINT64_C(1) << bit), UINT32_MAX);
	}
}
CASE(exponential)

static void check_weight(uint64_t size, uint32_t interval)
{
	struct weight got = fixed_weight(size, interval);
	long double objects = -1 / expm1l(-(long double)size / interval);
	long double bytes = objects * size;
	CHECK(fabsl(got.objects_fx - objects * (1 << WEIGHT_OBJECT_BITS)) <
	      0.51L + 1e-12L * objects * (1 << WEIGHT_OBJECT_BITS));
	CHECK(fabsl(got.bytes_fx - bytes * (1 << WEIGHT_BYTE_BITS)) <
	      0.51L + 1e-12L * bytes * (1 << WEIGHT_BYTE_BITS));
}

static void weights(void)
{
	for (int i = 0; i < TIMES; i++) {
		uint32_t interval = (uint32_t)any_size() | 2;
		check_weight(1 + any() % (interval * (uint64_t)FIXED_MAX_INTERVALS - 1), interval);
		check_weight(1 + any_size() % (interval * (uint64_t)FIXED_MAX_INTERVALS - 1),
			     interval);
	}
	check_weight(1, UINT32_MAX);
	check_weight(UINT32_MAX * (uint64_t)FIXED_MAX_INTERVALS - 1, UINT32_MAX);
	/* Around each k of e^-x = 2^-k e^-r. */
	for (int k = 0; k < 57; k++)
		for (int d = -3; d < 4; d++)
			if (k || d > 0)
				check_weight((uint64_t)(k * 0.69314718055994530942L * (1 << 30)) +
						     (uint64_t)d,
					     1 << 30);
}
CASE(weights)

/* The host's rounding mode and exception masks stay as they are. */
static void leaves_the_host_alone(void)
{
	CHECK(feclearexcept(FE_ALL_EXCEPT) == 0);
	struct weight before = sample_weight(1000, 524288);
	uint64_t draw = fixed_exponential(UINT64_C(1) << 40, 524288);
	CHECK(fetestexcept(FE_ALL_EXCEPT) == 0);
	CHECK(fesetround(FE_UPWARD) == 0);
	feenableexcept(FE_ALL_EXCEPT); /* where the processor has traps */
	struct weight after = sample_weight(1000, 524288);
	CHECK(before.objects_fx == after.objects_fx && before.bytes_fx == after.bytes_fx);
	CHECK(draw == fixed_exponential(UINT64_C(1) << 40, 524288));
}
CASE(leaves_the_host_alone)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exponential),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_leaves_the_host_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
