/*
 * musl's allocation functions without the public names by which they call each other.
 *
 * Its calloc, memalign, posix_memalign and valloc call malloc or aligned_alloc as any other code
 * does, which is through a hook: their blocks would be sampled twice. Its realloc and free do not.
 */
#ifndef CGOHEAP_MUSLFAMILY_H
#define CGOHEAP_MUSLFAMILY_H

/* After real_resolve, in the constructor: puts other functions in their place that do the same. No
 * effect where another library answers, or libc is not musl. */
void muslfamily_init(void);

#endif
