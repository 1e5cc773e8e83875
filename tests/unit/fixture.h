/* Files and libraries made for a test, in a directory that is removed when the process ends. */
#ifndef CGOHEAP_TESTS_FIXTURE_H
#define CGOHEAP_TESTS_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char fixture_dir[64];

static inline int fixture_setup(void **state)
{
	(void)state;
	strcpy(fixture_dir, "/tmp/cgoheap-test-XXXXXX");
	return mkdtemp(fixture_dir) ? 0 : -1;
}

static inline int fixture_teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", fixture_dir);
	return system(command);
}

/* dir/name; valid until the process ends. */
static inline const char *fixture_path(const char *name)
{
	static char paths[64][128];
	static size_t count;
	char *path = paths[count++];

	assert_true(count <= sizeof(paths) / sizeof(paths[0]));
	assert_true(snprintf(path, sizeof(paths[0]), "%s/%s", fixture_dir, name) <
		    (int)sizeof(paths[0]));
	return path;
}

static inline void fixture_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void fixture_run(const char *format, ...)
{
	char command[4 * PATH_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	assert_int_equal(system(command), 0);
}

/* dir/name, compiled from source ("c" or "assembler") by cc, or CGOHEAP_TEST_CC. */
static inline const char *fixture_library(const char *name, const char *language,
					  const char *source, const char *options)
{
	const char *path = fixture_path(name), *text = fixture_path("source");
	FILE *f = fopen(text, "w");

	assert_non_null(f);
	fputs(source, f);
	assert_int_equal(fclose(f), 0);
	/* A loader may refuse a library whose assembler source asks, by silence, for a stack that
	 * is executable. */
	fixture_run("${CGOHEAP_TEST_CC:-cc} -shared -fPIC -nostdlib "
		    "-Wl,--build-id=sha1,-z,noexecstack %s -o '%s' "
		    "-x %s '%s'",
		    options, path, language, text);
	return path;
}

#endif
