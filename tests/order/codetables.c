/*
 * codetables.h: tables are not read while they may be unmapped, and who sees a generation sees the
 * tables of it.
 *
 * break shim/unwind/codetables.c /fetch_add(&readers, 1/s/SEQ_CST/ACQ_REL/
 * break shim/unwind/codetables.c /load_n(&unloaders/s/SEQ_CST/ACQUIRE/
 * break shim/unwind/codetables.c /load_n(&readers/s/SEQ_CST/ACQUIRE/
 * break shim/unwind/codetables.c /fetch_sub(&readers, 1/s/RELEASE/RELAXED/
 * break shim/unwind/codetables.c /fetch_sub(&unloaders, 1/s/RELEASE/RELAXED/
 */
#define MODEL_WAITS
#include "model.h"

#include "unwind/codetables.c"

static int tables = 1;

static void *walks(void *unused)
{
	uint32_t seen = codetables_generation();

	if (codetables_begin_reading())
		return unused;
	int read = LOAD(&tables);
	codetables_end_reading();
	assert(read == 1 || read == 2);
	assert(seen == 0 || read == 2);
	return unused;
}

static void *unloads(void *unused)
{
	codetables_unload_begins();
	STORE(&tables, 0);
	STORE(&tables, 2);
	codetables_unload_ends();
	return unused;
}

int main(void)
{
	model_run(2, walks, unloads);
	return 0;
}
