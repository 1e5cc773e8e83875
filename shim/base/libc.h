/*
 * libc's own functions that hooks call beside those they stand in front of: whatever a
 * preload has in their place, these are past it.
 *
 * Before libc_resolve they are what the program is linked to.
 */
#ifndef CGOHEAP_LIBC_H
#define CGOHEAP_LIBC_H

#include <link.h>
#include <pthread.h>

struct libc {
	int (*pthread_setspecific)(pthread_key_t, const void *);
	int (*pthread_attr_getstack)(const pthread_attr_t *, void **, size_t *);
	int (*pthread_attr_getstacksize)(const pthread_attr_t *, size_t *);
	int (*dl_iterate_phdr)(int (*)(struct dl_phdr_info *, size_t, void *), void *);
};
extern struct libc libc __attribute__((visibility("hidden")));

/* Any thread, any number of times; no allocation. */
void libc_resolve(void);

#endif
