/*
 * If a library linked into this one calls abort or fails an assertion (protobuf-c and
 * zlib, on the server's thread), that thread stops and the host keeps running.  The
 * linker redirects these calls here (--wrap).
 */
#include "base/sys.h"

void __wrap_abort(void) __attribute__((noreturn));
void __wrap___assert_fail(const char *, const char *, unsigned, const char *)
	__attribute__((noreturn));

void __wrap_abort(void)
{
	for (;;)
		sys_call(ppoll, 0, 0, 0, 0);
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
