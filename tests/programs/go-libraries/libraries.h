/*
 * Calls of C++ libraries as Debian compiles them: ICU and RocksDB by gcc, LLVM by clang. What they
 * allocate passes through allocate; one allocation of each call becomes the block of n bytes that
 * the caller has noted.
 */
#pragma once
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum libraries_call {
	ICU_COLLATE,
	ICU_REGEX,
	ICU_DATE,
	ICU_CONVERT,
	ROCKS_PUT,
	ROCKS_GET,
	ROCKS_ITERATE,
	ROCKS_FLUSH,
	ROCKS_COMPACT,
	LLVM_PARSE,
	LIBRARIES_CALLS
};

/* Before all else. NULL: ready; else what is missing. */
const char *libraries_start(const char *directory);

/*
 * Makes the call. After `skip` allocations of it on this thread, the next one that fits is a block
 * of n bytes, which is never freed. Returns whether there was one.
 */
int libraries_allocate(int call, size_t skip, size_t n);

/*
 * Makes the call, and after `skip` callbacks of the library into this program the next one goes on
 * to goCallback(n). Returns whether there was one.
 */
int libraries_call_back(int call, size_t skip, size_t n);

/* A block of n bytes. */
void libraries_leaf(size_t n);

#ifdef __cplusplus
}
#endif
