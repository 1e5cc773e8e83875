/* See muslfamily.h. */
#include "hook/muslfamily.h"

#include <errno.h>
#include <string.h>

#include "base/libc.h"
#include "hook/real.h"

/*
 * A block of which most was never touched remains so: a page that is zero is only read. From the
 * end, since the start has been written by the allocator.
 */
static void clear(char *p, size_t n)
{
	char *end = p + n;

	while (end > p) {
		size_t part =
			(uintptr_t)end % PAGE_BYTES ? (uintptr_t)end % PAGE_BYTES : PAGE_BYTES;
		if (part > (size_t)(end - p))
			part = (size_t)(end - p);
		end -= part;
		const uint64_t *words = (const void *)end;
		size_t i = 0;
		while (part == PAGE_BYTES && i < PAGE_BYTES / 8 && !words[i])
			i++;
		if (i != PAGE_BYTES / 8)
			memset(end, 0, part);
	}
}

static void *calloc_by_malloc(size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	void *p = real.malloc(bytes);
	if (p)
		clear(p, bytes);
	return p;
}

static int posix_memalign_by_aligned(void **out, size_t alignment, size_t size)
{
	if (alignment < sizeof(void *))
		return EINVAL;
	void *p = real.aligned_alloc(alignment, size);
	if (!p)
		return errno;
	*out = p;
	return 0;
}

static void *memalign_by_aligned(size_t alignment, size_t size)
{
	return real.aligned_alloc(alignment, size);
}

static void *valloc_by_aligned(size_t size)
{
	return real.aligned_alloc(PAGE_BYTES, size);
}

/*
 * Where another library has malloc and no aligned_alloc, musl's fails, because that library would
 * not know its blocks in free. Ours being there makes musl believe that there is another.
 */
static void *no_aligned_alloc(size_t alignment, size_t size)
{
	(void)alignment, (void)size;
	errno = ENOMEM;
	return NULL;
}

void muslfamily_init(void)
{
	if (libc_kind() != LIBC_MUSL)
		return;
	bool is_malloc = libc_is_definition("malloc", (void *)real.malloc);
	if (libc_is_definition("calloc", (void *)real.calloc))
		STORE(&real.calloc, calloc_by_malloc);
	if (libc_is_definition("posix_memalign", (void *)real.posix_memalign))
		STORE(&real.posix_memalign, posix_memalign_by_aligned);
	if (libc_is_definition("memalign", (void *)real.memalign))
		STORE(&real.memalign, memalign_by_aligned);
	if (libc_is_definition("valloc", (void *)real.valloc))
		STORE(&real.valloc, valloc_by_aligned);
	if (!is_malloc && libc_is_definition("aligned_alloc", (void *)real.aligned_alloc))
		STORE(&real.aligned_alloc, no_aligned_alloc);
}
