/* See variance.h. */
#include "record/variance.h"

typedef unsigned __int128 wide;

/* A total with more than 64 bits. A reader may see it without the last carry. */
struct total {
	uint64_t low, high;
};

static struct total objects, bytes; /* 16 fraction bits, none */

static void add(struct total *t, wide n)
{
	uint64_t low = (uint64_t)n, before = ADD(&t->low, low);
	uint64_t high = (uint64_t)(n >> 64) + (before + low < before);

	if (high)
		ADD(&t->high, high);
}

/* A block sampled with probability p adds (1-p) / p^2, which is w (w-1) if w is 1/p. */
void variance_add(uint64_t size, struct weight w)
{
	uint64_t unseen = w.objects_fx - (UINT64_C(1) << WEIGHT_OBJECT_BITS);
	uint64_t unseen_bytes = w.bytes_fx - (size << WEIGHT_BYTE_BITS);

	if (likely(!unseen_bytes))
		return;
	add(&objects, (wide)w.objects_fx * unseen >> WEIGHT_OBJECT_BITS);
	add(&bytes, (wide)w.bytes_fx * unseen_bytes >> 2 * WEIGHT_BYTE_BITS);
}

static wide read_total(const struct total *t)
{
	return (wide)LOAD(&t->high) << 64 | LOAD(&t->low);
}

struct variance variance_get(void)
{
	return (struct variance){.objects_fx = read_total(&objects), .bytes = read_total(&bytes)};
}
