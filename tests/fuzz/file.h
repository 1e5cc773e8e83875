/* The fuzzer's bytes as a file without a name. */
#ifndef CGOHEAP_TESTS_FUZZ_FILE_H
#define CGOHEAP_TESTS_FUZZ_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_PATH_BYTES 64

static inline void file_fill(const uint8_t *bytes, size_t count, char path[FILE_PATH_BYTES])
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (ftruncate(fd, 0) || pwrite(fd, bytes, count, 0) != (ssize_t)count)
		abort();
	snprintf(path, FILE_PATH_BYTES, "/proc/self/fd/%d", fd);
}

#endif
