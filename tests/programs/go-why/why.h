#include <stddef.h>

/* A block of n bytes that is resident. */
void *why_malloc(size_t n);
void why_free(void *p);
/* Frees blocks on a C thread that ends before this returns. */
void why_free_by_thread(void **blocks, size_t count);

enum { WHY_PINNED, WHY_RETURNABLE, WHY_FIGURES };

/*
 * Allocates count blocks one behind the other, and frees all but each keep_every-th and the last.
 * The bytes of what it freed: those in pages that blocks in use share, and those in whole pages,
 * by the addresses of the blocks alone.
 */
void why_fragment(size_t count, size_t keep_every, size_t figures[WHY_FIGURES]);
