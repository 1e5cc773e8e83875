#include <stddef.h>

void *dr_malloc(size_t n);
void dr_free(void *p);
/* As dr_malloc; the bits of path select the functions on the stack. */
void *dr_maze(unsigned path, int bits, size_t n);
/* In a child of fork(2): malloc, realloc and free `count` blocks, then _exit(7). Returns its
 * exit code. */
int dr_fork(int count);
/* C threads, `together` at a time, that each allocate a block of n bytes and end. */
int dr_short_threads(int threads, int together, size_t n);
/*
 * Loads the library, calls its plugin_alloc(n), unloads it. Puts the block into *block; returns
 * the function's address, or 0 if it was not found.
 */
unsigned long dr_plugin(const char *path, size_t n, void **block);
/* Allocates and frees with errno set; returns whether it is unchanged. */
int dr_errno_kept(int count);
