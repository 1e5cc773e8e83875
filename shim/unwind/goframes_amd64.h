/* For goframes.h: runtime/asm_amd64.s, runtime/cgo/asm_amd64.s and abi_amd64.h. */
#ifndef CGOHEAP_GOFRAMES_AMD64_H
#define CGOHEAP_GOFRAMES_AMD64_H

#define GOFRAMES_DEPTH_AT     0
#define GOFRAMES_G_AT         8
#define GOFRAMES_RECORD_BELOW 0

static inline uint64_t goframes_saved_at(bool is_1_21)
{
	return is_1_21 ? 40 : 0;
}

/*
 * crosscall2 saved its C caller's registers (PUSH_REGS_HOST_TO_ABI0) just below its frame
 * pointer b.  Since 1.22 the assembler adds a frame record, so there is one more record.
 */
static inline uint64_t goframes_crosscall_bp(uint64_t b, bool is_1_21)
{
	return is_1_21 ? b : b + 8;
}

#endif
