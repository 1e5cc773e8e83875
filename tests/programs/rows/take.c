/* See take.h. */
#include "take.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <sys/mman.h>

#include "../hooks/hooks.h"

#define MOST        512 /* frames */
#define FIRST_BYTES 16
/* As shim/unwind/capture.h has them. */
#define KEPT       128
#define KEPT_ROOTS 32

struct taken {
	uint32_t count;
	uint32_t is_seen;
	uint64_t pcs[MOST];
};

int take_keeps;

static struct taken *all;
static size_t most, taken, forgotten;

struct call {
	size_t block;
	void *function;
	uint64_t first, second; /* its arguments */
};

/* The frames of both stacks' callers are the same to the last byte: this one makes both calls. */
void *take_both(const struct call *call);
extern const char take_after_note[], take_after_call[];
__asm__(".text\n"
	".type take_both, @function\n"
	"take_both:\n"
	".cfi_startproc\n"
	"push %rbx\n"
	".cfi_adjust_cfa_offset 8\n"
	".cfi_offset rbx, -16\n"
	"mov %rdi, %rbx\n"
	"call take_note\n"
	"take_after_note:\n"
	"mov 16(%rbx), %rdi\n"
	"mov 24(%rbx), %rsi\n"
	"call *8(%rbx)\n"
	"take_after_call:\n"
	"pop %rbx\n"
	".cfi_adjust_cfa_offset -8\n"
	".cfi_restore rbx\n"
	"ret\n"
	".cfi_endproc\n"
	".size take_both, .-take_both\n");

/* mov $15,%rax; syscall: what a handler returns to. */
static int is_signal_frame(const void *pc)
{
	static const unsigned char code[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};

	return memcmp(pc, code, sizeof(code)) == 0;
}

static struct dl_find_object library; /* the one under test */

static bool is_in_library(const void *pc)
{
	return pc >= library.dlfo_map_start && pc < library.dlfo_map_end;
}

void take_note(const struct call *call);
void take_note(const struct call *call)
{
	void *pcs[MOST + 2];
	int count = backtrace(pcs, MOST + 2), from = 0;
	struct taken *t = &all[call->block];

	while (from < count && pcs[from] != (void *)take_after_note)
		from++;
	CHECK(from < count);
	pcs[from] = (void *)take_after_call;
	for (int i = from; i < count; i++) {
		/* The library keeps an interrupted pc one byte higher, as if it were behind a
		 * call; and it leaves out itself, where it was interrupted. */
		bool is_exact = i > from && is_signal_frame(pcs[i - 1]);
		if (!is_in_library(pcs[i]))
			t->pcs[t->count++] = (uint64_t)pcs[i] + is_exact;
	}
}

/* By one function or another: the leaf of the stack. */
static void *const functions[] = {malloc, calloc, realloc, aligned_alloc};
static uint64_t leaves[COUNT_OF(functions)]; /* where libc has them */

static void find_leaves(void)
{
	static const char *const names[] = {"malloc", "calloc", "realloc", "aligned_alloc"};
	void *libc = dlopen("libc.so.6", RTLD_LAZY);

	for (size_t i = 0; i < COUNT_OF(names); i++)
		leaves[i] = (uint64_t)dlsym(libc, names[i]);
}

/* Mostly the same one. */
static size_t which(size_t block)
{
	return block % 16 < COUNT_OF(functions) ? block % 16 : 0;
}

void take_start(size_t blocks)
{
	void *warm[1];

	backtrace(warm, 1); /* loads libgcc_s now */
	CHECK(_dl_find_object(dlsym(RTLD_DEFAULT, "malloc"), &library) == 0);
	find_leaves();
	most = blocks;
	all = mmap(NULL, blocks * sizeof(*all), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(all != MAP_FAILED);
}

int take(void)
{
	size_t block = __atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED), bytes = FIRST_BYTES + block;
	struct call calls[] = {{block, functions[0], bytes, 0},
			       {block, functions[1], bytes, 1},
			       {block, functions[2], 0, bytes},
			       {block, functions[3], 16, bytes}};

	if (block >= most)
		return 0;
	void *taken_block = take_both(&calls[which(block)]);
	if (!take_keeps)
		free(taken_block);
	return 1;
}

void take_forget(size_t first)
{
	forgotten = first;
}

size_t take_count(void)
{
	return taken < most ? taken : most;
}

/* ---- the library's answer ------------------------------------------------------- */

static size_t same, shown;

static void show(size_t block, const char *why, const uint64_t *got, uint32_t count)
{
	const struct taken *t = &all[block];

	if (shown++ >= 5)
		return;
	dprintf(2, "block %zu: %s; libgcc's frames, the library's:\n", block, why);
	for (uint32_t i = 0; i < t->count || i < count; i++)
		dprintf(2, "  %#18llx %#18llx\n", i < t->count ? (long long)t->pcs[i] : 0,
			i < count ? (long long)got[i] : 0);
}

/* got: without the allocator. NULL: the same; else what differs. */
static const char *differs(const struct taken *t, const uint64_t *got, uint32_t count)
{
	uint32_t omitted = t->count + 1 > KEPT ? t->count + 1 - KEPT : 0;

	if (count != t->count - omitted)
		return "another number of frames";
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = omitted && i >= KEPT - KEPT_ROOTS - 1 ? i + omitted : i;
		if (got[i] != t->pcs[at])
			return "another frame";
	}
	return NULL;
}

static void compare(size_t block, const uint64_t *got, uint32_t count, uint64_t leaf)
{
	CHECK(block < take_count());
	if (block < forgotten)
		return;
	const char *why = differs(&all[block], got, count);

	if (!why && leaf != leaves[which(block)] + 1)
		why = "another allocator";

	all[block].is_seen++;
	if (why)
		show(block, why, got, count);
	else
		same++;
}

/* A stack with blocks of very many sizes is one sample without a size. */
static struct merged {
	unsigned long blocks;
	uint32_t count;
	uint64_t frames[KEPT];
} merged[64];
static size_t merged_count;

static int is_merged(size_t block)
{
	for (size_t i = 0; i < merged_count; i++) {
		struct merged *m = &merged[i];
		if (m->blocks && !differs(&all[block], m->frames, m->count)) {
			m->blocks--;
			return 1;
		}
	}
	return 0;
}

static uint64_t frames[MOST];
static uint32_t frame_count;

static unsigned long allocated;

static void keep_merged(void)
{
	struct merged *m = &merged[merged_count++];

	CHECK(merged_count < COUNT_OF(merged) && frame_count <= KEPT);
	m->blocks = allocated;
	m->count = frame_count - 1;
	memcpy(m->frames, frames + 1, m->count * sizeof(frames[0]));
}

static void read_line(char *line)
{
	char *at = strstr(line, "] @"), *bytes;

	if (*line >= '0' && *line <= '9' && at) {
		allocated = strtoul(strchr(line, '[') + 1, NULL, 10);
		frame_count = 0;
		for (at += 3; *at == ' ' && frame_count < MOST;)
			frames[frame_count++] = strtoull(at, &at, 16);
	}
	if (strncmp(line, "#\torigin=malloc", 15) != 0 || frame_count < 2 ||
	    frames[1] != (uint64_t)take_after_call)
		return;
	bytes = strstr(line, "bytes=");
	if (bytes)
		compare(strtoull(bytes + 6, NULL, 10) - FIRST_BYTES, frames + 1, frame_count - 1,
			frames[0]);
	else
		keep_merged();
}

/* The answer is large, so it is read a piece at a time. */
static void read_answer(int fd)
{
	static char room[1 << 16];
	size_t used = 0;
	ssize_t n;

	while ((n = read(fd, room + used, sizeof(room) - 1 - used)) > 0) {
		char *line = room, *end;
		used += (size_t)n;
		room[used] = 0;
		for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
			*end = 0;
			read_line(line);
		}
		used -= (size_t)(line - room);
		memmove(room, line, used);
	}
	CHECK(n == 0);
}

size_t take_compare(void)
{
	static const char request[] =
		"GET /debug/pprof/cgoheap?debug=1&symbols=none&frames=all HTTP/1.0\r\n"
		"Host: x\r\n\r\n";
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(a.sun_path, getenv("CGOHEAP_SOCKET"), sizeof(a.sun_path) - 1);
	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(write(fd, request, sizeof(request) - 1) == sizeof(request) - 1);
	read_answer(fd);
	close(fd);
	same += forgotten;
	for (size_t i = forgotten; i < take_count(); i++)
		if (!all[i].is_seen && is_merged(i))
			same++;
		else if (all[i].is_seen != 1)
			show(i, all[i].is_seen ? "two stacks" : "no stack", NULL, 0);
	if (same != take_count())
		dprintf(2, "%zu stacks of %zu are the same\n", same, take_count());
	return same;
}
