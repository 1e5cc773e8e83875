/*
 * /debug/pprof/memory: the whole RSS as one profile.
 *
 * Sample type memory_space/bytes.  Every sample's root is a frame that names the
 * owner, "[c_live]"; below it are real stacks where they are known: of the C
 * allocator's blocks in use, of C's mappings, and of who created each thread.
 * Between the owner and the stack of a mapped file stands the file's name.
 * Samples sum to the account's rss_bytes, exactly.
 */
#ifndef CGOHEAP_PROFILE_MEMORY_H
#define CGOHEAP_PROFILE_MEMORY_H

#include "account/account.h"
#include "profile/profile.h"

/*
 * go: Go's heap profile; without bytes where it did not come; NULL where the program has no
 * package that could send it: then Go's heap has no stacks.  comments: NULL-terminated.  0; -1 when
 * the sink failed or scratch was exhausted before anything was written.
 */
int profile_memory_write(struct scratch *scratch, const struct account *account,
			 const struct account_parts *parts, const struct go_heap *go,
			 const char *const *comments, struct sink *sink);

#endif
