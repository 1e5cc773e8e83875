#include "../../../shim/gosym.c"
#include "../../../shim/gotables.c"
#include "../../../shim/gomodules.c"

/* The shim has its own answer to dl_iterate_phdr; here is none. */
int __real_dl_iterate_phdr(int (*callback)(struct dl_phdr_info *, size_t, void *), void *data)
{
	return dl_iterate_phdr(callback, data);
}
