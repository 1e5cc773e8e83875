/* See family.h. */
#include "hook/family.h"

#include <string.h>

#include "base/ascii.h"
#include "base/libc.h"
#include "base/sys.h"
#include "proc/modules.h"

/* ---- by name ------------------------------------------------------------ */

/* glibc 2.34 to 2.43. Names with a leading underscore are internal to glibc. */
static const char *const known[] = {
	/* have a hook (interpose.map) */
	"malloc",
	"calloc",
	"realloc",
	"reallocarray",
	"posix_memalign",
	"aligned_alloc",
	"memalign",
	"valloc",
	"pvalloc",
	"free",
	"free_sized",
	"free_aligned_sized",
	"cfree",
	/* take or give no block */
	"malloc_info",
	"malloc_stats",
	"malloc_trim",
	"malloc_usable_size",
	"memalignment",
	"malloc_get_state",
	"malloc_set_state",
	"obstack_alloc_failed_handler",
	"fallocate",
	"fallocate64",
	"posix_fallocate",
	"posix_fallocate64",
	"pkey_alloc",
	"inet6_option_alloc",
	/* call free */
	"freeaddrinfo",
	"freeifaddrs",
	"freelocale",
};

bool family_is_unknown(const char *name)
{
	if (name[0] == '_' ||
	    (!strstr(name, "alloc") && !strstr(name, "memalign") && !ascii_begins(name, "free")))
		return false;
	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (strcmp(name, known[i]) == 0)
			return false;
	return true;
}

/* ---- the library -------------------------------------------------------- */

#define MAX_NAMES_BYTES (1 * MIB) /* of all its symbols */
#define SYMBOLS_AT_ONCE 512

static char found[512];

static void consider(const Elf64_Sym *s, const char *names, uint64_t bytes)
{
	size_t used = strlen(found);
	const char *name = names + s->st_name;

	if (s->st_shndx == SHN_UNDEF || s->st_name >= bytes ||
	    (ELF64_ST_TYPE(s->st_info) != STT_FUNC && ELF64_ST_TYPE(s->st_info) != STT_GNU_IFUNC) ||
	    !family_is_unknown(name) || used + strlen(name) + 3 > sizeof(found))
		return;
	if (used)
		strcat(found, ", ");
	strcat(found, name);
}

static void read_table(struct scratch *scratch, const struct elffile *f, const Elf64_Shdr *table)
{
	Elf64_Sym *symbols = scratch_alloc(scratch, SYMBOLS_AT_ONCE * sizeof(*symbols));
	Elf64_Shdr strings;

	if (!symbols || !elffile_section(f, table->sh_link, &strings) ||
	    strings.sh_size >= MAX_NAMES_BYTES)
		return;
	char *names = scratch_alloc(scratch, strings.sh_size + 1);
	if (!names || elffile_read(f, strings.sh_offset, names, strings.sh_size) != strings.sh_size)
		return;
	names[strings.sh_size] = 0;
	for (uint64_t done = 0; done < table->sh_size;) {
		uint64_t left = table->sh_size - done, most = SYMBOLS_AT_ONCE * sizeof(*symbols);
		size_t bytes = elffile_read(f, table->sh_offset + done, symbols,
					    left < most ? left : most);
		if (bytes < sizeof(*symbols))
			return;
		for (size_t i = 0; i < bytes / sizeof(*symbols); i++)
			consider(&symbols[i], names, strings.sh_size);
		done += bytes / sizeof(*symbols) * sizeof(*symbols);
	}
}

static void read_library(struct scratch *scratch, const struct module *library)
{
	struct elffile f;
	Elf64_Shdr section;
	int fd = modules_open(library);

	if (fd < 0)
		return;
	if (elffile_init_fd(&f, fd) == 0)
		for (uint32_t i = 0; elffile_section(&f, i, &section); i++)
			if (section.sh_type == SHT_DYNSYM)
				read_table(scratch, &f, &section);
	sys_close(fd);
}

const char *family_unknown(struct scratch *scratch)
{
	static bool is_read;
	struct modules modules;
	const struct module *library;

	if (is_read)
		return found;
	is_read = true;
	if (modules_read(scratch, &modules) == 0) {
		library = modules_find(&modules, (uint64_t)libc_address());
		if (library)
			read_library(scratch, library);
	}
	return found;
}
