/* Any registers and any words on the stack, in functions that really are loaded. */
#include "unwind_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	static bool is_ready;

	if (!is_ready && !unwind_world_make())
		abort();
	is_ready = true;
	unwind_walk_here(bytes, count);
	unwind_walk_elsewhere(bytes, count);
	return 0;
}
