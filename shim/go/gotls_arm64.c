/*
 * See gotls.h.  The offset is in runtime.load_g, between the loads of the thread pointer and of g:
 *
 *   mrs x0, tpidr_el0
 *   mov x27, #offset          or movz and movk
 *   ldr x28, [x0, x27]
 */
#include "go/gotls.h"

#include "go/gosym.h"

#define LOAD_POINTER 0xd53bd040u
#define LOAD_G       0xf87b681cu
#define MOVZ_X27     0xd280001bu
#define MOVK_X27     0xf280001bu
#define MOVE_MASK    0xff80001fu
#define MOST_BYTES   256

/* Whether op moves 16 bits into x27: *offset with them. */
static bool is_move(uint32_t op, uint64_t *offset)
{
	unsigned shift = (op >> 21 & 3) * 16;
	uint64_t bits = (uint64_t)(op >> 5 & 0xffff) << shift;

	if ((op & MOVE_MASK) == MOVZ_X27)
		*offset = bits;
	else if ((op & MOVE_MASK) == MOVK_X27)
		*offset = (*offset & ~(UINT64_C(0xffff) << shift)) | bits;
	else
		return false;
	return true;
}

bool gotls_is_found(const struct gomodule *program, uint64_t *offset)
{
	struct gosym_func f;
	bool is_after_pointer = false;

	if (!gosym_lookup(program, "runtime.load_g", &f) || f.entry % 4)
		return false;
	uint64_t bytes = f.end - f.entry < MOST_BYTES ? f.end - f.entry : MOST_BYTES;
	*offset = 0;
	for (uint64_t at = f.entry; at + 4 <= f.entry + bytes; at += 4) {
		uint32_t op = *(const uint32_t *)at;
		if (op == LOAD_POINTER)
			is_after_pointer = true;
		else if (is_after_pointer && op == LOAD_G)
			return *offset != 0 && *offset % 8 == 0;
		else if (is_after_pointer && !is_move(op, offset))
			return false;
	}
	return false;
}
