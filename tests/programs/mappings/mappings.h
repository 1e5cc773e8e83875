/*
 * Reads a program's own mapping figures, by origin and by a function on the stack (named thanks
 * to -rdynamic).
 */
#ifndef CGOHEAP_TESTS_MAPPINGS_H
#define CGOHEAP_TESTS_MAPPINGS_H

#include <sys/mman.h>

#include "../hooks/hooks.h"

#define PAGE     ((size_t)4096)
#define ANON     (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW       (PROT_READ | PROT_WRITE)
#define NOINLINE __attribute__((noinline))

struct mappings_figures {
	long long objects, bytes, allocs, alloc_bytes;
};

/* Whether a site's text, up to the empty line that ends it, has this function on its stack. */
static inline bool mappings_has(const char *site, const char *function)
{
	const char *end = strstr(site, "\n\n");
	char named[80];

	if (!function)
		return true;
	snprintf(named, sizeof(named), "\t%s", function);
	for (const char *at = strstr(site, named); at && (!end || at < end);
	     at = strstr(at + 1, named))
		if (strchr("+\t\n", at[strlen(named)]))
			return true;
	return false;
}

/* All sites of the origin; if function is not NULL, those with it on their stack. */
static inline struct mappings_figures mappings_at(const char *path, const char *origin,
						  const char *function)
{
	struct mappings_figures sum = {0}, f;
	const char *line = hooks_get(path);
	char label[64];

	snprintf(label, sizeof(label), "\n#\torigin=%s ", origin);
	for (; line && *line; line = strchr(line, '\n'), line += line != NULL) {
		const char *next = strchr(line, '\n');
		if (*line < '0' || *line > '9' || !next ||
		    sscanf(line, "%lld: %lld [%lld: %lld] @", &f.objects, &f.bytes, &f.allocs,
			   &f.alloc_bytes) != 4 ||
		    strncmp(next, label, strlen(label) - 1) != 0 || !mappings_has(line, function))
			continue;
		CHECK(f.objects >= 0 && f.bytes >= 0);
		sum.objects += f.objects, sum.bytes += f.bytes;
		sum.allocs += f.allocs, sum.alloc_bytes += f.alloc_bytes;
	}
	return sum;
}

static inline struct mappings_figures mappings_of(const char *origin, const char *function)
{
	return mappings_at("/debug/pprof/cgoheap?debug=1", origin, function);
}

#define IN_USE(origin, function, want_objects, want_bytes)                                         \
	do {                                                                                       \
		struct mappings_figures f_ = mappings_of(origin, function);                        \
		if (f_.objects != (long long)(want_objects) ||                                     \
		    f_.bytes != (long long)(want_bytes)) {                                         \
			const char *f_name_ = function;                                            \
			dprintf(2,                                                                 \
				"%s:%d: %s %s: want %lld objects of %lld bytes, got %lld of "      \
				"%lld\n",                                                          \
				__FILE__, __LINE__, origin, f_name_ ? f_name_ : "",                \
				(long long)(want_objects), (long long)(want_bytes), f_.objects,    \
				f_.bytes);                                                         \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

#endif
