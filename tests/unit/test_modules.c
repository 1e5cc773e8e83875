/* The modules of this process, compared with the loader's list and readelf; missing files. */
#include "fixture.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "proc/modules.h"

static const char source[] = "int fixture_function(int x) { return x + 1; }";

/* "" if readelf finds none. */
static void readelf_build_id(const char *path, char *id)
{
	char command[PATH_MAX + 32], line[512];
	FILE *f;

	*id = 0;
	snprintf(command, sizeof(command), "readelf -nW '%s' 2>/dev/null", path);
	f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		const char *at = strstr(line, "Build ID: ");

		if (at)
			sscanf(at, "Build ID: %64s", id);
	}
	pclose(f);
}

static int check_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	const struct modules *modules = arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *h = &info->dlpi_phdr[i];
		const struct module *m;

		if (h->p_type != PT_LOAD || !(h->p_flags & PF_X))
			continue;
		m = modules_find(modules, info->dlpi_addr + h->p_vaddr);
		assert_non_null(m);
		if (m->path[0] == '[')
			continue; /* the vdso has no file */
		assert_true(m->elf_ok);
		assert_int_equal(m->load_bias, info->dlpi_addr);
		assert_ptr_equal(modules_find(modules, m->end - 1), m);
		if (info->dlpi_name[0] == 0)
			assert_true(m->is_main);
		else
			assert_false(m->is_main);
	}
	return 0;
}

static void as_the_loader_has_them(void **state)
{
	struct scratch s = SCRATCH_INIT(4 * MIB);
	struct modules modules;
	char id[BUILD_ID_HEX_BYTES];
	size_t ids = 0;

	(void)state;
	assert_int_equal(modules_read(&s, &modules), 0);
	dl_iterate_phdr(check_object, &modules);
	for (size_t i = 0; i < modules.count; i++) {
		const struct module *m = &modules.list[i];

		if (i > 0)
			assert_true(m->start >= modules.list[i - 1].end);
		if (m->path[0] != '/')
			continue;
		readelf_build_id(m->path, id);
		assert_string_equal(m->build_id, id);
		ids += id[0] != 0;
	}
	assert_true(ids >= 2); /* libc and the loader always have one */
	assert_null(modules_find(&modules, 0));
	assert_null(modules_find(&modules, modules.list[0].start - 1));
	assert_true(modules_find(&modules, (uint64_t)&modules_read)->is_shim);
	scratch_release(&s);
}

/* The file's module as modules_read sees it after `command` changed the loaded library's file. */
static struct module after_linked(struct scratch *s, const char *name, const char *flags,
				  const char *command)
{
	const char *path = fixture_library(name, "c", source, flags);
	struct modules modules;
	const struct module *m;
	void *library = dlopen(path, RTLD_NOW);

	assert_non_null(library);
	fixture_run(command, path);
	assert_int_equal(modules_read(s, &modules), 0);
	m = modules_find(&modules, (uint64_t)dlsym(library, "fixture_function"));
	assert_non_null(m);
	assert_string_equal(m->path, path);
	return *m; /* the library stays mapped, so its addresses are not reused */
}

static struct module after(struct scratch *s, const char *name, const char *command)
{
	return after_linked(s, name, "", command);
}

static void file_in_its_place(void **state)
{
	struct scratch s = SCRATCH_INIT(4 * MIB);
	struct module m = after(&s, "liba.so", "test -f '%s'");
	int fd = modules_open(&m);

	(void)state;
	assert_true(m.elf_ok && !m.deleted && fd >= 0);
	close(fd);
	scratch_release(&s);
}

/* If stat and maps disagree the build ID decides: here, the same bytes in a new file. */
static void same_bytes_in_another_inode(void **state)
{
	struct scratch s = SCRATCH_INIT(4 * MIB);
	struct module m = after(&s, "libb.so", "f='%s'; cp $f $f.new && mv $f.new $f");

	(void)state;
	assert_true(m.elf_ok && m.deleted);
	scratch_release(&s);
}

/* Without a build ID, the bytes themselves. */
static void without_a_build_id(void **state)
{
	struct scratch s = SCRATCH_INIT(4 * MIB);
	const char *flags = "-Wl,--build-id=none";
	struct module same =
		after_linked(&s, "libf.so", flags, "f='%s'; cp $f $f.new && mv $f.new $f");
	struct module other = after_linked(
		&s, "libg.so", flags,
		"f='%s'; echo 'int other;' | ${CGOHEAP_TEST_CC:-cc} -shared -Wl,--build-id=none "
		"-x c -o $f.n - && mv $f.n $f");

	(void)state;
	assert_true(same.elf_ok && same.deleted && !same.build_id[0]);
	assert_false(other.elf_ok);
	assert_int_equal(modules_open(&other), -1);
	scratch_release(&s);
}

static void check_gone(const char *name, const char *command, bool deleted)
{
	struct scratch s = SCRATCH_INIT(4 * MIB);
	struct module m = after(&s, name, command);
	char id[BUILD_ID_HEX_BYTES];

	assert_false(m.elf_ok);
	assert_int_equal(m.deleted, deleted);
	assert_int_equal(modules_open(&m), -1);
	readelf_build_id(fixture_library("same.so", "c", source, ""), id);
	assert_int_equal(strlen(id), 40);
	assert_string_equal(m.build_id, id); /* from memory */
	scratch_release(&s);
}

static void file_unlinked(void **state)
{
	(void)state;
	check_gone("libc1.so", "rm '%s'", true);
}

static void file_replaced(void **state)
{
	(void)state;
	check_gone("libd.so",
		   "f='%s'; echo 'int other;' | ${CGOHEAP_TEST_CC:-cc} -shared -x c -o $f.n - && "
		   "mv $f.n $f",
		   true);
}

static void fifo_in_its_place(void **state)
{
	(void)state;
	check_gone("libe.so", "f='%s'; rm $f && mkfifo $f", true);
}

static void path_ends_in_deleted_only_when_it_is(void **state)
{
	struct scratch s = SCRATCH_INIT(4 * MIB);
	struct module m = after(&s, "with space and (brackets).so", "test -f '%s'");

	(void)state;
	assert_true(m.elf_ok && !m.deleted);
	scratch_release(&s);
}

/* Runs as a copy of this program that has been deleted. */
static int deleted_main(const char *path)
{
	struct scratch s = SCRATCH_INIT(4 * MIB);
	struct modules modules;
	const struct module *m;

	if (unlink(path) || modules_read(&s, &modules))
		return 2;
	m = modules_find(&modules, (uint64_t)&deleted_main);
	return m && m->is_main && m->deleted && m->elf_ok && strcmp(m->path, path) == 0 ? 0 : 3;
}

static void executable_unlinked(void **state)
{
	const char *path = fixture_path("copy");

	(void)state;
	fixture_run("cp /proc/%d/exe '%s'", getpid(), path);
	fixture_run("${CGOHEAP_TEST_RUN} '%s' deleted", path);
}

static void scratch_too_small(void **state)
{
	struct scratch s = SCRATCH_INIT(1);
	struct modules modules;

	(void)state;
	assert_int_equal(modules_read(&s, &modules), -1);
	assert_true(s.exhausted && modules.count == 0);
	assert_null(modules_find(&modules, (uint64_t)&modules_read));
	scratch_release(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_the_loader_has_them),
		cmocka_unit_test(file_in_its_place),
		cmocka_unit_test(same_bytes_in_another_inode),
		cmocka_unit_test(without_a_build_id),
		cmocka_unit_test(file_unlinked),
		cmocka_unit_test(file_replaced),
		cmocka_unit_test(fifo_in_its_place),
		cmocka_unit_test(path_ends_in_deleted_only_when_it_is),
		cmocka_unit_test(executable_unlinked),
		cmocka_unit_test(scratch_too_small),
	};

	if (argc == 2 && strcmp(argv[1], "deleted") == 0)
		return deleted_main(argv[0]);
	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
