/*
 * A program whose first thread has little stack. The kernel puts arguments and environment there,
 * below a gap of random size, and the loader needs about 7 KiB below them to load any library: a
 * program with 16 KiB may end before main without the library, too. So this determines, without
 * randomness, how long the environment may be for the program to start, allocate and fork, once
 * with a library that does nothing and once with ours. Ours may take no more than MOST off that.
 *
 * first_stack OURS NOTHING: paths of both libraries.
 */
#include <sys/personality.h>
#include <sys/resource.h>

#include "life.h"

#define MOST 384 /* a library of ours has four segments more: 224 bytes of the loader's stack */
#define STEP 16
#define KIB  1024

/* In the started program. */
static int work(void)
{
	pid_t pid;
	int status;

	for (size_t n = 0; n < 1000; n++)
		free(malloc(n));
	pid = fork();
	if (pid == 0)
		_exit(0);
	return !(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

struct start {
	const char *library, *any;
	size_t stack_bytes;
};

static void become(const struct start *s, size_t environment_bytes)
{
	static char preload[4096], filler[128 * KIB], any[64], socket[256];
	char *const argv[] = {"first_stack", NULL};
	char *const envp[] = {
		preload, filler, any, socket, "CGOHEAP_SAMPLE_BYTES=1", "CGOHEAP_FOLLOW_FORK=1",
		NULL};
	struct rlimit stack = {s->stack_bytes, s->stack_bytes}, no_core = {0, 0};
	size_t used = (size_t)snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", s->library);

	snprintf(any, sizeof(any), "CGOHEAP_ANY=%s", s->any);
	snprintf(socket, sizeof(socket), "CGOHEAP_SOCKET=%s.own", getenv("CGOHEAP_SOCKET"));
	CHECK(used < environment_bytes && environment_bytes - used < sizeof(filler));
	memset(filler, 'x', environment_bytes - used);
	memcpy(filler, "X=", 2);
	if (setrlimit(RLIMIT_STACK, &stack) || setrlimit(RLIMIT_CORE, &no_core))
		_exit(1);
	execve("/proc/self/exe", argv, envp);
	_exit(1);
}

static int starts(const struct start *s, size_t environment_bytes)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		become(s, environment_bytes);
	CHECK(waitpid(pid, &status, 0) == pid);
	return status == 0;
}

/* The longest environment with which it starts. */
static size_t longest(const struct start *s)
{
	size_t yes = 256, no = s->stack_bytes;

	CHECK(starts(s, yes));
	while (no - yes > STEP) {
		size_t middle = (yes + no) / 2;
		if (starts(s, middle))
			yes = middle;
		else
			no = middle;
	}
	return yes;
}

static void compare(struct start ours, const char *nothing)
{
	struct start other = {nothing, ours.any, ours.stack_bytes};
	size_t with = longest(&ours), without = longest(&other);

	printf("%zu KiB, CGOHEAP_ANY=%s: %zu bytes of environment, %zu without\n",
	       ours.stack_bytes / KIB, ours.any, with, without);
	if (with + MOST < without)
		dprintf(2, "%zu KiB, CGOHEAP_ANY=%s: takes %zu bytes of the first stack\n",
			ours.stack_bytes / KIB, ours.any, without - with);
}

int main(int argc, char **argv)
{
	static const size_t stacks[] = {16 * KIB, 24 * KIB, 64 * KIB};

	if (argc == 1)
		return work();
	CHECK(argc == 3);
	if (personality(ADDR_NO_RANDOMIZE) == -1) {
		dprintf(2, "personality(ADDR_NO_RANDOMIZE) is forbidden\n");
		return 77;
	}
	for (size_t i = 0; i < COUNT_OF(stacks); i++) {
		compare((struct start){argv[1], "1", stacks[i]}, argv[2]);
		compare((struct start){argv[1], "0", stacks[i]}, argv[2]);
	}
	return 0;
}
