/*
 * How much of its caller's stack each hook uses, measured on a painted stack. depth_lib.c's
 * functions are behind the shim and use less than 32 bytes.
 *
 * depth NAME...: every function that the shim exports. depth fork: a child of fork, without
 * depth_lib.c.
 */
#include "hooks.h"
#include "machine.h"

#include <dlfcn.h>
#include <sys/mman.h>

#define MOST  256 /* bytes, its return address included */
#define PAINT 0xa5

static char stack[256 * 1024] __attribute__((aligned(4096)));

/* fn(args...) with the stack pointer at top. */
long call_at(void *top, void *fn, const long args[6]);
__asm__(".text\n.type call_at, %function\ncall_at:\n" CALL_AT ".size call_at, .-call_at\n");

static void *block, *aligned, *pages, *page;
static pthread_t thread;

static void *nothing(void *arg)
{
	return arg;
}

/* Sizes not used elsewhere. Freed blocks were sampled, because the interval is 1. */
static const struct {
	const char *name;
	long args[6];
	const void *const *from; /* the first argument is read from here */
} calls[] = {
	{"malloc", {100}, NULL},
	{"calloc", {1, 100}, NULL},
	{"realloc", {0, 200}, (const void *const *)&block},
	{"reallocarray", {0, 1, 200}, (const void *const *)&block},
	{"posix_memalign", {(long)&aligned, 64, 100}, NULL},
	{"aligned_alloc", {64, 128}, NULL},
	{"memalign", {64, 128}, NULL},
	{"valloc", {100}, NULL},
	{"pvalloc", {100}, NULL},
	{"free", {0}, (const void *const *)&block},
	{"free_sized", {0, 300}, (const void *const *)&block},
	{"free_aligned_sized", {0, 16, 300}, (const void *const *)&block},
	{"cfree", {0}, (const void *const *)&block},
	{"mmap", {0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}, NULL},
	{"mmap64", {0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}, NULL},
	{"munmap", {0, 4096}, (const void *const *)&pages},
	{"mprotect", {0, 4096, PROT_READ | PROT_WRITE}, (const void *const *)&pages},
	{"mremap", {0, 8192, 16384, MREMAP_MAYMOVE}, (const void *const *)&pages},
	{"madvise", {0, 4096, MADV_DONTNEED}, (const void *const *)&pages},
	{"sbrk", {65536}, NULL},
	{"brk", {0}, (const void *const *)&page},
	{"pthread_create", {(long)&thread, 0, (long)nothing, 0}, NULL},
	{"thrd_create", {(long)&thread, (long)nothing, 0}, NULL},
	{"dlclose", {0}, (const void *const *)&block},
	{"dlopen", {(long)"/no such file", 2}, NULL},
	{"dlsym", {0, (long)"no_such_name"}, NULL},
};

static void prepare(void)
{
	block = malloc(300);
	pages = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	page = (char *)sbrk(0) + 8192;
	CHECK(block && pages != MAP_FAILED);
}

static char *const top = stack + sizeof(stack) - 4096;

static long used(void)
{
	const char *lowest = stack;

	while (*lowest == (char)PAINT)
		lowest++;
	return top - lowest;
}

/* Looked up before anything is measured: then dlsym is one that finds nothing. */
static void *functions[sizeof(calls) / sizeof(calls[0])];

static long measure(size_t i)
{
	long args[6];

	prepare();
	memcpy(args, calls[i].args, sizeof(args));
	if (calls[i].from)
		args[0] = (long)*calls[i].from;
	memset(stack, PAINT, sizeof(stack));
	call_at(top, functions[i], args);
	return used();
}

/* The library's work in a child is done on the stack of the thread that called fork. */
static void measure_fork(int *failed)
{
	static const long none[6];
	long child_bytes;
	int ends[2];

	CHECK(pipe(ends) == 0);
	memset(stack, PAINT, sizeof(stack));
	if (call_at(top, (void *)fork, none) == 0) {
		child_bytes = used();
		CHECK(write(ends[1], &child_bytes, sizeof(child_bytes)) == sizeof(child_bytes));
		_exit(0);
	}
	CHECK(read(ends[0], &child_bytes, sizeof(child_bytes)) == sizeof(child_bytes));
	if (getenv("HOOKS_VERBOSE"))
		printf("fork %ld, child %ld\n", used(), child_bytes);
	if (child_bytes - used() <= MOST)
		return;
	dprintf(2, "a child takes %ld bytes of stack, its parent %ld\n", child_bytes, used());
	*failed = 1;
}

static int is_known(const char *name)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (!strcmp(name, calls[i].name))
			return 1;
	/* Not a hook: the Go package calls it at its start. */
	return !strcmp(name, "cgoheap_bridge_v1");
}

static void measure_all(int *failed)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		for (int round = 0; round < 3; round++) {
			long bytes = measure(i);
			if (getenv("HOOKS_VERBOSE"))
				printf("%-20s %ld\n", calls[i].name, bytes);
			if (bytes <= MOST)
				continue;
			fprintf(stderr, "%s takes %ld bytes of stack\n", calls[i].name, bytes);
			*failed = 1;
		}
}

int main(int argc, char **argv)
{
	int failed = 0;

	if (argc == 2 && !strcmp(argv[1], "fork")) {
		measure_fork(&failed);
		return failed;
	}
	for (int i = 1; i < argc; i++)
		if (!is_known(argv[i])) {
			fprintf(stderr, "%s is not measured\n", argv[i]);
			failed = 1;
		}
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		functions[i] = dlsym(RTLD_DEFAULT, calls[i].name);
	*(int *)dlsym(RTLD_DEFAULT, "depth_is_measured") = 1;
	measure_all(&failed);
	CHECK(argc > 20); /* the names were passed */
	return failed;
}
