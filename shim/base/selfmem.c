/*
 * Uses process_vm_readv; under a seccomp filter, or if that is forbidden, /proc/self/mem.
 */
#include "base/selfmem.h"

#include <sys/uio.h>

#include "base/pagemap.h"
#include "base/sys.h"

#define MAX_PAGES 64

static bool is_resident(uint64_t address, size_t bytes)
{
	uint8_t pages[MAX_PAGES];
	uint64_t first = address & ~(uint64_t)(PAGE_BYTES - 1);
	size_t count = (ALIGN_UP(address + bytes, PAGE_BYTES) - first) / PAGE_BYTES;
	if (bytes == 0 || address + bytes < address || count > MAX_PAGES ||
	    pagemap_present(first, count, pages) != 0)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!pages[i])
			return false;
	return true;
}

static size_t read_by_file(uint64_t address, void *buffer, size_t bytes)
{
	long fd = sys_open_read("/proc/self/mem");
	if (sys_failed(fd))
		return 0;
	long n = sys_pread((int)fd, buffer, bytes, address);
	sys_close((int)fd);
	return sys_failed(n) ? 0 : (size_t)n;
}

/* The number of bytes read into *to, or -errno. */
static long read_vector(const struct iovec *to, const struct iovec *from, size_t count)
{
	return sys_rare(process_vm_readv, sys_getpid(), to, 1, from, count);
}

static bool is_forbidden(long result)
{
	return result == -38 /* ENOSYS */ || result == -1 /* EPERM */;
}

size_t selfmem_copy(uint64_t address, void *buffer, size_t bytes)
{
	struct iovec to = {buffer, bytes}, from = {(void *)address, bytes};
	long n = read_vector(&to, &from, 1);
	if (is_forbidden(n))
		return read_by_file(address, buffer, bytes);
	return sys_failed(n) ? 0 : (size_t)n;
}

int selfmem_read(uint64_t address, void *buffer, size_t bytes)
{
	if (!is_resident(address, bytes) || selfmem_copy(address, buffer, bytes) != bytes)
		return -1;
	return 0;
}

/* The kernel stops at the first unreadable address; skip it and continue with the next. */
void selfmem_read_each(const uint64_t *addresses, size_t count, void *buffer, size_t bytes,
		       bool *ok)
{
	struct iovec from[SELFMEM_EACH];
	for (size_t i = 0; i < count; i++)
		from[i] = (struct iovec){(void *)addresses[i], bytes};
	for (size_t done = 0; done < count; done++) {
		struct iovec to = {(char *)buffer + done * bytes, (count - done) * bytes};
		long n = read_vector(&to, from + done, count - done);
		/* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): bytes is above 0 */
		size_t whole = sys_failed(n) ? 0 : (size_t)n / bytes;
		for (size_t i = 0; i < whole; i++)
			ok[done++] = true;
		if (done < count)
			ok[done] = is_forbidden(n) &&
				   read_by_file(addresses[done], (char *)buffer + done * bytes,
						bytes) == bytes;
	}
}
