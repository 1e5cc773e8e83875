/* The sum of variances: of each size and interval, past 64 bits, and from several threads. */
#include "child.h"

#include <math.h>
#include <pthread.h>

#include "record/sample.h"
#include "record/variance.h"

static double relative(double got, double want)
{
	return fabs(got - want) / want;
}

static void each_block_adds_its_own(void)
{
	static const uint64_t sizes[] = {1, 16, 1000, 524288, 3000000};
	double objects = 0, bytes = 0;

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		double size = (double)sizes[i], w = -1 / expm1(-size / 524288);
		variance_add(sizes[i], sample_weight(sizes[i], 524288));
		objects += w * (w - 1);
		bytes += size * size * w * (w - 1);
		struct variance v = variance_get();
		CHECK(relative((double)v.objects_fx / 65536, objects) < 1e-4);
		CHECK(relative((double)v.bytes, bytes) < 1e-4);
	}
}
CASE(each_block_adds_its_own)

static void certain_blocks_add_nothing(void)
{
	variance_add(100, sample_weight(100, 1));
	variance_add(UINT64_C(1) << 40, sample_weight(UINT64_C(1) << 40, 524288));
	CHECK(variance_get().objects_fx == 0 && variance_get().bytes == 0);
}
CASE(certain_blocks_add_nothing)

#define TIMES 100000

/* 2^60 each: 16 fill 64 bits. */
static void *add_coarse(void *unused)
{
	struct weight w = sample_weight(1, 1u << 30);

	for (int i = 0; i < TIMES; i++)
		variance_add(1, w);
	return unused;
}

static void no_carry_is_lost(void)
{
	pthread_t threads[2];

	for (size_t i = 0; i < COUNT_OF(threads); i++)
		CHECK(pthread_create(&threads[i], NULL, add_coarse, NULL) == 0);
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	struct variance once = variance_get();
	CHECK(relative((double)once.bytes, 0x1p60 * 2 * TIMES) < 1e-6);
	CHECK(relative((double)once.objects_fx, 0x1p76 * 2 * TIMES) < 1e-6);
}
CASE(no_carry_is_lost)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_block_adds_its_own),
		cmocka_unit_test(test_certain_blocks_add_nothing),
		cmocka_unit_test(test_no_carry_is_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
