/* See gomodules.h. */
#include "go/gomodules.h"

#include <limits.h>
#include <sys/auxv.h>

#include "base/arch.h"
#include "base/ascii.h"
#include "base/libc.h"
#include "base/loaded.h"
#include "go/goexe.h"
#include "go/gotls.h"

/* For a library without Go's note; takes 0.5 ms. */
#define MAX_SEARCH_BYTES (4 * MIB)

static struct gomodule list[GOMODULES_MAX];
static uint32_t count, missed;
static uint64_t refused[GOMODULES_MAX]; /* start of files without tables */
static uint32_t refused_count;
static bool is_program;
static bool is_adding; /* by one thread at a time; the others do not wait */

/* ---- the list ----------------------------------------------------------- */

uint32_t gomodules_count(void)
{
	return LOAD_ACQ(&count);
}

struct gomodule *gomodules_get(uint32_t index)
{
	return &list[index];
}

bool gomodules_are_program(void)
{
	return is_program;
}

uint32_t gomodules_missed(void)
{
	return LOAD(&missed);
}

struct gomodule *gomodules_at(uint64_t pc)
{
	uint32_t n = gomodules_count();

	for (uint32_t i = 0; i < n; i++)
		if (gomodule_has_text(&list[i], pc))
			return &list[i];
	return NULL;
}

bool gomodules_hold(uint64_t address, uint64_t bytes)
{
	uint32_t n = gomodules_count();

	for (uint32_t i = 0; i < n; i++)
		if (gotables_hold(&list[i].tables, address, bytes))
			return true;
	return false;
}

/* ---- thread-local words -------------------------------------------------- */

/* Reads the offsets that the loader filled in, by which code finds its thread-local words. */
static void read_tls(const struct code_module *image, struct gomodule *module)
{
	const ElfW(Dyn) *d = NULL;
	const ElfW(Rela) *rela = NULL;
	uint64_t bytes = 0;

	for (size_t i = 0; i < image->count; i++)
		if (image->headers[i].p_type == PT_DYNAMIC)
			d = (const void *)(image->bias + image->headers[i].p_vaddr);
	for (; d && d->d_tag != DT_NULL; d++) {
		/* glibc has already added the bias. */
		if (d->d_tag == DT_RELA)
			rela = (const void *)d->d_un.d_ptr;
		if (d->d_tag == DT_RELASZ)
			bytes = d->d_un.d_val;
	}
	if (!rela || !gotables_hold(&module->tables, (uint64_t)rela, bytes))
		return;
	for (size_t i = 0; i < bytes / sizeof(*rela) && module->tls_count < GOMODULE_TLS; i++)
		if (ELF64_R_TYPE(rela[i].r_info) == ARCH_TLS_RELOCATION &&
		    gotables_hold(&module->tables, image->bias + rela[i].r_offset, 8))
			module->tls[module->tls_count++] = arch_tls_offset(
				*(const uint64_t *)(image->bias + rela[i].r_offset));
}

static void read_program_tls(struct gomodule *module)
{
	if (gotls_is_found(module, &module->tls[0])) {
		module->tls_count = 1;
		module->tls_is_g = true;
	}
}

static int minor_version(const char *version)
{
	const char *minor = ascii_after(version, "go1.");
	uint64_t n;

	return minor && ascii_number(&minor, &n) && n <= INT_MAX ? (int)n : 0;
}

/* module->tables must be set. */
static void add(struct gomodule *module)
{
	module->index = count;
	module->minor = minor_version(module->tables.version);
	module->has_runtime = gotables_name(&module->tables, "runtime.rt0_go") != GOTABLES_NONE;
	STORE_REL(&count, count + 1);
}

static int add_image(const struct code_module *image)
{
	struct gomodule *module = &list[count];

	if (count == GOMODULES_MAX) {
		ADD(&missed, 1);
		return -1;
	}
	*module = (struct gomodule){0};
	if (!gotables_find_in(image->headers, image->count, image->bias, &module->tables) ||
	    gomodules_at(module->tables.text))
		return -1;
	read_tls(image, module);
	add(module);
	return 0;
}

/* ---- at the start ------------------------------------------------------- */

static int add_loaded(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct code_module image = {info->dlpi_phdr, info->dlpi_phnum, info->dlpi_addr, 0};

	(void)size, (void)arg;
	if ((uint64_t)info->dlpi_phdr != getauxval(AT_PHDR) &&
	    goexe_library_may_be_go(image.headers, image.count, image.bias, 0))
		add_image(&image);
	return 0;
}

int gomodules_init(void)
{
	STORE(&count, 0);
	STORE(&missed, 0);
	list[0] = (struct gomodule){0};
	is_program = gotables_find(&list[0].tables);
	if (is_program) {
		add(&list[0]);
		read_program_tls(&list[0]);
	}
	libc_iterate_phdr(add_loaded, NULL);
	loaded_init();
	return count ? 0 : -1;
}

/* ---- later -------------------------------------------------------------- */

static bool is_refused(const struct code_module *image)
{
	uint32_t n = LOAD_ACQ(&refused_count);

	for (uint32_t i = 0; i < n; i++)
		if (LOAD(&refused[i]) == image->bias)
			return true;
	return false;
}

static void refuse(const struct code_module *image)
{
	if (refused_count == GOMODULES_MAX)
		return;
	STORE(&refused[refused_count], image->bias);
	STORE_REL(&refused_count, refused_count + 1);
}

bool gomodules_look(uint64_t address)
{
	struct code_module image;

	if (gomodules_hold(address, 1) || !loaded_find(address, &image) || is_refused(&image) ||
	    !goexe_library_may_be_go(image.headers, image.count, image.bias, MAX_SEARCH_BYTES) ||
	    __atomic_exchange_n(&is_adding, true, __ATOMIC_ACQUIRE))
		return false;
	bool added = add_image(&image) == 0;
	if (!added)
		refuse(&image);
	__atomic_store_n(&is_adding, false, __ATOMIC_RELEASE);
	return added;
}
