/* See loaded.h. */
#include "base/loaded.h"

#include <string.h>

#include "base/dynsym.h"
#include "base/libc.h"

/* struct dl_find_object (dlfcn.h, glibc 2.35), for older headers. */
struct found_object {
	uint64_t flags;
	const void *map_start, *map_end;
	const struct link_map *link_map;
	const void *eh_frame;
	uint64_t reserved[7];
};

/* Looked up, because even a weak reference would require that loader version. */
static int (*find_object)(void *address, struct found_object *result);

void loaded_init(void)
{
	find_object = (__typeof__(find_object))dynsym_loader("_dl_find_object");
}

/* From the program headers, which every linker puts in the first page. */
static bool module_of_object(const struct found_object *object, struct code_module *out)
{
	const ElfW(Ehdr) *header = object->map_start;

	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phoff % 8 ||
	    header->e_phoff + (uint64_t)header->e_phnum * sizeof(ElfW(Phdr)) > PAGE_BYTES)
		return false;
	*out = (struct code_module){.headers =
					    (const void *)((const char *)header + header->e_phoff),
				    .count = header->e_phnum,
				    .table = (uint64_t)object->eh_frame};
	for (size_t i = 0; i < out->count; i++)
		if (out->headers[i].p_type == PT_LOAD) {
			out->bias = (uint64_t)header -
				    (out->headers[i].p_vaddr & ~(uint64_t)(PAGE_BYTES - 1));
			return true;
		}
	return false;
}

struct module_search {
	uint64_t pc;
	struct code_module *out;
};

static bool is_in_segment(const struct dl_phdr_info *info, uint64_t pc)
{
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		if (p->p_type == PT_LOAD && pc - (info->dlpi_addr + p->p_vaddr) < p->p_filesz)
			return true;
	}
	return false;
}

static int module_of_headers(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct module_search *search = arg;
	struct code_module m = {info->dlpi_phdr, info->dlpi_phnum, info->dlpi_addr, 0};

	(void)size;
	if (!is_in_segment(info, search->pc))
		return 0;
	for (size_t i = 0; i < m.count; i++)
		if (m.headers[i].p_type == PT_GNU_EH_FRAME)
			m.table = m.bias + m.headers[i].p_vaddr;
	*search->out = m;
	return 1;
}

bool loaded_find(uint64_t address, struct code_module *out)
{
	struct found_object object;
	struct module_search search = {address, out};

	if (!find_object)
		return libc.dl_iterate_phdr(module_of_headers, &search) == 1;
	return find_object((void *)address, &object) == 0 && module_of_object(&object, out);
}
