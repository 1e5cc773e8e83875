/* For goframes.h: runtime/asm_amd64.s, runtime/cgo/asm_amd64.s and abi_amd64.h. */
#ifndef CGOHEAP_GOFRAMES_AMD64_H
#define CGOHEAP_GOFRAMES_AMD64_H

#define GOFRAMES_DEPTH_AT     0
#define GOFRAMES_G_AT         8
#define GOFRAMES_RECORD_BELOW 0
#define GOFRAMES_CALLER_SP    16
#define GOFRAMES_SEARCHED     1

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

/* A record that points at its other word is half of one: hand-written code pushed the frame
 * pointer; its assembler does so too. */
static inline bool goframes_is_link(struct saferead *memory, uint64_t *record, uint64_t c_sp,
				    uint64_t *next)
{
	(void)c_sp;
	if (!saferead_read(memory, *record, next))
		return false;
	if (*next != *record + 8)
		return true;
	*record = *next;
	return saferead_read(memory, *record, next);
}

static inline bool goframes_is_switch(const char *function)
{
	(void)function;
	return false;
}

static inline uint64_t goframes_switched_bp(int minor)
{
	(void)minor;
	return 0;
}

#endif
