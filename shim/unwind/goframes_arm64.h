/*
 * For goframes.h: runtime/asm_arm64.s, runtime/cgo/asm_arm64.s; the same in Go 1.21 to 1.27 but for
 * systemstack.
 *
 * A Go function saves the return address at its stack pointer and R29 in the word below, where R29
 * points then.  So a record is at the lower end of its frame: 8 bytes below the function's stack
 * pointer.
 */
#ifndef CGOHEAP_GOFRAMES_ARM64_H
#define CGOHEAP_GOFRAMES_ARM64_H

#include <string.h>

#define GOFRAMES_DEPTH_AT     8
#define GOFRAMES_G_AT         0
#define GOFRAMES_RECORD_BELOW 8
#define GOFRAMES_CALLER_SP    24  /* a frame without variables has 16 bytes */
#define GOFRAMES_SEARCHED     512 /* the C function's frame, in 16 bytes */

static inline uint64_t goframes_saved_at(bool is_1_21)
{
	(void)is_1_21;
	return 0;
}

/*
 * asmcgocall keeps its stack pointer in its record, where it need not change the stack.  C code
 * that was called with the Go function's own stack pointer (purego's fakecgo) writes over that
 * one's.  Both functions have no variables: the caller's record is above their frame of 16 bytes.
 */
static inline bool goframes_is_link(struct saferead *memory, uint64_t *record, uint64_t c_sp,
				    uint64_t *next)
{
	bool is_read = saferead_read(memory, *record, next);

	if (is_read && (*next == *record + 8 || *record + 8 == c_sp))
		*next = *record + 16;
	return is_read;
}

/* It sets R29 to g0's when it changes the stack, up to Go 1.24. */
static inline bool goframes_is_switch(const char *function)
{
	return strcmp(function, "runtime.systemstack") == 0;
}

static inline uint64_t goframes_switched_bp(int minor)
{
	return minor > 0 && minor <= 24 ? 0x68 : 0;
}

#endif
