/* See known.h. */
#include "record/known.h"

#include <string.h>

__thread struct known known_self __attribute__((tls_model("initial-exec"), visibility("hidden")));

uint32_t known_current = 1;

void known_add(uint32_t generation, uint32_t stack, uint64_t size, uint32_t site)
{
	if (known_self.generation != generation) {
		memset(known_self.sites, 0, sizeof(known_self.sites));
		known_self.generation = generation;
	}
	*known_at(stack, size) = (struct known_site){size, stack, site};
}

void known_forget(void)
{
	__atomic_fetch_add(&known_current, 1, __ATOMIC_RELEASE);
}
