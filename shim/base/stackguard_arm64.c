/*
 * The value that functions compiled with a stack protector compare, zlib's and protobuf-c's among
 * them. On this processor glibc has it in the loader; the library needs libc alone, and has this.
 */
#include <stdint.h>
#include <sys/auxv.h>

__attribute__((visibility("hidden"))) uintptr_t __stack_chk_guard;

/* As glibc does: of the kernel's random bytes, the first 0, where a string ends. */
static __attribute__((constructor(101), optimize("no-stack-protector"))) void set_guard(void)
{
	const uintptr_t *random = (const uintptr_t *)getauxval(AT_RANDOM);

	if (random)
		__stack_chk_guard = *random & ~(uintptr_t)0xff;
}
