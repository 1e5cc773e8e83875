/*
 * Room base: the machine, the kernel, libc and locks.  Called from everywhere, hooks and signal
 * handlers included; owns no table, and its one lock type is the lock of all others.
 *
 * The handful of words every module uses.  No module may include another's
 * private state from here: this is vocabulary, not a common header.
 */
#ifndef CGOHEAP_BASE_H
#define CGOHEAP_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define KIB        ((size_t)1 << 10)
#define MIB        ((size_t)1 << 20)
#define PAGE_BYTES ((size_t)4096) /* granularity of readability checks */

#define COUNT_OF(a)    (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(n, a) (((n) + (a)-1) & ~((a)-1))

/* Relaxed accesses: figures and flags that order nothing else. */
#define LOAD(p)     __atomic_load_n((p), __ATOMIC_RELAXED)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define ADD(p, v)   __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
/* Publishing accesses: what was written before is seen by who reads it. */
#define LOAD_ACQ(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define STORE_REL(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* A build with a sanitizer's runtime in it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED true
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED false
#endif

#endif
