/* See frees.h. */
#include "record/frees.h"

#include "base/pagemap.h"

const char *const freed_by_names[FREED_BY_COUNT] = {"finalizer", "cleanup", "go", "c"};

struct frees_kinds frees_of(uint32_t site)
{
	(void)site;
	return (struct frees_kinds){0};
}

enum freed_by frees_most(const struct frees_kinds *kinds)
{
	enum freed_by most = FREED_BY_UNKNOWN;
	uint64_t bytes = kinds->unknown_bytes_fx;

	for (enum freed_by kind = 0; kind < FREED_BY_COUNT; kind++)
		if (kinds->bytes_fx[kind] > bytes) {
			most = kind;
			bytes = kinds->bytes_fx[kind];
		}
	return most;
}

/* ---- debt ---------------------------------------------------------------- */

/* bytes * part / whole; both are below 2^67, and bytes are below 2^57. */
static uint64_t share_of(uint64_t bytes, unsigned __int128 part, unsigned __int128 whole)
{
	return (uint64_t)(bytes * part / whole);
}

uint64_t frees_debt_bytes(uint32_t site, uint64_t inuse_bytes)
{
	struct frees_kinds kinds = frees_of(site);
	unsigned __int128 gc = (unsigned __int128)kinds.bytes_fx[FREED_BY_FINALIZER] +
			       kinds.bytes_fx[FREED_BY_CLEANUP];
	unsigned __int128 all = gc + kinds.bytes_fx[FREED_BY_GO] + kinds.bytes_fx[FREED_BY_C] +
				kinds.unknown_bytes_fx;

	return all ? share_of(inuse_bytes, gc, all) : UNKNOWN;
}

static void add_debt(uint32_t site, void *arg)
{
	struct frees_debt *sum = arg;
	int64_t now = site_at(site)->origin == ORIGIN_MALLOC ? stacks_tally(site).inuse_bytes : 0;
	uint64_t inuse = now > 0 ? (uint64_t)now : 0, debt = frees_debt_bytes(site, inuse);

	sum->inuse_bytes += inuse;
	if (debt == UNKNOWN)
		return;
	sum->known_bytes += inuse;
	sum->debt_bytes += debt;
}

struct frees_debt frees_debt_now(void)
{
	struct frees_debt sum = {0};

	stacks_each_site(add_debt, &sum);
	return sum;
}
