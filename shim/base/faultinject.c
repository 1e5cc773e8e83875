/*
 * See faultinject.h.  A failing call is not made, except close: it closes the descriptor
 * even when it reports an error (close(2), "Dealing with error returns").
 *
 * The plan is read at the first call after libc has set up the environment.  The
 * constructor makes that call, while there is only one thread.
 */
#include "base/faultinject.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arch.h"
#include "base/base.h"
#include "base/syscalls.h"

enum { NAME_ALL = -1, NAME_THREAD = -2, NAME_PTHREAD = -3 };

#define FAULT(name, error, when, missing) {#name, SYS_##name, error},
#define NO_FAULT(name, error, when, missing)

static const struct name {
	const char *name;
	int number, error;
} names[] = {{"all", NAME_ALL, 0},
	     {"thread", NAME_THREAD, EAGAIN},
	     {"pthread", NAME_PTHREAD, ENOMEM},
	     SYSCALLS(FAULT, FAULT, NO_FAULT)};

static struct {
	bool is_read;
	const struct name *name; /* NULL: nothing fails */
	uint64_t from;
	bool on;   /* all later calls fail too */
	int error; /* 0: each call's own */
	int log;
	uint64_t count;
} plan = {.log = -1};

static const char *variable(const char *name)
{
	size_t n = strlen(name);

	for (char **v = environ; v && *v; v++)
		if (!strncmp(*v, name, n) && (*v)[n] == '=')
			return *v + n + 1;
	return NULL;
}

static uint64_t number(const char **text)
{
	uint64_t n = 0;

	for (; **text >= '0' && **text <= '9'; (*text)++)
		n = n * 10 + (uint64_t)(**text - '0');
	return n;
}

static void read_plan(void)
{
	const char *text = variable("SHIM_FAULTS"), *log = variable("SHIM_FAULTS_LOG");
	const char *error = variable("SHIM_FAULTS_ERROR");

	plan.error = error ? (int)number(&error) : 0;

	for (size_t i = 0; text && i < COUNT_OF(names); i++) {
		size_t n = strlen(names[i].name);
		if (!strncmp(text, names[i].name, n) && text[n] == ':') {
			text += n + 1;
			plan.from = number(&text);
			plan.on = *text == '+';
			plan.name = &names[i];
			break;
		}
	}
	if (plan.name && log) {
		long fd = arch_syscall6(SYS_openat, AT_FDCWD, (long)log,
					O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600, 0, 0);
		/* Above the numbers that hosts and shells use. */
		plan.log = (int)arch_syscall6(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 900, 0, 0, 0);
		arch_syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
	}
	plan.is_read = true;
}

/* NULL: not in the lists, so no test can make it fail. */
static const struct name *name_of(long number)
{
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (names[i].number == number)
			return &names[i];
	return NULL;
}

/* The error to return, or 0 to make the call. */
static int fails(long number)
{
	uint64_t count;

	if (!plan.is_read && environ)
		read_plan();
	if (!plan.name || (plan.name->number != NAME_ALL && plan.name->number != number))
		return 0;
	const struct name *called = name_of(number);
	if (!called)
		return 0;
	count = __atomic_add_fetch(&plan.count, 1, __ATOMIC_RELAXED);
	if (plan.on ? count < plan.from : count != plan.from)
		return 0;
	arch_syscall6(SYS_write, plan.log, (long)"!", 1, 0, 0, 0);
	return plan.error ? plan.error : called->error;
}

/* The environment as the kernel gave it: the first look-ups come before libc has set it up. */
bool faultinject_is_missing(const char *name)
{
	static const char variable[] = "SHIM_LACKS=";
	static char text[64 * KIB];
	static long bytes = -1;

	if (bytes < 0) {
		long fd = arch_syscall6(SYS_openat, AT_FDCWD, (long)"/proc/self/environ",
					O_RDONLY | O_CLOEXEC, 0, 0, 0);
		bytes = arch_syscall6(SYS_read, fd, (long)text, sizeof(text) - 1, 0, 0, 0);
		bytes = bytes < 0 ? 0 : bytes;
		arch_syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
	}
	for (long at = 0; at < bytes; at += (long)strlen(text + at) + 1)
		if (!strncmp(text + at, variable, sizeof(variable) - 1))
			return !strcmp(text + at + sizeof(variable) - 1, name);
	return false;
}

long faultinject_syscall6(long n, long a, long b, long c, long d, long e, long f)
{
	int error = fails(n);

	if (!error)
		return arch_syscall6(n, a, b, c, d, e, f);
	if (n == SYS_close)
		arch_syscall6(n, a, b, c, d, e, f);
	return -error;
}

/* ---- thread functions: the shim's own calls, which go through the table of libc.h ---------- */

static struct libc found;

#define FAULTY(name, kind, parameters, arguments)                                                  \
	static int faulty_##name parameters                                                        \
	{                                                                                          \
		int error = fails(kind);                                                           \
		return error ? error : found.name arguments;                                       \
	}
FAULTY(pthread_attr_init, NAME_PTHREAD, (pthread_attr_t * a), (a))
/* Only the shim's threads are given a stack; the next call is pthread_create. */
FAULTY(pthread_attr_setstack, NAME_THREAD, (pthread_attr_t * a, void *stack, size_t bytes),
       (a, stack, bytes))
FAULTY(pthread_key_create, NAME_PTHREAD, (pthread_key_t * key, void (*end)(void *)), (key, end))
FAULTY(__register_atfork, NAME_PTHREAD,
       (void (*before)(void), void (*parent)(void), void (*child)(void), void *module),
       (before, parent, child, module))

void faultinject_libc(struct libc *into)
{
	found = *into;
	into->pthread_attr_init = faulty_pthread_attr_init;
	into->pthread_attr_setstack = faulty_pthread_attr_setstack;
	into->pthread_key_create = faulty_pthread_key_create;
	into->__register_atfork = faulty___register_atfork;
}
