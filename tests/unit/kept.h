/* A sink that keeps what is written to it, with a NUL behind, and fails past a limit. */
#ifndef TESTS_KEPT_H
#define TESTS_KEPT_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "text/sink.h"

struct kept {
	struct sink sink;
	unsigned char *bytes; /* by malloc; the test frees them */
	size_t count, limit;
	bool failed;
};

/* A sink that has failed gets no more writes. */
static inline int kept_write(struct sink *sink, const void *bytes, size_t count)
{
	struct kept *k = sink->arg;

	if (k->failed)
		abort();
	k->failed = count > k->limit - k->count;
	if (k->failed)
		return -1;
	k->bytes = realloc(k->bytes, k->count + count + 1);
	memcpy(k->bytes + k->count, bytes, count);
	k->count += count;
	k->bytes[k->count] = 0;
	return 0;
}

/* Must not move after this. */
static inline void kept_init(struct kept *k, size_t limit)
{
	*k = (struct kept){.limit = limit};
	k->sink = (struct sink){.write = kept_write, .arg = k};
}

#endif
