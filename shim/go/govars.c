/* See govars.h. */
#include "go/govars.h"

#include <string.h>

#include "base/ascii.h"
#include "base/sys.h"
#include "base/work.h"
#include "proc/elffile.h"
#include "proc/modules.h"
#include "go/gomodules.h"
#include "go/gosym.h"

/* Sizes rule out nearly all other symbols before their names are read. */
static const struct {
	const char *name;
	uint64_t low, high;
} wanted[GOVARS_COUNT] = {
	[GOVARS_GC_CONTROLLER] = {"runtime.gcController", 0x140, 0x400},
	[GOVARS_ALLGS] = {"runtime.allgs", 24, 24},
	[GOVARS_MEMSTATS] = {"runtime.memstats", 0x1e20, 0x4000},
	[GOVARS_WORK] = {"runtime.work", 0x200, 0x600},
	[GOVARS_FING_STATUS] = {"runtime.fingStatus", 4, 4},
};

static struct {
	const struct gomodule *of; /* NULL: none, or several */
	bool looked_up;
	uint64_t address[GOVARS_COUNT]; /* 0: not found */
} variables;

#define SYMBOLS_AT_ONCE 512

static void consider(const struct elffile *f, const Elf64_Shdr *names, const Elf64_Sym *s,
		     uint64_t bias)
{
	char name[24];
	if (ELF64_ST_TYPE(s->st_info) != STT_OBJECT || s->st_name >= names->sh_size)
		return;
	for (size_t i = 0; i < GOVARS_COUNT; i++) {
		if (s->st_size < wanted[i].low || s->st_size > wanted[i].high)
			continue;
		size_t bytes = strlen(wanted[i].name) + 1;
		if (elffile_read(f, names->sh_offset + s->st_name, name, bytes) == bytes &&
		    memcmp(name, wanted[i].name, bytes) == 0)
			variables.address[i] = bias + s->st_value;
	}
}

static void read_symbols(struct scratch *scratch, const struct elffile *f, const Elf64_Shdr *table,
			 uint64_t bias)
{
	Elf64_Sym *symbols = scratch_alloc(scratch, SYMBOLS_AT_ONCE * sizeof(*symbols));
	Elf64_Shdr names;
	if (!symbols || !elffile_section(f, table->sh_link, &names))
		return;
	for (uint64_t done = 0; done < table->sh_size;) {
		uint64_t left = table->sh_size - done;
		if (!work_may_go_on(20000)) {
			variables.looked_up = false; /* retry with the next budget */
			return;
		}
		size_t bytes = SYMBOLS_AT_ONCE * sizeof(*symbols);
		bytes = elffile_read(f, table->sh_offset + done, symbols,
				     bytes < left ? bytes : left);
		if (bytes < sizeof(*symbols))
			return;
		for (size_t i = 0; i < bytes / sizeof(*symbols); i++)
			consider(f, &names, &symbols[i], bias);
		done += bytes / sizeof(*symbols) * sizeof(*symbols);
	}
}

static void look_in(struct scratch *scratch, const struct module *module)
{
	struct elffile f;
	Elf64_Shdr section;
	int fd = modules_open(module);
	if (fd < 0)
		return;
	if (elffile_init_fd(&f, fd) == 0)
		for (uint32_t i = 0; elffile_section(&f, i, &section); i++)
			if (section.sh_type == SHT_SYMTAB)
				read_symbols(scratch, &f, &section, module->load_bias);
	sys_close(fd);
}

uint32_t govars_runtimes(void)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < gomodules_count(); i++)
		n += gomodules_get(i)->has_runtime;
	return n;
}

/* The module with the only runtime; NULL with several, because figures would cover only a part. */
static const struct gomodule *only_runtime(void)
{
	if (govars_runtimes() == 1)
		for (uint32_t i = 0; i < gomodules_count(); i++)
			if (gomodules_get(i)->has_runtime)
				return gomodules_get(i);
	return NULL;
}

/* Once per runtime: its symbols do not move. */
static void look_up(struct scratch *scratch)
{
	const struct gomodule *runtime = only_runtime();
	struct modules modules;
	if (variables.of == runtime && variables.looked_up)
		return;
	memset(&variables, 0, sizeof(variables));
	variables.of = runtime;
	if (!runtime || modules_read(scratch, &modules) != 0)
		return;
	variables.looked_up = true;
	const struct module *file = modules_find(&modules, runtime->tables.text);
	if (file && file->elf_ok)
		look_in(scratch, file);
}

uint64_t govars_address(struct scratch *scratch, enum govars_name name)
{
	look_up(scratch);
	return variables.address[name];
}

unsigned govars_release(void)
{
	const char *minor = ascii_after(gosym_version(), "go1.");
	unsigned n = 0;
	for (; minor && ascii_is_digit(*minor) && n < 100; minor++)
		n = 10 * n + (unsigned)(*minor - '0');
	return n >= 21 && n <= 27 ? n : 0;
}
