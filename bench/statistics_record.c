/*
 * A preload that records what a program allocates and frees, for bench/statistics: the process that
 * has STATISTICS_RECORD in its environment, not its children. A trace is a header and records, in
 * the order in which a block appeared and before it went. Where the file is full, it ends.
 */
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct record {
	uint64_t block, old; /* addresses; 0: none */
	uint64_t size, stack;
	uint64_t thread;
};

#define MOST_RECORDS (UINT64_C(6) << 20)
#define FRAMES       10

static struct record *records; /* the first counts them, in its size */
static __thread bool is_busy __attribute__((tls_model("initial-exec")));

void *__libc_malloc(size_t size);
void __libc_free(void *p);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static uint64_t stack_here(void)
{
	void *frames[FRAMES];
	uint64_t hash = 0;
	int count = backtrace(frames, FRAMES);

	for (int i = 2; i < count; i++)
		hash = (hash ^ (uint64_t)frames[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

static void note(void *block, void *old, size_t size)
{
	if (!records || is_busy)
		return;
	is_busy = true;
	uint64_t at = 1 + __atomic_fetch_add(&records[0].size, 1, __ATOMIC_RELAXED);
	if (at < MOST_RECORDS)
		records[at] = (struct record){.block = (uint64_t)block,
					      .old = (uint64_t)old,
					      .size = size,
					      .stack = block ? stack_here() : 0,
					      .thread = (uint64_t)syscall(SYS_gettid)};
	is_busy = false;
}

void *malloc(size_t size)
{
	void *p = __libc_malloc(size);

	if (p)
		note(p, NULL, size);
	return p;
}

void *calloc(size_t count, size_t size)
{
	void *p = __libc_calloc(count, size);

	if (p)
		note(p, NULL, count * size);
	return p;
}

void *memalign(size_t alignment, size_t size)
{
	void *p = __libc_memalign(alignment, size);

	if (p)
		note(p, NULL, size);
	return p;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
	*out = memalign(alignment, size);
	return *out ? 0 : 12; /* ENOMEM */
}

void free(void *p)
{
	if (p)
		note(NULL, p, 0);
	__libc_free(p);
}

/* Noted as a free before and an allocation after: meanwhile another thread may get the address. */
void *realloc(void *p, size_t size)
{
	if (p)
		note(NULL, p, 0);
	void *q = __libc_realloc(p, size);
	if (q)
		note(q, p, size);
	return q;
}

static void stop(void)
{
	records = NULL;
}

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("STATISTICS_RECORD");
	void *frames[2];

	if (!path)
		return;
	backtrace(frames, 2); /* loads libgcc, which allocates */
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	size_t bytes = MOST_RECORDS * sizeof(struct record);
	if (fd < 0 || ftruncate(fd, (off_t)bytes))
		return;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	unsetenv("STATISTICS_RECORD");
	if (p == MAP_FAILED || pthread_atfork(NULL, NULL, stop))
		return;
	records = p;
}
