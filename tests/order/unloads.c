/*
 * unloads.c: a place whose entry another one takes over is never said to be unloaded when that one
 * was, and who comes after an unloading finds it.
 *
 * with shim/record/unloads.c s/= unloads.count ? nearest(start, end) : NULL/= NULL/
 * break shim/record/unloads.c /^static void fill/,/^}/s/STORE_REL(&u->at/STORE(\&u->at/
 * break shim/record/unloads.c s/= LOAD_ACQ(&u->at)/= LOAD(\&u->at)/
 */
#include "model.h"

#include <link.h>

#define CGOHEAP_LIBC_H
static struct {
	int (*dl_iterate_phdr)(int (*call)(struct dl_phdr_info *, size_t, void *), void *arg);
} libc;
#undef close /* the checker's */

#include "record/unloads.c"

#define BEFORE 0x1000
#define AFTER  0x2000
static uint32_t is_reloaded;

static void *unloads_both(void *unused)
{
	unloads_forget_begin();
	unloads_forget_end(); /* no stack asked for it */
	unloads_add(AFTER, AFTER + 16);
	STORE_REL(&is_reloaded, 1); /* the loader's lock, for who runs what is there now */
	return unused;
}

static void *asks(void *unused)
{
	assert(unloads_latest_at(BEFORE + 8) != 2);
	return unused;
}

static void *runs_it(void *unused)
{
	if (LOAD_ACQ(&is_reloaded))
		assert(unloads_latest_at(AFTER + 8) == 2);
	return unused;
}

int main(void)
{
	unloads_add(BEFORE, BEFORE + 16);
	model_run(3, unloads_both, asks, runs_it);
	return 0;
}
