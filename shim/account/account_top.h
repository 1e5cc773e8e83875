/*
 * The largest parts of one owner in an account, by the site that created them and the file they
 * map.
 */
#ifndef CGOHEAP_ACCOUNT_TOP_H
#define CGOHEAP_ACCOUNT_TOP_H

#include "account/account.h"

#define ACCOUNT_TOP 10

struct account_top {
	uint32_t site; /* stacks.h; 0: not known */
	uint16_t file; /* account_parts.files; 0: none */
	uint64_t resident, mapped;
};

/* Each site and file of the owner once, most resident first. Returns the count; also 0 if
 * scratch ran out. */
size_t account_top_read(struct scratch *scratch, const struct account_parts *parts,
			enum account_owner owner, struct account_top out[ACCOUNT_TOP]);

#endif
