/*
 * A host with a wild pointer overwrites the shim's memory, in parts and in full, with the most
 * misleading values, and keeps allocating, mapping, starting threads and querying. The shim's
 * answers may then be wrong, but it must neither crash nor hang.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "hooks.h"

#define MAGIC  UINT64_C(0x00706165686f6763)
#define BLOCKS 3000

static uint64_t *region;
static size_t words;
static void *blocks[BLOCKS];

/* 0 for a guard page: the guards of recording stacks are not separate mappings. */
static uint64_t word_at(unsigned long page)
{
	uint64_t word = 0;
	struct iovec to = {&word, sizeof(word)}, from = {(void *)page, sizeof(word)};

	process_vm_readv(getpid(), &to, 1, &from, 1, 0);
	return word;
}

/* From /proc/self/maps, read without the heap. */
static void find_region(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned long start, end;

	CHECK(f);
	/* The kernel merges neighbours, so it may start anywhere in a mapping. */
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 && strstr(line, " rw-p ") &&
		    strstr(line, " 00:00 0") && !strchr(line, '['))
			for (unsigned long page = start; page < end && !region; page += 4096)
				if (word_at(page) == MAGIC)
					region = (uint64_t *)page;
	fclose(f);
	CHECK(region);
	words = region[2] / 8;
}

static void *thread(void *arg)
{
	free(malloc(500));
	return arg;
}

/* Each block is freed once and allocated once: as many sizes as blocks, at a few stacks. */
static void go_on(void)
{
	pthread_t t;

	for (int i = 0; i < BLOCKS; i++) {
		if (i % 3 == 0) {
			blocks[i] = realloc(blocks[i], 20 + (size_t)i);
		} else {
			free(blocks[i]);
			blocks[i] = i % 2 ? malloc(10 + (size_t)i % 50) : calloc(3, 30);
		}
		CHECK(blocks[i]);
		memset(blocks[i], 1, 10);
	}
	for (int i = 0; i < 50; i++) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);
		CHECK(p != MAP_FAILED && munmap(p + 4096, 8192) == 0 &&
		      mprotect(p + 65536, 4096, PROT_READ) == 0 && munmap(p, 1 << 20) == 0);
	}
	CHECK(pthread_create(&t, NULL, thread, NULL) == 0 && pthread_join(t, NULL) == 0);
}

/* Any answer will do, as long as it ends. */
static void ask_for(const char *page)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char request[256], answer[4096];
	ssize_t n, all = 0;

	strncpy(a.sun_path, getenv("CGOHEAP_SOCKET"), sizeof(a.sun_path) - 1);
	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	int length = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", page);
	CHECK(write(fd, request, (size_t)length) == length);
	while ((n = read(fd, answer, sizeof(answer))) > 0)
		all += n;
	CHECK(all > 0);
	close(fd);
}

static void ask(void)
{
	ask_for("/debug/pprof/cgoheap");
	ask_for("/debug/pprof/cgoheap?older=1ms");
	ask_for("/debug/pprof/cgoheap?debug=1");
	ask_for("/v1/status");
	ask_for("/v1/account");
	ask_for("/metrics");
}

/* Every step-th word from the header on. */
static void scribble(size_t from, size_t step, uint64_t value, uint64_t change)
{
	for (size_t i = from; i < words; i += step, value += change)
		region[i] = value;
	go_on();
	ask();
	go_on();
}

static uint64_t random_word(void)
{
	static uint64_t x = 88172645463325252u;
	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

/* Small numbers look like indexes: chains become rings, and lists run into each other. */
static void scribble_randomly(uint64_t mask, size_t one_in)
{
	for (size_t i = 512; i < words; i++)
		if (region[i] && random_word() % one_in == 0)
			region[i] = random_word() & mask;
	go_on();
	ask();
	go_on();
}

int main(void)
{
	find_region();
	go_on();
	ask();
	memset(region, 0xa5, 4096); /* the header */
	go_on();
	ask();
	for (int round = 0; round < 5; round++) {
		scribble_randomly(UINT64_C(0x000003ff000003ff), 50);
		scribble_randomly(UINT64_C(0x0000ffff0000ffff), 3);
		scribble_randomly(UINT64_MAX, 10);
	}
	scribble(512, 1, UINT64_C(0x0000000100000001), 0);
	scribble(512, 1, UINT64_C(0x0000000100000001), UINT64_C(0x0000000100000001));
	scribble(513, 2, UINT64_MAX, 0);
	scribble(512, 1, UINT64_C(0x4141414141414141), 0);
	scribble(512, 1, 0, 0);
	return 0;
}
