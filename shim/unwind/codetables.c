/* See codetables.h. */
#include "unwind/codetables.h"

#include "base/lock.h"
#include "base/sys.h"
#include "unwind/cfi_entry.h"
#include "unwind/rows.h"

/* ---- keeping modules loaded while they are read -------------------------- */

static uint32_t readers, unloaders;

static uint32_t generation;

uint32_t codetables_generation(void)
{
	return LOAD_ACQ(&generation);
}

void codetables_changed(void)
{
	uint32_t now = __atomic_add_fetch(&generation, 1, __ATOMIC_RELEASE);

	/* Twice while the tags go around, so that no row is found when its tag comes again. */
	if (unlikely(now % (ROWS_TAGS / 2) == 0))
		rows_forget();
}

void codetables_update(void)
{
	if (loaded_update())
		codetables_changed();
}

void codetables_end_reading(void)
{
	__atomic_fetch_sub(&readers, 1, __ATOMIC_RELEASE);
}

/* Each side announces itself before it checks for the other: all four accesses are in one order. */
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
	loaded_after_fork_in_child();
}

/* ---- a module's tables --------------------------------------------------- */

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

bool codetables_module(uint64_t pc, struct code_module *out)
{
	return loaded_find(pc, out);
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
