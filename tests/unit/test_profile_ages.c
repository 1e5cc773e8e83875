/* Ages as text. */
#include "child.h"

#include <string.h>

#include "profile/profile_ages.h"

#define SECOND UINT64_C(1000000000)

/* Each age has two ends that differ, however young the youngest is. */
static void labels(void)
{
	struct scratch scratch = SCRATCH_INIT(1 << 20);
	static struct cohorts cohorts = {.count = 4};
	struct profile_ages ages;

	cohorts.list[0] = (struct cohort){.from_ns = 0, .to_ns = SECOND / 1000};
	cohorts.list[1] = (struct cohort){.from_ns = SECOND / 1000, .to_ns = 5 * SECOND};
	cohorts.list[2] = (struct cohort){.from_ns = 5 * SECOND, .to_ns = 90 * SECOND + 1};
	cohorts.list[3] = (struct cohort){.from_ns = 90 * SECOND + 1, .to_ns = 7205 * SECOND};
	CHECK(profile_ages_make(&scratch, &cohorts, &ages) == 0 && ages.count == 6);
	CHECK(!strcmp(ages.labels[1], "0s-0.1s") && !strcmp(ages.labels[2], "0.1s-5s"));
	CHECK(!strcmp(ages.labels[3], "5s-1m30s") && !strcmp(ages.labels[4], "1m30s-2h5s"));
	CHECK(!strcmp(ages.labels[5], "older"));
	CHECK(!strncmp(ages.comments[0], "ages: 0s 0.1s 5s 1m30s 2h5s;", 28));
	CHECK(ages.comments[1] == NULL);
	scratch_release(&scratch);
}

CASE(labels)

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_labels)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
