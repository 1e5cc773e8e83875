/*
 * Enters a filter that allows a list of system calls (a file of NUMBER=ERROR, which run.sh makes
 * from filters/) and answers all others with one action, as a sandbox launcher does, or a
 * program that sandboxes itself.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct sandbox {
	struct sock_filter code[2048];
	unsigned short count;
};

static inline void sandbox_add(struct sandbox *s, struct sock_filter f)
{
	s->code[s->count++] = f;
}

/* error: 0, or the call's result (container runtimes have one for clone3). */
static inline void sandbox_allow(struct sandbox *s, unsigned number, unsigned error)
{
	unsigned answer = error ? SECCOMP_RET_ERRNO | error : SECCOMP_RET_ALLOW;
	sandbox_add(s, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
	sandbox_add(s, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, answer));
}

/* action: "kill" or "errno". */
static inline int sandbox_read(struct sandbox *s, const char *list, const char *action)
{
	unsigned number, error;
	FILE *f = fopen(list, "r");
	if (!f)
		return -1;
	s->count = 0;
	sandbox_add(s, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						    offsetof(struct seccomp_data, nr)));
	while (fscanf(f, "%u=%u", &number, &error) == 2)
		sandbox_allow(s, number, error);
	fclose(f);
	sandbox_add(s, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
						    strcmp(action, "kill") == 0
							    ? SECCOMP_RET_KILL_PROCESS
							    : SECCOMP_RET_ERRNO | EPERM));
	return 0;
}

/* flags: 0 (this thread) or SECCOMP_FILTER_FLAG_TSYNC (all). */
static inline int sandbox_enter(const struct sandbox *s, unsigned flags)
{
	struct sock_fprog program = {s->count, (struct sock_filter *)s->code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

#endif
