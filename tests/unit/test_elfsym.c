/* Names in real libraries compared with nm, preferences in a made library, broken files. */
#include "fixture.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "proc/elfsym.h"

/* ---- against nm ------------------------------------------------------- */

struct named {
	uint64_t value, size;
	char name[512];
};

static int by_value(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return (x->value > y->value) - (x->value < y->value);
}

/* The functions listed by nm, ascending. */
static struct named *read_nm(const char *options, const char *path, size_t *count)
{
	char command[PATH_MAX + 64], line[2048];
	struct named *list = NULL;
	FILE *f;

	snprintf(command, sizeof(command), "nm -S --defined-only %s '%s'", options, path);
	f = popen(command, "r");
	assert_non_null(f);
	*count = 0;
	while (fgets(line, sizeof(line), f)) {
		struct named n;
		char type;

		if (sscanf(line, "%lx %lx %c %511s", &n.value, &n.size, &type, n.name) != 4 ||
		    !strchr("TtWwi", type))
			continue;
		n.name[strcspn(n.name, "@")] = 0;
		list = realloc(list, (*count + 1) * sizeof(*list));
		assert_non_null(list);
		list[(*count)++] = n;
	}
	assert_int_equal(pclose(f), 0);
	qsort(list, *count, sizeof(*list), by_value);
	return list;
}

/* name is nm's for the function at list[i], and no alias has fewer leading underscores. */
static void check_name(const struct named *list, size_t count, size_t i, const char *name)
{
	uint64_t value = list[i].value;
	bool known = false;

	while (i > 0 && list[i - 1].value == value)
		i--;
	for (; i < count && list[i].value == value; i++) {
		known |= strcmp(list[i].name, name) == 0;
		assert_true(strspn(list[i].name, "_") >= strspn(name, "_"));
	}
	assert_true(known);
}

/* First and last byte of every function, in a shuffled order. */
static struct elfsym *ask_all(const struct named *list, size_t count, uint64_t bias)
{
	struct elfsym *queries = calloc(2 * count, sizeof(*queries));

	assert_non_null(queries);
	for (size_t i = 0; i < count; i++) {
		size_t at = i * 7919 % count; /* 7919 is prime and does not divide count: checked */

		queries[2 * at].pc = bias + list[i].value;
		queries[2 * at + 1].pc = bias + list[i].value + list[i].size - 1;
	}
	return queries;
}

/*
 * symbols: nm's options for the table that is read.  Skips functions inside another (an
 * aliased tail): there the two bytes have different answers.
 */
static void check_library(const char *symbols, uint64_t inside, size_t at_least)
{
	struct scratch s = SCRATCH_INIT(64 * MIB);
	struct modules modules;
	const struct module *m;
	struct named *list;
	struct elfsym *queries;
	size_t count;

	assert_int_equal(modules_read(&s, &modules), 0);
	m = modules_find(&modules, inside);
	assert_true(m && m->elf_ok);
	list = read_nm(symbols, m->path, &count);
	assert_true(count >= at_least && count % 7919 != 0);
	queries = ask_all(list, count, m->load_bias);
	elfsym_resolve(&s, m, queries, 2 * count);
	for (size_t i = 0; i < count; i++) {
		struct elfsym *q = &queries[2 * (i * 7919 % count)];

		if (i + 1 < count && list[i + 1].value != list[i].value &&
		    list[i + 1].value < list[i].value + list[i].size)
			continue;
		for (int end = 0; end < 2; end++) {
			assert_non_null(q[end].name);
			assert_int_equal(q[end].entry - m->load_bias, list[i].value);
			check_name(list, count, i, q[end].name);
		}
	}
	free(queries);
	free(list);
	scratch_release(&s);
}

static void functions_of_libc(void **state)
{
	(void)state;
	check_library("-D", (uint64_t)dlsym(RTLD_DEFAULT, "getpid"), 1000);
}

static void functions_of_libstdcxx(void **state)
{
	void *library = dlopen("libstdc++.so.6", RTLD_NOW);

	(void)state;
	if (!library)
		skip();
	check_library("-D", (uint64_t)dlsym(library, "_ZSt9terminatev"), 1000);
}

static void functions_of_this_program(void **state)
{
	(void)state;
	check_library("", (uint64_t)&check_library, 40);
}

/* ---- preferences ------------------------------------------------------ */

static const char source[] =
	"	.text\n"
	"	.type static_function, %function\n"
	"static_function: .space 4, 0x90\n"
	"	.size static_function, 4\n"
	"	.globl __impl, _impl, impl, impl_long\n"
	"	.type __impl, %function; .type _impl, %function\n"
	"	.type impl, %function; .type impl_long, %function\n"
	"__impl: _impl: impl: impl_long: local_alias: .space 16, 0x90\n"
	"label_inside: .space 8, 0x90\n"
	"\"$x\": \"$d.1\": .space 8, 0x90\n"
	"	.size __impl, 32; .size _impl, 32; .size impl, 32; .size impl_long, 32\n"
	"	.type local_alias, %function; .size local_alias, 32\n"
	"	.size label_inside, 16\n"
	"gap: .space 16, 0x90\n"
	"\"$d\": .space 16, 0x90\n" /* the assembler's mark */
	"	.globl no_size\n"
	"no_size: .space 32, 0x90\n"
	"	.globl sized_label\n"
	"sized_label: .space 32, 0x90\n"
	"	.size sized_label, 8\n"
	"	.globl data_symbol; .type data_symbol, %object\n"
	"data_symbol: .space 16, 0x90\n"
	"	.size data_symbol, 16\n"
	"	.section .other, \"ax\", %progbits\n"
	"	.space 64, 0x90\n"
	"	.globl versioned_old\n"
	"	.type versioned_old, %function\n"
	"versioned_old: .space 16, 0x90; .size versioned_old, 16\n"
	"	.symver versioned_old, versioned@OLD_1, remove\n";

static const char *name_at(const struct module *m, struct scratch *s, const char *symbol,
			   int64_t offset)
{
	void *library = dlopen(m->path, RTLD_NOW | RTLD_NOLOAD);
	struct elfsym q = {.pc = (uint64_t)dlsym(library, symbol) + (uint64_t)offset};

	assert_true(library && q.pc != (uint64_t)offset);
	elfsym_resolve(s, m, &q, 1);
	return q.name;
}

/* A linker script: "versioned" has a version, and everything is exported. */
static void write_versions(const char *path)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs("OLD_1 { global: *; };\n", f);
	assert_int_equal(fclose(f), 0);
}

static uint64_t loaded_code; /* its first function */

static struct module load(struct scratch *s, const char *name, const char *options)
{
	const char *versions = fixture_path("versions"), *path;
	struct modules modules;
	const struct module *m;
	char all[512];
	void *library;

	write_versions(versions);
	snprintf(all, sizeof(all), "-Wl,--version-script='%s' %s", versions, options);
	path = fixture_library(name, "assembler", source, all);
	library = dlopen(path, RTLD_NOW);
	assert_non_null(library);
	assert_int_equal(modules_read(s, &modules), 0);
	loaded_code = (uint64_t)dlsym(library, "impl") - 4;
	m = modules_find(&modules, loaded_code);
	assert_true(m && m->elf_ok);
	return *m;
}

static void names_that_are_preferred(void **state)
{
	struct scratch s = SCRATCH_INIT(16 * MIB);
	struct module m = load(&s, "names.so", "");

	(void)state;
	assert_string_equal(name_at(&m, &s, "impl", 0), "impl");
	assert_string_equal(name_at(&m, &s, "impl", 31), "impl"); /* not the label inside */
	assert_string_equal(name_at(&m, &s, "impl", -4), "static_function");
	assert_string_equal(name_at(&m, &s, "impl", 32), "gap"); /* extends to the next symbol */
	assert_string_equal(name_at(&m, &s, "impl", 63), "gap");
	assert_string_equal(name_at(&m, &s, "no_size", 31), "no_size");
	assert_string_equal(name_at(&m, &s, "sized_label", 7), "sized_label");
	assert_null(name_at(&m, &s, "sized_label", 8)); /* after its end */
	assert_null(name_at(&m, &s, "data_symbol", 4)); /* not code */
	scratch_release(&s);
}

static void stripped_library_has_what_it_exports(void **state)
{
	struct scratch s = SCRATCH_INIT(16 * MIB);
	struct module m = load(&s, "stripped.so", "-s");

	(void)state;
	assert_string_equal(name_at(&m, &s, "impl", 31), "impl");
	assert_null(name_at(&m, &s, "impl", -4)); /* static, and no symbol before it: no guess */
	assert_null(name_at(&m, &s, "impl", 32)); /* a gap after a sized function */
	assert_string_equal(name_at(&m, &s, "no_size", 31), "no_size");
	scratch_release(&s);
}

static void version_is_taken_off(void **state)
{
	struct scratch s = SCRATCH_INIT(16 * MIB);
	struct module m = load(&s, "versioned.so", "");
	void *library = dlopen(m.path, RTLD_NOW | RTLD_NOLOAD);
	struct elfsym q = {.pc = (uint64_t)dlvsym(library, "versioned", "OLD_1")};

	(void)state;
	assert_int_not_equal(q.pc, 0);
	elfsym_resolve(&s, &m, &q, 1);
	assert_string_equal(q.name, "versioned");
	assert_int_equal(q.entry, q.pc);
	scratch_release(&s);
}

static void nothing_to_ask_or_nowhere(void **state)
{
	struct scratch s = SCRATCH_INIT(16 * MIB);
	struct module m = load(&s, "nowhere.so", ""), gone = m;
	struct elfsym q = {.pc = m.start, .name = "left from before", .entry = 1};

	(void)state;
	gone.elf_ok = false;
	elfsym_resolve(&s, &m, NULL, 0);
	elfsym_resolve(&s, &gone, &q, 1);
	assert_true(!q.name && !q.entry);
	gone.elf_ok = true;
	gone.path = "/nonexistent";
	elfsym_resolve(&s, &gone, &q, 1);
	assert_true(!q.name && !q.entry);
	scratch_release(&s);
}

/* With too little scratch nothing is written outside it. */
static void scratch_too_small(void **state)
{
	struct scratch whole = SCRATCH_INIT(16 * MIB), none = SCRATCH_INIT(1);
	struct module m = load(&whole, "scratch.so", "");
	struct elfsym q = {.pc = m.start};

	(void)state;
	elfsym_resolve(&none, &m, &q, 1);
	assert_true(none.exhausted && !q.name);
	scratch_release(&none);
	scratch_release(&whole);
}

/* ---- broken files ----------------------------------------------------- */

/* Makes an unmapped copy to damage; *m claims that it is the mapped file. */
static int open_copy(struct module *m, const char *name, size_t *bytes)
{
	struct stat st;
	const char *path = fixture_path(name);
	int fd;

	fixture_run("cp '%s' '%s'", m->path, path);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	m->path = path;
	m->device = st.st_dev;
	m->inode = st.st_ino;
	*bytes = (size_t)st.st_size;
	return fd;
}

/* How many of a sample of addresses in the module that was loaded last have a name. */
static size_t names_in(const struct module *m)
{
	struct scratch s = SCRATCH_INIT(MIB);
	struct elfsym queries[64];
	char id[ELFFILE_BUILD_ID_BYTES];
	struct elffile f;
	size_t names = 0;
	int fd = modules_open(m);

	if (fd >= 0 && elffile_init_fd(&f, fd) == 0)
		elffile_build_id(&f, id);
	close(fd);
	for (size_t i = 0; i < COUNT_OF(queries); i++)
		queries[i].pc = loaded_code + 4 * i;
	elfsym_resolve(&s, m, queries, COUNT_OF(queries));
	for (size_t i = 0; i < COUNT_OF(queries); i++)
		names += queries[i].name && strlen(queries[i].name) > 0;
	scratch_release(&s);
	return names;
}

static void every_length(void **state)
{
	struct scratch s = SCRATCH_INIT(16 * MIB);
	struct module m = load(&s, "whole.so", "");
	size_t bytes, all;
	int fd = open_copy(&m, "cut.so", &bytes);

	(void)state;
	all = names_in(&m);
	assert_true(all > 10);
	while (bytes-- > 0) {
		assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
		assert_true(names_in(&m) <= all);
	}
	assert_int_equal(names_in(&m), 0);
	close(fd);
	scratch_release(&s);
}

static void every_byte_wrong(void **state)
{
	struct scratch s = SCRATCH_INIT(16 * MIB);
	struct module m = load(&s, "right.so", "");
	size_t bytes, all;
	int fd = open_copy(&m, "wrong.so", &bytes);
	uint8_t byte, wrong;

	(void)state;
	all = names_in(&m);
	for (size_t offset = 0; offset < bytes; offset++) {
		assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
		wrong = byte ^ 0xff;
		assert_int_equal(pwrite(fd, &wrong, 1, (off_t)offset), 1);
		names_in(&m);
		assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
	}
	assert_int_equal(names_in(&m), all);
	close(fd);
	scratch_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_of_libc),
		cmocka_unit_test(functions_of_libstdcxx),
		cmocka_unit_test(functions_of_this_program),
		cmocka_unit_test(names_that_are_preferred),
		cmocka_unit_test(stripped_library_has_what_it_exports),
		cmocka_unit_test(version_is_taken_off),
		cmocka_unit_test(nothing_to_ask_or_nowhere),
		cmocka_unit_test(scratch_too_small),
		cmocka_unit_test(every_length),
		cmocka_unit_test(every_byte_wrong),
	};
	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
