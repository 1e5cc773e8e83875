#include "base/dirnames.h"

#include <stdio.h>

#include "base/sys.h"

struct linux_dirent64 {
	uint64_t inode;
	int64_t offset;
	uint16_t bytes;
	uint8_t type;
	char name[];
};

void dirnames_each(long dir, size_t most, void (*see)(void *arg, long dir, const char *name),
		   void *arg)
{
	char buffer[4096] __attribute__((aligned(8)));
	size_t seen = 0;
	long n;

	sys_call(lseek, dir, 0, SEEK_SET);
	while (seen < most && (n = sys_call(getdents64, dir, buffer, sizeof(buffer))) > 0) {
		for (long at = 0; at < n && seen < most; seen++) {
			const struct linux_dirent64 *entry = (void *)(buffer + at);
			see(arg, dir, entry->name);
			at += entry->bytes;
		}
	}
}
