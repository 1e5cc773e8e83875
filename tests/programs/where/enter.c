/*
 * Starts a program as the only one of a container, made on the spot without a container's tools:
 *
 *	enter [-p] [-n] [-U BASE] [-o OWNER] [-u UID] ROOT SETUP PROGRAM [VARIABLE=VALUE |
 *ARGUMENT]...
 *
 * In a mount namespace of its own, runs SETUP in a shell (mounts below ROOT), makes ROOT the root
 * directory and executes PROGRAM there, with that environment alone. -p: in a PID namespace, as
 * process 1. -n: in a network namespace. -U: in a user namespace that has 65536 users, from BASE
 * on; -o: the first of them is OWNER, to whom it belongs. -u: as that user (and group), without
 * other groups. Prints the process ID on its first
 * line, and ends as the program does. Static: what is preloaded is for the program alone.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int flags = CLONE_NEWNS, base = -1, owner = -1;
static unsigned user;

static void write_map(int pid, const char *kind)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, kind);
	FILE *map = fopen(path, "w");
	if (map == NULL)
		err(1, "%s", path);
	if (owner < 0)
		fprintf(map, "0 %d 65536\n", base);
	else
		fprintf(map, "0 %d 1\n1 %d 65535\n", owner, base);
	if (fclose(map) != 0)
		err(1, "%s", path);
}

static void prepare(const char *root, const char *setup)
{
	if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
		err(1, "root");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		err(1, "private mounts");
	setenv("ROOT", root, 1);
	if (system(setup) != 0)
		errx(1, "setup failed");
	if (chroot(root) != 0 || chdir("/") != 0)
		err(1, "%s", root);
	if (setgroups(0, NULL) != 0 || setresgid(user, user, user) != 0 ||
	    setresuid(user, user, user) != 0)
		err(1, "user %u", user);
}

int main(int count, char **args)
{
	char *variables[32] = {NULL}, *arguments[32] = {NULL};
	int option, mapped[2], n_variables = 0, n_arguments = 0, status;

	while ((option = getopt(count, args, "+pnU:o:u:")) >= 0) {
		flags |= option == 'p' ? CLONE_NEWPID : option == 'n' ? CLONE_NEWNET : 0;
		if (option == 'U') {
			flags |= CLONE_NEWUSER;
			base = atoi(optarg);
		} else if (option == 'o') {
			owner = atoi(optarg);
		} else if (option == 'u') {
			user = (unsigned)atoi(optarg);
		}
	}
	if (count - optind < 3)
		errx(2, "usage: see the source");
	for (int i = optind + 2; i < count && n_variables < 31 && n_arguments < 31; i++) {
		if (i > optind + 2 && strchr(args[i], '=') != NULL)
			variables[n_variables++] = args[i];
		else
			arguments[n_arguments++] = args[i];
	}
	if (pipe(mapped) != 0)
		err(1, "pipe");
	if (owner >= 0 && seteuid((uid_t)owner) != 0)
		err(1, "owner");
	int pid = (int)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid < 0)
		err(1, "clone");
	if (pid == 0) {
		char byte;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(mapped[1]);
		if (read(mapped[0], &byte, 1) != 1)
			return 1;
		prepare(args[optind], args[optind + 1]);
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of user forgets it */
		execve(arguments[0], arguments, variables);
		err(1, "%s", arguments[0]);
	}
	if (owner >= 0 && seteuid(0) != 0)
		err(1, "root again");
	if (base >= 0) {
		write_map(pid, "uid_map");
		write_map(pid, "gid_map");
	}
	printf("%d\n", pid);
	fflush(stdout);
	if (write(mapped[1], "", 1) != 1 || waitpid(pid, &status, 0) != pid)
		err(1, "child");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
