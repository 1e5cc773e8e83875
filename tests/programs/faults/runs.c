/*
 * Runs a host once for each plan on stdin ("7", "7+"), as many at a time as there are processors. A
 * line in DIR/failed for each run whose end or output is not the host's own; the file
 * DIR/done.PLAN, by the shim, has something in it where a call was made to fail.
 *
 * As a program of C: a shell that starts six others takes four times as long as the host itself.
 *
 *   runs DIR HOST NAME SHIM LIMIT_S PATIENCE_MS
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_AT_ONCE   64
#define OUTPUT_BYTES   4096
#define OWN_STATUS     7
#define COMPLAINTS     4 /* lines on stderr, at most */
#define PATH_BYTES     512
#define VARIABLE_BYTES 600

struct job {
	pid_t pid; /* 0: none */
	char plan[16];
	time_t end; /* of its time */
};

static struct {
	const char *dir, *host, *name, *shim, *patience;
	int limit_s;
	char own[OUTPUT_BYTES];
} all;

static const char *path_of(char path[PATH_BYTES], const struct job *job, const char *suffix)
{
	snprintf(path, PATH_BYTES, "%s/run.%s.%s", all.dir, job->plan, suffix);
	return path;
}

static void set(const char *name, const char *format, const char *a, const char *b)
{
	char value[VARIABLE_BYTES];

	snprintf(value, sizeof(value), format, a, b);
	setenv(name, value, 1);
}

static void become_host(const struct job *job)
{
	char socket[PATH_BYTES], out[PATH_BYTES], err[PATH_BYTES];
	int in = open("/dev/null", O_RDONLY);
	int out_fd = open(path_of(out, job, "out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int err_fd = open(path_of(err, job, "err"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (in < 0 || out_fd < 0 || err_fd < 0)
		_exit(120);
	dup2(in, 0), dup2(out_fd, 1), dup2(err_fd, 2);
	close(in), close(out_fd), close(err_fd);
	path_of(socket, job, "sock");
	set("CGOHEAP_SOCKET", "%s%s", socket, "");
	set("SHIM_FAULTS", "%s:%s", all.name, job->plan);
	set("SHIM_FAULTS_LOG", "%s/done.%s", all.dir, job->plan);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	set("LD_PRELOAD", "%s%s", all.shim, "");
	execl(all.host, all.host, socket, all.patience, NULL);
	_exit(121);
}

static void begin(struct job *job)
{
	job->end = time(NULL) + all.limit_s;
	job->pid = fork();
	if (job->pid == 0)
		become_host(job);
}

/* The file's text; cut off where it is longer than anything that is right. */
static void slurp(const char *path, char text[OUTPUT_BYTES])
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, text, OUTPUT_BYTES - 1);

	text[n > 0 ? n : 0] = '\0';
	close(fd);
}

static bool complains_only(const char *err)
{
	int lines = 0;

	for (; *err != '\0'; lines++) {
		const char *end = strchr(err, '\n');
		if (strncmp(err, "cgoheap: ", strlen("cgoheap: ")) != 0 || end == NULL)
			return false;
		err = end + 1;
	}
	return lines <= COMPLAINTS;
}

static void judge(struct job *job, int status)
{
	char path[PATH_BYTES], out[OUTPUT_BYTES], err[OUTPUT_BYTES];
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);

	slurp(path_of(path, job, "out"), out);
	slurp(path_of(path, job, "err"), err);
	if (code != OWN_STATUS || strcmp(out, all.own) != 0 || !complains_only(err)) {
		snprintf(path, sizeof(path), "%s/failed", all.dir);
		FILE *failed = fopen(path, "a");
		if (failed == NULL)
			exit(1);
		fprintf(failed, "%s:%s: exit status %d, want %d\n%.600s%.600s\n", all.name,
			job->plan, code, OWN_STATUS, out, err);
		fclose(failed);
	}
	unlink(path_of(path, job, "out"));
	unlink(path_of(path, job, "err"));
	unlink(path_of(path, job, "sock"));
	job->pid = 0;
}

static size_t reap(struct job *jobs, size_t most)
{
	size_t running = 0;

	for (struct job *job = jobs; job < jobs + most; job++) {
		int status;
		if (job->pid == 0)
			continue;
		if (time(NULL) > job->end)
			kill(job->pid, SIGKILL);
		if (waitpid(job->pid, &status, WNOHANG) == job->pid)
			judge(job, status);
		running += job->pid != 0;
	}
	return running;
}

static struct job *free_job(struct job *jobs, size_t most)
{
	for (size_t i = 0; i < most; i++)
		if (jobs[i].pid == 0)
			return &jobs[i];
	return NULL;
}

static void wait_for_one(const sigset_t *child)
{
	const struct timespec at_most = {.tv_sec = 1};

	sigtimedwait(child, NULL, &at_most);
}

int main(int argc, char **argv)
{
	static struct job jobs[MOST_AT_ONCE];
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t most = processors < MOST_AT_ONCE ? (size_t)processors : MOST_AT_ONCE;
	char path[PATH_BYTES], plan[sizeof(jobs->plan)];
	sigset_t child;

	if (argc != 7)
		return 2;
	all.dir = argv[1], all.host = argv[2], all.name = argv[3], all.shim = argv[4];
	all.limit_s = atoi(argv[5]), all.patience = argv[6];
	snprintf(path, sizeof(path), "%s/own", all.dir);
	slurp(path, all.own);
	setenv("CGOHEAP_ANY", "1", 1);
	setenv("CGOHEAP_SAMPLE_BYTES", "1", 1);
	setenv("CGOHEAP_LISTEN", "nonsense", 1);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	while (scanf("%15s", plan) == 1) {
		struct job *job;
		while ((job = free_job(jobs, most)) == NULL) {
			wait_for_one(&child);
			reap(jobs, most);
		}
		strcpy(job->plan, plan);
		begin(job);
	}
	while (reap(jobs, most) != 0)
		wait_for_one(&child);
	return 0;
}
