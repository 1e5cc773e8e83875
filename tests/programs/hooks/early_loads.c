/*
 * A library that this program is linked to has a constructor that runs before the shim's, as all do
 * that come after it: there too dlopen and dlsym look at who calls. It is loaded with
 * RTLD_DEEPBIND as well, and what it loads and closes past the hooks is never looked at later.
 */
#include <dlfcn.h>

#include "hooks.h"

int early_was_right(void);
void early_reload(int times);

int main(void)
{
	CHECK(early_was_right());
	void *deep = dlopen("libearly_deep.so", RTLD_NOW | RTLD_DEEPBIND);
	CHECK(deep);
	void (*reload)(int) = (__typeof__(reload))dlsym(deep, "early_reload");
	CHECK(reload && reload != early_reload);
	for (int i = 0; i < 20; i++) {
		reload(3);
		early_reload(3);
		void *library = dlopen("libloader_caller.so", RTLD_NOW);
		void *(*take)(size_t) = (__typeof__(take))dlsym(library, "take_in_library");
		CHECK(take);
		free(take(7919));
		CHECK(dlclose(library) == 0);
	}
	CHECK(dlopen("/no/such/file", RTLD_NOW) == NULL);
	CHECK(strstr(dlerror(), "/no/such/file: "));
	CHECK(dlerror() == NULL && dlopen(NULL, RTLD_NOW) && dlerror() == NULL);
#ifdef __GLIBC__ /* musl unloads nothing */
	CHECK(dlopen("libloader_caller.so", RTLD_NOW | RTLD_NOLOAD) == NULL);
#endif
	return 0;
}
