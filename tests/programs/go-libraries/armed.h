/* Which allocation, or which callback, is the one that is noted. */
#pragma once
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct armed {
	int is_armed;
	size_t skip, n;
};

/* Of this thread; the caller restores what was there before. */
extern __thread struct armed armed_allocation, armed_callback;

/* malloc, or the noted block. */
void *armed_malloc(size_t bytes);
/* free and realloc; a noted block stays. */
void armed_free(void *block);
void *armed_realloc(void *block, size_t bytes);

/* A library has called back: goes on to Go if this is the one. */
void armed_call_back(void);

#ifdef __cplusplus
}
#endif
