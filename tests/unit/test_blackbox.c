/* The flight recorder's file: what it is called, what there is not room for, whose are removed. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "blackbox.h"
#include "blackbox_file.h"

#define BYTES 65536

static const char *name_of(const char *executable)
{
	static char name[BLACKBOX_NAME_BYTES];
	blackbox_file_name(name, executable, 4242);
	return name;
}

static void names_are_plain(void **state)
{
	char long_name[300];
	(void)state;
	assert_string_equal(name_of("/usr/bin/service"), "service.4242");
	assert_string_equal(name_of("/x/a b\n\x1b[31m;rm -rf"), "a_b___31m_rm_-rf.4242");
	assert_string_equal(name_of(""), "unknown.4242");
	memset(long_name, 'x', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = 0;
	assert_int_equal(strlen(name_of(long_name)), 64 + 5);
}

static void *make(const char *name, const char **what, long *error)
{
	return blackbox_file_map(fixture_dir, name, BYTES, what, error);
}

static int count_files(void)
{
	char command[128];
	FILE *f;
	int n = -1;

	snprintf(command, sizeof command, "ls '%s' | wc -l", fixture_dir);
	f = popen(command, "r");
	assert_int_equal(fscanf(f, "%d", &n), 1);
	pclose(f);
	return n;
}

static void a_file_is_allocated_private_and_locked_while_mapped(void **state)
{
	const char *what, *path = fixture_path("a.1.cgoheap");
	struct stat s;
	long error;
	char *p = make("a.1", &what, &error);
	int fd = open(path, O_RDONLY);
	(void)state;

	assert_non_null(p);
	assert_int_equal(fstat(fd, &s), 0);
	assert_int_equal(s.st_mode, S_IFREG | 0600);
	assert_int_equal(s.st_size, BYTES);
	assert_true(s.st_blocks * 512 >= BYTES);
	strcpy(p + 5000, "seen");
	char seen[5];
	assert_int_equal(pread(fd, seen, 5, 5000), 5);
	assert_string_equal(seen, "seen");
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	munmap(p, BYTES);
	for (int kept = 200; kept < 210; kept++)
		close(kept); /* on overlayfs one holds the lock */
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
}

/* A name that is taken, by a symbolic link too, is left alone. */
static void a_taken_name_gets_a_number(void **state)
{
	const char *what, *target = fixture_path("target");
	long error;
	(void)state;
	fixture_run("ln -s '%s' '%s'", target, fixture_path("b.1.cgoheap"));
	void *p = make("b.1", &what, &error);
	assert_non_null(p);
	assert_int_equal(access(target, F_OK), -1);
	assert_int_equal(access(fixture_path("b.1.1.cgoheap"), F_OK), 0);
	munmap(p, BYTES);
	fixture_run("rm '%s'", fixture_path("b.1.cgoheap"));
}

/* SIGXFSZ would end the host. */
static void a_limit_on_file_size_is_no_signal(void **state)
{
	struct rlimit before, low;
	const char *what;
	long error;
	int files = count_files();
	(void)state;
	getrlimit(RLIMIT_FSIZE, &before);
	low = before;
	low.rlim_cur = BYTES - 1;
	setrlimit(RLIMIT_FSIZE, &low);
	void *p = make("c.1", &what, &error);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_null(p);
	assert_int_equal(error, EFBIG);
	assert_string_equal(what, "allocate the file's space");
	assert_int_equal(count_files(), files); /* nothing is left behind */
}

/* The oldest go first; not one that a process has, nor what is not a recorder's. */
static void old_files_are_removed(void **state)
{
	const char *what;
	long error;
	(void)state;
	fixture_run("rm -f '%s'/*", fixture_dir);
	void *running = make("running.1", &what, &error);
	fixture_run("touch -d '2001-01-01' '%s'", fixture_path("running.1.cgoheap"));
	for (int i = 0; i < 20; i++)
		fixture_run("f='%s/old.%d.cgoheap'; : >$f; touch -d '2002-01-%02d' $f", fixture_dir,
			    i, i + 1);
	fixture_run("touch -d 2000-01-01 '%s/notes'; mkdir '%s/d.cgoheap'", fixture_dir,
		    fixture_dir);
	void *p = make("new.1", &what, &error);
	assert_non_null(p);
	assert_int_equal(count_files(), BLACKBOX_FILES + 2);
	assert_int_equal(access(fixture_path("running.1.cgoheap"), F_OK), 0);
	assert_int_equal(access(fixture_path("notes"), F_OK), 0);
	assert_int_equal(access(fixture_path("old.5.cgoheap"), F_OK), -1);
	assert_int_equal(access(fixture_path("old.6.cgoheap"), F_OK), 0);
	munmap(running, BYTES);
	munmap(p, BYTES);
}

/* By size too: what the new one has no room beside is removed, the oldest first. */
static void old_files_are_removed_for_their_size(void **state)
{
	const char *what;
	long error;
	(void)state;
	fixture_run("rm -rf '%s'/*", fixture_dir);
	for (int i = 0; i < 5; i++)
		fixture_run(
			"f='%s/big.%d.cgoheap'; fallocate -l %zu $f && touch -d '2002-01-%02d' $f",
			fixture_dir, i, (size_t)(BLACKBOX_ALL_BYTES / 4), i + 1);
	void *p = make("new.1", &what, &error);
	assert_non_null(p);
	munmap(p, BYTES);
	assert_int_equal(count_files(), 4); /* a quarter each, and one that is small */
	assert_int_equal(access(fixture_path("big.1.cgoheap"), F_OK), -1);
	assert_int_equal(access(fixture_path("big.2.cgoheap"), F_OK), 0);
	fixture_run("rm -rf '%s'/*", fixture_dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_plain),
		cmocka_unit_test(a_file_is_allocated_private_and_locked_while_mapped),
		cmocka_unit_test(a_taken_name_gets_a_number),
		cmocka_unit_test(a_limit_on_file_size_is_no_signal),
		cmocka_unit_test(old_files_are_removed),
		cmocka_unit_test(old_files_are_removed_for_their_size),
	};
	return cmocka_run_group_tests_name("blackbox", tests, fixture_setup, fixture_teardown);
}
