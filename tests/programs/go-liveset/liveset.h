#include <stddef.h>

void *ls_malloc(size_t n);
void *ls_calloc(size_t count, size_t n);
void *ls_realloc(void *p, size_t n);
void *ls_reallocarray(void *p, size_t count, size_t n);
void *ls_posix_memalign(size_t alignment, size_t n);
void *ls_aligned_alloc(size_t alignment, size_t n);
void *ls_memalign(size_t alignment, size_t n);
void *ls_valloc(size_t n);
void *ls_pvalloc(size_t n);
void *ls_strdup(const char *s);
void ls_free(void *p);

/*
 * Starts threads C threads that malloc `count` blocks of n bytes each, free some of their own
 * and of their neighbour's, and keep the rest. Returns the number kept, or -1 if a thread could
 * not be created.
 */
long ls_threads(int threads, long count, size_t n);
