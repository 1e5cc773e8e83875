/*
 * libc functions that hooks call, other than the interposed ones.  They bypass any
 * replacement that a preload provides.
 *
 * Until libc_resolve has run, they are the functions that the program is linked to.
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

/* Any thread, any number of times; does not allocate. */
void libc_resolve(void);

#endif
