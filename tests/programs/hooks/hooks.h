/*
 * Lets a program under the shim check itself: it queries its own socket, as `cgoheap profile`
 * would. Nothing here allocates from the heap, so the program's own allocations are the only
 * ones.
 */
#ifndef CGOHEAP_TESTS_HOOKS_H
#define CGOHEAP_TESTS_HOOKS_H

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			dprintf(2, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                 \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static char hooks_answer[8 << 20];

/* The body of the answer; exits if the status is not 200. */
static inline const char *hooks_ask(const char *method, const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t used = 0;
	ssize_t n;

	strncpy(a.sun_path, getenv("CGOHEAP_SOCKET"), sizeof(a.sun_path) - 1);
	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	/* Not dprintf, which allocates. */
	char request[256];
	int length = snprintf(request, sizeof(request), "%s %s HTTP/1.0\r\nHost: x\r\n\r\n", method,
			      path);
	CHECK(write(fd, request, (size_t)length) == length);
	while ((n = read(fd, hooks_answer + used, sizeof(hooks_answer) - 1 - used)) > 0)
		used += (size_t)n;
	CHECK(n == 0);
	close(fd);
	hooks_answer[used] = 0;
	CHECK(strncmp(hooks_answer, "HTTP/1.", 7) == 0 &&
	      strncmp(hooks_answer + 8, " 200", 4) == 0);
	const char *body = strstr(hooks_answer, "\r\n\r\n");
	CHECK(body);
	return body + 4;
}

static inline const char *hooks_get(const char *path)
{
	return hooks_ask("GET", path);
}

/* A number of /v1/status, by a unique key. */
static inline long long hooks_status(const char *key)
{
	const char *body = hooks_get("/v1/status");
	char quoted[64];
	snprintf(quoted, sizeof(quoted), "\"%s\":", key);
	const char *at = strstr(body, quoted);
	CHECK(at);
	return atoll(at + strlen(quoted));
}

static inline bool hooks_status_says(const char *text)
{
	return strstr(hooks_get("/v1/status"), text);
}

/* Figures of all sites whose blocks are `size` bytes. */
struct hooks_figures {
	long long live, live_bytes, allocs, alloc_bytes;
};

static inline struct hooks_figures hooks_figures_of(size_t size)
{
	struct hooks_figures sum = {0}, f;
	char label[64];
	int label_bytes = snprintf(label, sizeof(label), " bytes=%zu", size);
	const char *line = hooks_get("/debug/pprof/cgoheap?debug=1&symbols=none");
	for (; line && *line; line = strchr(line, '\n'), line += line != NULL) {
		const char *next = strchr(line, '\n');
		/* scanf would skip an empty line and match the next one twice */
		if (*line < '0' || *line > '9' ||
		    sscanf(line, "%lld: %lld [%lld: %lld] @", &f.live, &f.live_bytes, &f.allocs,
			   &f.alloc_bytes) != 4)
			continue;
		const char *said = next ? strstr(next, "bytes=") : NULL;
		if (!said || strncmp(said - 1, label, (size_t)label_bytes) != 0 ||
		    !strchr("\n ", said[label_bytes - 1])) /* other labels may follow */
			continue;
		sum.live += f.live, sum.live_bytes += f.live_bytes;
		sum.allocs += f.allocs, sum.alloc_bytes += f.alloc_bytes;
	}
	return sum;
}

/* At interval 1: the exact number of blocks of this size that were allocated, and that are live. */
#define EXPECT(size, allocated, are_live)                                                          \
	do {                                                                                       \
		struct hooks_figures f_ = hooks_figures_of(size);                                  \
		if (f_.allocs != (long long)(allocated) || f_.live != (long long)(are_live) ||     \
		    f_.alloc_bytes != f_.allocs * (long long)(size) ||                             \
		    f_.live_bytes != f_.live * (long long)(size)) {                                \
			dprintf(2,                                                                 \
				"%s:%d: blocks of %zu: want %lld live of %lld, got %lld (%lld "    \
				"bytes) of %lld (%lld bytes)\n",                                   \
				__FILE__, __LINE__, (size_t)(size), (long long)(are_live),         \
				(long long)(allocated), f_.live, f_.live_bytes, f_.allocs,         \
				f_.alloc_bytes);                                                   \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/*
 * musl has no pvalloc. jemalloc has none either, so the name is glibc's, and freeing its block with
 * jemalloc crashes with or without the shim. run.sh says where that applies.
 */
void *pvalloc(size_t size) __attribute__((weak));
static inline void *hooks_pvalloc(size_t size)
{
	return getenv("HOOKS_NO_PVALLOC") ? malloc(size) : pvalloc(size);
}

/* Hides the value of a size or a pointer from the compiler. */
#define OPAQUE(x)                                                                                  \
	({                                                                                         \
		__typeof__(x) opaque_ = (x);                                                       \
		__asm__ volatile("" : "+r"(opaque_));                                              \
		opaque_;                                                                           \
	})

#endif
