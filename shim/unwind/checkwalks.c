/* See checkwalks.h. */
#include "unwind/checkwalks.h"

#ifdef CGOHEAP_CHECK_WALKS

#include <string.h>

#include "config/log.h"

static bool are_same(const struct capture *a, const struct capture *b)
{
	return a->count == b->count && a->end == b->end && a->omitted_at == b->omitted_at &&
	       memcmp(a->frames, b->frames, a->count * sizeof(a->frames[0])) == 0;
}

static void print(const char *which, const struct capture *c)
{
	log_complain("%s: %u frames, end %s, gap %u", which, c->count, capture_end_name(c->end),
		     c->omitted_at);
	for (uint32_t i = 0; i < c->count; i++)
		log_complain("%s %3u %#lx", which, i, (unsigned long)c->frames[i]);
}

void checkwalks_compare(const struct capture *quick, const struct capture *all)
{
	if (are_same(quick, all))
		return;
	log_complain("two walks of one stack differ; %u frames were found unchanged",
		     quick->unchanged);
	print("quick", quick);
	print("whole", all);
	__builtin_trap();
}

#endif
