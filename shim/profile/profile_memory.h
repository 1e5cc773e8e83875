/*
 * /debug/pprof/memory: the whole RSS as one profile.
 *
 * Sample type memory_space/bytes. Every sample's root is a frame that names the owner,
 * "[c_live]". Below it are real stacks where they are known: of the C allocator's blocks in use,
 * of C's mappings, and of the code that created each thread. For a mapped file, the file's name
 * is between the owner and the stack. Samples sum to exactly the account's rss_bytes.
 */
#ifndef CGOHEAP_PROFILE_MEMORY_H
#define CGOHEAP_PROFILE_MEMORY_H

#include "account/account.h"
#include "profile/profile.h"

/*
 * go: Go's heap profile; empty if it did not arrive; NULL if the program has no Go package to
 * send it, so that Go's heap has no stacks. comments: NULL-terminated. Returns 0, or -1 if the
 * sink failed or scratch ran out before anything was written.
 */
int profile_memory_write(struct scratch *scratch, const struct account *account,
			 const struct account_parts *parts, const struct go_heap *go,
			 const char *const *comments, struct sink *sink);

#endif
