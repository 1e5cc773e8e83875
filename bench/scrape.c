/*
 * Many stacks with live blocks, and what profiles of them cost the library's server thread. With
 * -DIN_GO it is the C part of bench/scrape's Go program.
 *
 *   scrape STACKS BLOCKS PATH...   BLOCKS live blocks from STACKS stacks; then each PATH is
 * requested in turn
 *
 * The stacks are those of a call tree: 512 functions with 8 calls each, 8 to 56 frames, shared near
 * the root. A quarter of the stacks has blocks of three sizes, the others of one. For each request
 * a line: the path, microseconds of the server's thread, bytes of the answer, and the most memory,
 * in bytes, that requests have had above the region.
 *
 * If SCRAPE_SAVE is set, answers are left in $SCRAPE_SAVE-1 and so on.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#ifdef COUNTED
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION
#endif

/* ---- the call tree ------------------------------------------------------- */

#define FUNCTIONS 512

struct walk {
	uint64_t stack;       /* which one */
	unsigned level, left; /* frames above; frames still to come */
	size_t size;
};
typedef void *step(struct walk *);
static step *const steps[FUNCTIONS];

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 31) * UINT64_C(0x9E3779B97F4A7C15);
	return x ^ x >> 29;
}

/* Which of its calls a function makes, 0 to 7. Stacks of one subtree agree near the root. */
static unsigned choice(const struct walk *w)
{
	unsigned shared = w->level < 7 ? 14 - 2 * w->level : 0;
	return mix((w->stack >> shared) * 64 + w->level + 1) >> 60 & 7;
}

/* Each call has a return address of its own: the comments differ, so calls are not merged. */
#define CALL(n)                                                                                    \
	case n:                                                                                    \
		p = callees[n](w);                                                                 \
		__asm__ volatile("# " #n : "+r"(p));                                               \
		break;

#define STEP(n)                                                                                    \
	__attribute__((noinline, noclone)) void *step_##n(struct walk *w);                         \
	void *step_##n(struct walk *w)                                                             \
	{                                                                                          \
		void *p = NULL;                                                                    \
		if (w->left-- == 0) {                                                              \
			p = malloc(w->size);                                                       \
			__asm__ volatile("# " #n : "+r"(p));                                       \
			return p;                                                                  \
		}                                                                                  \
		unsigned next = choice(w);                                                         \
		step *const *callees = steps + (mix(n) >> 32) % (FUNCTIONS - 8);                   \
		w->level++;                                                                        \
		switch (next) {                                                                    \
			CALL(0) CALL(1) CALL(2) CALL(3) CALL(4) CALL(5) CALL(6) CALL(7)            \
		}                                                                                  \
		return p;                                                                          \
	}

/* clang-format off */
#define EIGHT(m, n) m(n##0) m(n##1) m(n##2) m(n##3) m(n##4) m(n##5) m(n##6) m(n##7)
#define SIXTY_FOUR(m, n)                                                                           \
	EIGHT(m, n##0) EIGHT(m, n##1) EIGHT(m, n##2) EIGHT(m, n##3)                                \
	EIGHT(m, n##4) EIGHT(m, n##5) EIGHT(m, n##6) EIGHT(m, n##7)
#define ALL(m)                                                                                     \
	SIXTY_FOUR(m, 0) SIXTY_FOUR(m, 1) SIXTY_FOUR(m, 2) SIXTY_FOUR(m, 3)                        \
	SIXTY_FOUR(m, 4) SIXTY_FOUR(m, 5) SIXTY_FOUR(m, 6) SIXTY_FOUR(m, 7)
/* clang-format on */

ALL(STEP)
#define POINTER(n) step_##n,
static step *const steps[FUNCTIONS] = {ALL(POINTER)};

void *scrape_block(uint64_t stack, unsigned block);
void *scrape_block(uint64_t stack, unsigned block)
{
	struct walk w = {.stack = stack, .left = 8 + (unsigned)(mix(stack) >> 32) % 49};
	unsigned sizes = stack % 4 == 0 ? 3 : 1;
	w.size = (size_t)(24 + 8 * (stack % 32)) << block % sizes;
	return steps[stack >> 12 & 3](&w);
}

/* ---- the server's thread -------------------------------------------------- */

static char schedstat[300];

static void find_server(void)
{
	struct dirent *e;
	DIR *dir = opendir("/proc/self/task");
	while (dir && (e = readdir(dir))) {
		char path[300], name[32] = "";
		snprintf(path, sizeof(path), "/proc/self/task/%.20s/comm", e->d_name);
		FILE *f = fopen(path, "r");
		if (f && fgets(name, sizeof(name), f) && !strcmp(name, "cgoheap\n"))
			snprintf(schedstat, sizeof(schedstat), "/proc/self/task/%.20s/schedstat",
				 e->d_name);
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
}

static long cpu_us(void)
{
	unsigned long long ns = 0;
	FILE *f = fopen(schedstat, "r");
	if (!f || fscanf(f, "%llu", &ns) != 1)
		exit(1);
	fclose(f);
	return (long)(ns / 1000);
}

/* ---- a scrape ------------------------------------------------------------- */

static int ask(const char *path)
{
	char request[512];
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const char *socket_path = getenv("CGOHEAP_SOCKET");
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strncpy(to.sun_path, socket_path ? socket_path : "", sizeof(to.sun_path) - 1);
	int n = snprintf(request, sizeof(request),
			 "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) || write(fd, request, (size_t)n) != n) {
		perror("scrape: connect");
		exit(1);
	}
	return fd;
}

/* Reads the answer with its head, and returns its bytes. */
static size_t answer(int fd, char *to, size_t room)
{
	size_t sum = 0;
	long n;
	while (sum < room && (n = read(fd, to + sum, room - sum)) > 0)
		sum += (size_t)n;
	close(fd);
	return sum;
}

static void save(const char *bytes, size_t count, int number)
{
	char name[512];
	const char *path = getenv("SCRAPE_SAVE"), *body = memmem(bytes, count, "\r\n\r\n", 4);
	if (!path || !body)
		return;
	snprintf(name, sizeof(name), "%s-%d", path, number);
	FILE *out = fopen(name, "w");
	if (!out || fwrite(body + 4, 1, count - (size_t)(body + 4 - bytes), out) == 0)
		exit(1);
	fclose(out);
}

static long peak_bytes(void)
{
	static const char key[] = "\"requests_peak_bytes\":";
	static char status[1 << 16];
	status[answer(ask("/v1/status"), status, sizeof(status) - 1)] = 0;
	const char *at = strstr(status, key);
	return at ? atol(at + strlen(key)) : -1;
}

static void scrape(const char *path, int number)
{
	static char bytes[32 << 20];
	long before = cpu_us();
	size_t count = answer(ask(path), bytes, sizeof(bytes));
	usleep(50000); /* the server's thread sleeps again, so its time is counted */
	long us = cpu_us() - before;
	printf("%s %ld %zu %ld\n", path, us, count, peak_bytes());
	fflush(stdout);
	save(bytes, count, number);
}

int scrape_each(int count, char **paths);
int scrape_each(int count, char **paths)
{
	find_server();
	CALLGRIND_START_INSTRUMENTATION;
	for (int i = 0; i < count; i++)
		scrape(paths[i], i + 1);
	return 0;
}

#ifndef IN_GO
int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	uint64_t stacks = strtoull(argv[1], NULL, 10), blocks = strtoull(argv[2], NULL, 10);
	for (uint64_t i = 0; i < blocks; i++)
		if (!scrape_block(i % stacks, (unsigned)(i / stacks)))
			return 1;
	return scrape_each(argc - 3, argv + 3);
}
#endif
