/* See gotls.h.  Go's linker puts g last in the program's thread-local words. */
#include "go/gotls.h"

#include <sys/auxv.h>

#include "base/arch.h"

bool gotls_is_found(const struct gomodule *program, uint64_t *offset)
{
	const Elf64_Phdr *headers = (const void *)getauxval(AT_PHDR);
	size_t n = getauxval(AT_PHNUM);
	bool is_found = false;

	(void)program;
	*offset = ARCH_TLS_FIRST;
	for (size_t i = 0; headers && i < n; i++)
		is_found |= headers[i].p_type == PT_TLS && headers[i].p_memsz == 8 &&
			    headers[i].p_align <= 8;
	return is_found;
}
