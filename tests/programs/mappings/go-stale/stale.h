#include <stdint.h>

/* Calls Go depth times, and C from there. */
void call_back(int depth, uintptr_t bytes);

/* Keeps a block, below depth frames that never write their 1 KiB. */
void keep_below(int depth, uintptr_t bytes);
