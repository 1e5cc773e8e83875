#include <stddef.h>

void *dr_malloc(size_t n);
void dr_free(void *p);
/* In a child of fork(2): malloc, realloc and free `count` blocks, then _exit(7).  Its exit code. */
int dr_fork(int count);
/* threads C threads that stay, asleep. */
int dr_sleepers(int threads);
