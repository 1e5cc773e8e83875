/*
 * Terabytes of address space of which a page or two is used, merged by the kernel with a block
 * from malloc. An account takes no longer for it and says what it had no time for. sparse [cut]:
 * this kernel has no fast way to find the pages.
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "../hooks/hooks.h"

#define SPARSE_BYTES ((size_t)8 << 40)
#define MOST_SECONDS 4 /* of processor time; each answer is cut off after 2 */

static void *map_raw(void *at, size_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED_NOREPLACE : 0);
	void *p = (void *)syscall(SYS_mmap, at, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
	CHECK(p != MAP_FAILED && (!at || p == at));
	return p;
}

static double seconds(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static const char *ask(const char *path)
{
	double before = seconds();
	const char *body = hooks_get(path);
	CHECK(seconds() - before < MOST_SECONDS);
	return body;
}

int main(int count, char **arguments)
{
	bool is_cut = count > 1 && strcmp(arguments[1], "cut") == 0;
	char *sparse = map_raw(NULL, SPARSE_BYTES), *block = malloc(1 << 20);
	CHECK(block);
	/* Neighbours of the block, in the same mapping. */
	char *page = (char *)((size_t)block & ~(size_t)4095);
	memset(map_raw(page - 65536, 65536), 0, 65536);
	memset(block, 1, 1 << 20);
	sparse[0] = sparse[SPARSE_BYTES / 2] = sparse[SPARSE_BYTES - 1] = 1;
	const char *account = ask("/v1/account");
	CHECK(strstr(account, is_cut ? "\"partial\":true" : "\"partial\":false"));
	CHECK(!is_cut || strstr(account, "cut off after 2 s of processor time"));
	CHECK(!is_cut || strstr(hooks_answer, "X-Cgoheap-Missing: incomplete"));
	ask("/metrics");
	ask("/debug/pprof/memory");
	free(block);
	return 0;
}
