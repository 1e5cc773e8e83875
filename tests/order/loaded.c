/*
 * loaded.c: what is found in the table of modules is one entry's, also where the list that is read
 * is filled again.
 *
 * with shim/base/loaded.c s/MODULES_MAX 8192/MODULES_MAX 1/
 * with shim/base/loaded.c s/tries < 4/tries < 1/
 * with shim/base/loaded.c s/memcpy(table.*;/put_entry(\&table.list[next \& 1][0], r->list);/
 * with shim/base/loaded.c s/.out = found.module/out->bias = found.module.bias/
 * break shim/base/loaded.c /__ATOMIC_RELEASE/d
 * break shim/base/loaded.c /__ATOMIC_ACQUIRE/d
 * break shim/base/loaded.c s/LOAD_ACQ(&table.version)/LOAD(\&table.version)/
 * break shim/base/loaded.c s/STORE_REL(&table.version, next)/STORE(\&table.version, next)/
 * break shim/base/loaded.c s/if (LOAD(&table.version) != version)/if (false)/
 */
#include "model.h"

#include <dlfcn.h>
#include <link.h>

#define CGOHEAP_LIBC_H
static struct {
	int (*dl_iterate_phdr)(int (*call)(struct dl_phdr_info *, size_t, void *), void *arg);
} libc;
struct entry;
static void put_entry(struct entry *to, const struct entry *from);

#include "base/loaded.c"

/* In any order, as memcpy may. */
static void put_entry(struct entry *to, const struct entry *from)
{
	STORE(&to->module.bias, from->module.bias);
	STORE(&to->start, from->start);
	STORE(&to->end, from->end);
}

static void fill(uint64_t start, unsigned long long loads)
{
	struct entry e = {.start = start, .end = start + 8, .module = {.bias = start}};

	publish(&(struct reading){.list = &e, .count = 1, .loads = loads});
}

static void *updates(void *unused)
{
	fill(16, 2);
	fill(24, 3);
	return unused;
}

static void *finds(void *unused)
{
	struct code_module m;

	m.bias = 0; /* the compiler may read it where nothing is found */
	if (loaded_find(8, &m))
		assert(m.bias == 8);
	return unused;
}

int main(void)
{
	fill(8, 1);
	model_run(2, updates, finds);
	return 0;
}
