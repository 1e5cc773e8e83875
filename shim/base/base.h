/*
 * Room base: the machine, the kernel, libc and locks.  Called from everywhere, including hooks
 * and signal handlers.  Owns no table; its lock type is used by all other rooms.
 *
 * This header has the few macros that every module uses.  It must not expose any module's
 * private state.
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
#define PAGE_BYTES ((size_t)4096) /* the kernel's, or part of it: pagemap_page_bytes */

#define COUNT_OF(a)    (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(n, a) (((n) + (a)-1) & ~((a)-1))

/* Relaxed accesses, for figures and flags that order nothing else. */
#define LOAD(p)     __atomic_load_n((p), __ATOMIC_RELAXED)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define ADD(p, v)   __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
/* Acquire and release: a reader sees everything written before the release. */
#define LOAD_ACQ(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define STORE_REL(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* Lowers or raises *p to v unless it is there already, whoever else does so at once. Relaxed. */
static inline void lower_to(uint64_t *p, uint64_t v)
{
	uint64_t was = LOAD(p);

	while (v < was &&
	       !__atomic_compare_exchange_n(p, &was, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}
static inline void raise_to(uint64_t *p, uint64_t v)
{
	uint64_t was = LOAD(p);

	while (v > was &&
	       !__atomic_compare_exchange_n(p, &was, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/*
 * A function that must end in a jump, because what it calls looks at the caller's address:
 * ENDS_IN_JUMP in front of it, and JUMP_TO(f(...)) in place of each return. However it is compiled.
 */
#if defined(__has_attribute) && __has_attribute(musttail)
#define ENDS_IN_JUMP
#define JUMP_TO __attribute__((musttail)) return
#else
#define ENDS_IN_JUMP __attribute__((optimize("O2"), no_instrument_function))
#define JUMP_TO      return
#endif

/* Whether this build contains a sanitizer's runtime. */
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
