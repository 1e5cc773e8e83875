#include <stddef.h>

void *dr_malloc(size_t n);
void dr_free(void *p);
/* As dr_malloc, and the bits of path choose the functions on the stack. */
void *dr_maze(unsigned path, int bits, size_t n);
/* In a child of fork(2): malloc, realloc and free `count` blocks, then _exit(7).  Its exit code. */
int dr_fork(int count);
/* C threads, `together` at a time, that each leave a block of n bytes and end. */
int dr_short_threads(int threads, int together, size_t n);
/*
 * Loads the library, calls its plugin_alloc(n), unloads it.  The block in *block;
 * the result is where the function lay, 0 where it could not be had.
 */
unsigned long dr_plugin(const char *path, size_t n, void **block);
/* Allocates and frees with errno set; whether it is as it was. */
int dr_errno_kept(int count);
