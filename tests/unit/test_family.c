/* The installed C library has no unknown allocation function. */
#include "child.h"

#include <string.h>

#include "hook/family.h"

static void test_names(void **state)
{
	static const char *const none[] = {"malloc",        "free",      "freopen",
					   "free_sized",    "fallocate", "freeaddrinfo",
					   "__libc_malloc", "strdup",    "mmap"};
	static const char *const some[] = {"recallocarray", "freezero", "free_sized2", "xmemalign"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(none); i++)
		assert_false(family_is_unknown(none[i]));
	for (size_t i = 0; i < COUNT_OF(some); i++)
		assert_true(family_is_unknown(some[i]));
}

static void test_this_library(void **state)
{
	struct scratch scratch = SCRATCH_INIT(2 * MIB);

	(void)state;
	assert_string_equal(family_unknown(&scratch), "");
	assert_false(scratch.exhausted);
	scratch_release(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_this_library),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
