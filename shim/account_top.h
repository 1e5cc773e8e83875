/*
 * The largest of C's mappings past malloc in an account, by who made them.
 */
#ifndef CGOHEAP_ACCOUNT_TOP_H
#define CGOHEAP_ACCOUNT_TOP_H

#include "account.h"

#define ACCOUNT_TOP 10

struct account_top {
	uint32_t site; /* stacks.h; 0: not known */
	uint64_t resident, mapped;
};

/* Each site of c_mmap once, the most resident first.  How many; 0 too where scratch ran out. */
size_t account_top_read(struct scratch *scratch, const struct account_parts *parts,
			struct account_top out[ACCOUNT_TOP]);

#endif
