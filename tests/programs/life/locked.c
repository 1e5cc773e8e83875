/*
 * A host that locks all its memory, as real-time services do: the shim's mappings become
 * resident once, within its limit; it still records and answers, and what it maps for an answer
 * is unmapped again.
 */
#include <sys/mman.h>

#include "life.h"

#define MOST_BYTES (32 << 20) /* CGOHEAP_MAX_MEMORY's default */

/* From /proc/self/status, in bytes. */
static long long status_bytes(const char *name)
{
	char line[256];
	long long kib = -1;
	FILE *f = fopen("/proc/self/status", "re");
	CHECK(f);
	while (kib < 0 && fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0)
			kib = atoll(line + strlen(name));
	fclose(f);
	return kib * 1024;
}

int main(void)
{
	void *p = malloc(7919);
	EXPECT(7919, 1, 1); /* what the first answer needs exists now */
	if (mlockall(MCL_CURRENT | MCL_FUTURE)) {
		dprintf(2, "memory cannot be locked here: %s\n", strerror(errno));
		return 77;
	}
	long long locked = status_bytes("VmLck:");
	CHECK(hooks_status("resident_bytes") <= MOST_BYTES);
	for (int i = 0; i < 20; i++) {
		hooks_get("/v1/account");
		hooks_get("/debug/pprof/cgoheap?debug=1");
	}
	CHECK(hooks_status("resident_bytes") <= MOST_BYTES);
	CHECK(status_bytes("VmLck:") <= locked + (1 << 20));
	void *q = malloc(7919);
	EXPECT(7919, 2, 2);
	free(q);
	free(p);
	EXPECT(7919, 2, 0);
	return 0;
}
