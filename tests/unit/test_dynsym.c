/*
 * Functions in a module's own table, as the loader finds them: in libraries that have one or the
 * other kind of table, at any distance from where they were linked to, and in the vDSO.
 */
#include "child.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/dynsym.h"

#define LINKED_TO UINT64_C(0xffffffffff700000) /* Makefile */

static void same_as_the_loader(void *library, const struct dynsym_module *m, const char *name)
{
	void *truth = dlsym(library, name);

	CHECK(truth && dynsym_find_in_module(m, name) == truth);
}

static void all_kinds_are_found_in(const char *file)
{
	struct dynsym_module m;
	char name[32], path[PATH_MAX] = {0};

	CHECK(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
	snprintf(strrchr(path, '/') + 1, sizeof(name), "%s", file);
	void *library = dlopen(path, RTLD_NOW);
	CHECK(library);
	CHECK(dynsym_module(dlsym(library, "found_10"), &m) == 0);
	CHECK(m.bias == ((struct link_map *)library)->l_addr && m.start - m.bias == LINKED_TO);
	for (int i = 10; i < 50; i++) {
		snprintf(name, sizeof(name), "found_%d", i);
		same_as_the_loader(library, &m, name);
	}
	same_as_the_loader(library, &m, "found_untyped");
	same_as_the_loader(library, &m, "found_chosen");
	CHECK(dlsym(library, "found_data") && !dynsym_find_in_module(&m, "found_data"));
	CHECK(!dynsym_find_in_module(&m, "found_1") && !dynsym_find_in_module(&m, ""));
	CHECK(!dynsym_find_in_module(&m, "malloc"));
}

static void by_gnu_hash(void)
{
	all_kinds_are_found_in("libfound_gnu.so");
}
CASE(by_gnu_hash)

static void by_sysv_hash(void)
{
	all_kinds_are_found_in("libfound_sysv.so");
}
CASE(by_sysv_hash)

static void libc_is_searched_by_itself(void)
{
	CHECK(dynsym_libc("strfry") == dlsym(RTLD_DEFAULT, "strfry"));
	CHECK(dynsym_libc("pthread_equal") == dlsym(RTLD_DEFAULT, "pthread_equal"));
	CHECK(dynsym_loader("_dl_find_object") || dynsym_libc("_dl_find_object"));
	CHECK(!dynsym_libc("no_such_function") && !dynsym_loader("no_such_function"));
}
CASE(libc_is_searched_by_itself)

/* ---- the vDSO ------------------------------------------------------------------ */

static bool is_address(int64_t tag)
{
	return tag == DT_HASH || tag == DT_GNU_HASH || tag == DT_STRTAB || tag == DT_SYMTAB ||
	       tag == DT_VERSYM || tag == DT_VERDEF;
}

/* Makes a copy into what the linker would have made for that address. */
static void link_to(char *image, uint64_t address)
{
	const ElfW(Ehdr) *header = (const void *)image;
	ElfW(Phdr) *p = (void *)(image + header->e_phoff);
	ElfW(Sym) *symbols = NULL;
	char *strings = NULL;

	for (size_t i = 0; i < header->e_phnum; i++) {
		ElfW(Dyn) *d = (void *)(image + p[i].p_vaddr);
		for (; p[i].p_type == PT_DYNAMIC && d->d_tag != DT_NULL; d++) {
			if (d->d_tag == DT_SYMTAB)
				symbols = (void *)(image + d->d_un.d_ptr);
			if (d->d_tag == DT_STRTAB)
				strings = image + d->d_un.d_ptr;
			if (is_address(d->d_tag))
				d->d_un.d_ptr += address;
		}
		p[i].p_vaddr += address;
	}
	CHECK(symbols && strings > (char *)symbols);
	for (ElfW(Sym) *s = symbols; (char *)(s + 1) <= strings; s++)
		if (s->st_shndx != SHN_UNDEF)
			s->st_value += address;
}

static size_t bytes_of(const ElfW(Ehdr) * header)
{
	const ElfW(Phdr) *p = (const void *)((const char *)header + header->e_phoff);
	size_t bytes = 0;

	for (size_t i = 0; i < header->e_phnum; i++)
		if (p[i].p_type == PT_LOAD && p[i].p_offset + p[i].p_filesz > bytes)
			bytes = p[i].p_offset + p[i].p_filesz;
	return bytes;
}

static void the_vdso_wherever_it_was_linked_to(void)
{
	static const uint64_t bases[] = {0, LINKED_TO, UINT64_C(0x7fff00000000), 1 << 30};
	const char *name = "__vdso_clock_gettime";
	const char *vdso = (const char *)getauxval(AT_SYSINFO_EHDR);
	const char *truth = dynsym_find_in_image(vdso, name);

	CHECK(vdso && truth);
	for (size_t i = 0; i < COUNT_OF(bases); i++) {
		size_t bytes = bytes_of((const void *)vdso);
		char *copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				  -1, 0);
		CHECK(copy != MAP_FAILED);
		memcpy(copy, vdso, bytes);
		link_to(copy, bases[i]);
		CHECK(dynsym_find_in_image(copy, name) == copy + (truth - vdso));
		CHECK(!dynsym_find_in_image(copy, "no_such_function"));
	}
	CHECK(!dynsym_find_in_image(NULL, name));
}
CASE(the_vdso_wherever_it_was_linked_to)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_gnu_hash),
		cmocka_unit_test(test_by_sysv_hash),
		cmocka_unit_test(test_libc_is_searched_by_itself),
		cmocka_unit_test(test_the_vdso_wherever_it_was_linked_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
