/* The dlsym for allocating_dlsym.c: it allocates before it answers. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

void *kept_by_dlsym[16];
int kept_count;

static void keep(void *p)
{
	if (p)
		memset(p, 'a' + kept_count, 100);
	kept_by_dlsym[kept_count++] = p;
}

/* Looks up by version, because dlsym is this function. */
void *dlsym(void *restrict handle, const char *restrict name)
{
	static int calls;

	if (calls++ == 0) {
		for (int i = 0; i < 4; i++) {
			keep(malloc(100));
			keep(calloc(10, 10));
			keep(realloc(malloc(10), 100));
			void *p = NULL;
			keep(posix_memalign(&p, 64, 100) ? NULL : p);
		}
		free(malloc(10));
	}
	void *p = dlvsym(handle, name, "GLIBC_2.2.5");
	static const char *const later[] = {"GLIBC_2.16", "GLIBC_2.34", "GLIBC_2.26"};
	for (int i = 0; !p && i < 3; i++)
		p = dlvsym(handle, name, later[i]);
	return p;
}
