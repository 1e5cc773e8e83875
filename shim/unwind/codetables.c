/* See codetables.h. */
#include "unwind/codetables.h"

#include <dlfcn.h>
#include <string.h>

#include "base/dynsym.h"
#include "base/libc.h"
#include "base/lock.h"
#include "base/sys.h"
#include "unwind/cfi_entry.h"
#include "unwind/rows.h"

/* ---- keeping modules loaded while they are read -------------------------- */

static uint32_t readers, unloaders;

static uint32_t generation;

uint32_t codetables_generation(void)
{
	return LOAD(&generation);
}

void codetables_changed(void)
{
	uint32_t now = ADD(&generation, 1) + 1;

	/* Twice while the tags go around, so that no row is found when its tag comes again. */
	if (unlikely(now % (ROWS_TAGS / 2) == 0))
		rows_forget();
}

void codetables_end_reading(void)
{
	__atomic_fetch_sub(&readers, 1, __ATOMIC_RELEASE);
}

/* Each side announces itself before it checks for the other. */
int codetables_begin_reading(void)
{
	__atomic_fetch_add(&readers, 1, __ATOMIC_SEQ_CST);
	if (likely(!__atomic_load_n(&unloaders, __ATOMIC_SEQ_CST)))
		return 0;
	codetables_end_reading();
	return -1;
}

/* A reader needs microseconds, unless its thread was preempted or ended while reading. */
#define WAIT_NS   1000000
#define MAX_WAITS 100

void codetables_unload_begins(void)
{
	static const struct timespec moment = {.tv_nsec = WAIT_NS};
	uint32_t reading;

	__atomic_fetch_add(&unloaders, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < MAX_WAITS; i++) {
		reading = __atomic_load_n(&readers, __ATOMIC_SEQ_CST);
		if (!reading)
			return;
		sys_call(futex, &readers, FUTEX_WAIT, reading, &moment);
	}
}

void codetables_unload_ends(void)
{
	codetables_changed();
	__atomic_fetch_sub(&unloaders, 1, __ATOMIC_RELEASE);
}

void codetables_after_fork_in_child(void)
{
	STORE(&readers, 0);
	STORE(&unloaders, 0);
}

/* ---- a module's tables --------------------------------------------------- */

/* From glibc 2.35, where it is libc's; later releases may have moved it to the loader. Looked up,
 * because even a weak reference would require that version. */
static int (*find_object)(void *address, struct dl_find_object *result);

void codetables_init(void)
{
	static const char name[] = "_dl_find_object";
	void *found = dynsym_libc(name);

	find_object = (__typeof__(find_object))(found ? found : dynsym_loader(name));
}

bool codetables_segment(const struct code_module *m, uint64_t address, uint64_t *start,
			uint64_t *end)
{
	for (size_t i = 0; i < m->count; i++) {
		const ElfW(Phdr) *p = &m->headers[i];
		*start = m->bias + p->p_vaddr;
		*end = *start + p->p_filesz;
		if (p->p_type == PT_LOAD && (p->p_flags & PF_R) && address >= *start &&
		    address < *end)
			return true;
	}
	return false;
}

/* From the program headers, which every linker puts in the first page. */
static bool module_of_object(const struct dl_find_object *object, struct code_module *out)
{
	const ElfW(Ehdr) *header = object->dlfo_map_start;

	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phoff % 8 ||
	    header->e_phoff + (uint64_t)header->e_phnum * sizeof(ElfW(Phdr)) > PAGE_BYTES)
		return false;
	*out = (struct code_module){.headers =
					    (const void *)((const char *)header + header->e_phoff),
				    .count = header->e_phnum,
				    .table = (uint64_t)object->dlfo_eh_frame};
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

static int module_of_headers(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct module_search *search = arg;
	struct code_module m = {info->dlpi_phdr, info->dlpi_phnum, info->dlpi_addr, 0};
	uint64_t start, end;

	(void)size;
	if (!codetables_segment(&m, search->pc, &start, &end))
		return 0;
	for (size_t i = 0; i < m.count; i++)
		if (m.headers[i].p_type == PT_GNU_EH_FRAME)
			m.table = m.bias + m.headers[i].p_vaddr;
	*search->out = m;
	return 1;
}

bool codetables_module(uint64_t pc, struct code_module *out)
{
	struct dl_find_object object;
	struct module_search search = {pc, out};

	if (!find_object)
		return libc.dl_iterate_phdr(module_of_headers, &search) == 1;
	return find_object((void *)pc, &object) == 0 && module_of_object(&object, out);
}

uint64_t codetables_fde(const struct code_module *m, uint64_t pc, struct fde_module *tables,
			bool *failed)
{
	*failed = false;
	tables->table = m->table;
	if (!m->table || !codetables_segment(m, m->table, &tables->start, &tables->end))
		return 0;
	uint64_t fde = fde_find(tables, pc);
	int covers = fde ? cfi_covers(tables, fde, pc) : 0;
	*failed = covers < 0;
	return covers > 0 ? fde : 0;
}
