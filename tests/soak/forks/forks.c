/*
 * Preloaded beside the shim: forks children in C, all the while, as a service
 * with a helper does.  A child that does not end as it should ends the service.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int child(void)
{
	char *kept[100];
	for (int i = 0; i < 100; i++) {
		kept[i] = malloc(1000 + (size_t)i);
		if (!kept[i])
			return 1;
		memset(kept[i], i, 1000);
	}
	for (int i = 0; i < 100; i++) {
		if (kept[i][999] != i)
			return 2;
		free(kept[i]);
	}
	return 42;
}

static void *run(void *unused)
{
	for (;;) {
		int status = 0;
		pid_t pid = fork();
		if (pid == 0)
			_exit(child());
		if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != 42) {
			static const char text[] = "forks: a child did not end as it should\n";
			(void)!write(2, text, sizeof(text) - 1);
			_exit(3);
		}
		usleep(200 * 1000);
	}
	return unused;
}

__attribute__((constructor)) static void start(void)
{
	sigset_t all, before;
	pthread_t thread;

	if (!getenv("SOAK_FORKS"))
		return;
	unsetenv("SOAK_FORKS");
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_create(&thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}
