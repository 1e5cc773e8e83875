/* See threadroots.h. */
#include "unwind/threadroots.h"

#include "unwind/codetables.h"

/* libc has one for pthread_create and one for thrd_create. */
#define MOST 4
static uint64_t roots[MOST]; /* 0: free */

bool threadroots_has(uint64_t ip)
{
	for (size_t i = 0; ip && i < MOST; i++)
		if (LOAD(&roots[i]) == ip)
			return true;
	return false;
}

/* Forgets rows of earlier walks, which did not know it. */
void threadroots_note(uint64_t ip)
{
	for (size_t i = 0; i < MOST; i++) {
		uint64_t held = 0;
		if (LOAD(&roots[i]) == ip)
			return;
		if (__atomic_compare_exchange_n(&roots[i], &held, ip, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED)) {
			codetables_changed();
			return;
		}
		if (held == ip)
			return;
	}
}
