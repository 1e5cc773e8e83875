/*
 * Where a library that is linked into this one gives up (abort, assert: protobuf-c and
 * zlib on the server's thread), the thread stops and the host runs on.  The linker
 * gives us their calls (--wrap).
 */
#include "base/sys.h"

void __wrap_abort(void) __attribute__((noreturn));
void __wrap___assert_fail(const char *, const char *, unsigned, const char *)
	__attribute__((noreturn));

void __wrap_abort(void)
{
	for (;;)
		sys_call(pause);
}

void __wrap___assert_fail(const char *expression, const char *file, unsigned line,
			  const char *function)
{
	(void)expression;
	(void)file;
	(void)line;
	(void)function;
	__wrap_abort();
}
