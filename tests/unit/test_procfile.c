/* Lines of any length, with and without a newline at the end, and the numbers in them. */
#include "fixture.h"

#include "base/base.h"
#include "text/procfile.h"

static const char *file_of(const char *name, const char *text, size_t bytes)
{
	const char *path = fixture_path(name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, bytes, f), bytes);
	assert_int_equal(fclose(f), 0);
	return path;
}

static void one_after_the_other(void **state)
{
	struct scratch s = SCRATCH_INIT(MIB);
	struct procfile l;
	static const char text[] = "first\n\nthird with blanks \nlast without an end";

	(void)state;
	assert_int_equal(procfile_open(&l, &s, file_of("a", text, sizeof(text) - 1)), 0);
	assert_string_equal(procfile_next(&l), "first");
	assert_string_equal(procfile_next(&l), "");
	assert_string_equal(procfile_next(&l), "third with blanks ");
	assert_string_equal(procfile_next(&l), "last without an end");
	assert_null(procfile_next(&l));
	assert_null(procfile_next(&l));
	procfile_close(&l);
	procfile_close(&l);
	scratch_release(&s);
}

/* A line about as long as the buffer, between two short lines. */
static void too_long_is_left_out(void **state)
{
	static char text[40000];

	(void)state;
	for (size_t length = 16380; length < 16390; length++) {
		struct scratch s = SCRATCH_INIT(MIB);
		struct procfile l;
		size_t n = (size_t)sprintf(text, "before\n");
		memset(text + n, 'x', length);
		n += length;
		n += (size_t)sprintf(text + n, "\nafter\n");
		assert_int_equal(procfile_open(&l, &s, file_of("b", text, n)), 0);
		assert_string_equal(procfile_next(&l), "before");
		const char *line = procfile_next(&l);
		if (length < 16384) {
			assert_int_equal(strlen(line), length);
			line = procfile_next(&l);
		}
		assert_string_equal(line, "after");
		assert_null(procfile_next(&l));
		procfile_close(&l);
		scratch_release(&s);
	}
}

static void too_long_and_without_an_end(void **state)
{
	static char text[50000];
	struct scratch s = SCRATCH_INIT(MIB);
	struct procfile l;

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(procfile_open(&l, &s, file_of("c", text, sizeof(text))), 0);
	assert_null(procfile_next(&l));
	procfile_close(&l);
	scratch_release(&s);
}

static void not_there(void **state)
{
	struct scratch s = SCRATCH_INIT(MIB), none = SCRATCH_INIT(0);
	struct procfile l;

	(void)state;
	assert_int_equal(procfile_open(&l, &s, "/nonexistent"), -1);
	assert_null(procfile_next(&l));
	procfile_close(&l);
	assert_int_equal(procfile_open(&l, &none, "/proc/self/maps"), -1);
	assert_null(procfile_next(&l));
	procfile_close(&l);
	scratch_release(&s);
}

static void numbers(void **state)
{
	const char *text = "12ab-ff:g", *at = text;
	uint64_t n;

	(void)state;
	assert_true(procfile_number(&at, 10, &n) && n == 12 && at == text + 2);
	assert_false(procfile_number(&at, 10, &n));
	assert_true(procfile_number(&at, 16, &n) && n == 0xab);
	assert_true(procfile_skip(&at, '-') && !procfile_skip(&at, '-'));
	assert_true(procfile_number(&at, 16, &n) && n == 0xff && procfile_skip(&at, ':'));
	assert_false(procfile_number(&at, 16, &n));
	assert_true(procfile_kib("     148 kB", &n) && n == 148 * KIB);
	assert_true(procfile_kib("\t7", &n) && n == 7 * KIB);
	assert_false(procfile_kib(" kB", &n));
}

static void files_of_one_number(void **state)
{
	uint64_t n = 5;

	(void)state;
	assert_true(procfile_read_number(file_of("n1", "123456789012\n", 13), &n) == 0);
	assert_int_equal(n, 123456789012);
	assert_true(procfile_read_number(file_of("n2", "7", 1), &n) == 0 && n == 7);
	assert_false(procfile_read_number(file_of("n3", "max\n", 4), &n) == 0);
	assert_false(procfile_read_number(file_of("n4", "12 13\n", 6), &n) == 0);
	assert_false(procfile_read_number(file_of("n5", "", 0), &n) == 0);
	assert_false(procfile_read_number("/nonexistent", &n) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_after_the_other),
		cmocka_unit_test(too_long_is_left_out),
		cmocka_unit_test(too_long_and_without_an_end),
		cmocka_unit_test(not_there),
		cmocka_unit_test(numbers),
		cmocka_unit_test(files_of_one_number),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
