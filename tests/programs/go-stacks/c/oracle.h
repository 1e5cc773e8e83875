/*
 * The independent account of a C stack: libgcc's unwinder, run by the function
 * that is about to allocate (or to call back into Go).  It ends where C ends.
 */
#pragma once
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ORACLE_MAX_FRAMES 320
#define ORACLE_MAX        8192

struct oracle {
	size_t size; /* of the block this stack is about */
	int count;
	/* pcs[0] is in the function that asked, the rest are return addresses,
	 * the last one of them in runtime.asmcgocall or at a thread's start. */
	void *pcs[ORACLE_MAX_FRAMES];
};
extern struct oracle oracles[ORACLE_MAX];
extern int oracle_count;

/* The stack of the caller, for the block of n bytes.  Innermost segment last. */
void oracle_note(size_t n);

#ifdef __cplusplus
}
#endif
