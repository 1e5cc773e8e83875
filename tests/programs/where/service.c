/*
 * A service in a container: it holds 8 MiB of C memory, says "ready" and waits. Its arguments are
 * done in their order:
 *
 *	user UID	becomes that user, as daemons do after their start
 *	root DIRECTORY	makes that its root directory
 *	pipe PATH	puts a named pipe in the place of its socket
 *	link PATH TARGET	or a symbolic link
 *	garbage PATH	or a socket that answers what is no HTTP, without an end
 *	endless PATH	or HTTP without an end
 */
#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char *hello; /* what an impostor answers first; then it repeats itself */
static int listener;

static void *answer(void *unused)
{
	char block[65536];
	memset(block, 'x', sizeof(block));
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (send(fd, hello, strlen(hello), MSG_NOSIGNAL) >= 0)
			while (send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0)
				;
		close(fd);
	}
	return unused;
}

static void *wait_forever(void *unused)
{
	pause();
	return unused;
}

static void start(void *(*work)(void *))
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, work, NULL) != 0)
		err(1, "thread");
}

static void listen_at(const char *path, const char *first)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	hello = first;
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(listener, 8) != 0)
		err(1, "%s", path);
	start(answer);
}

static void check(int result, const char *what)
{
	if (result != 0)
		err(1, "%s", what);
}

int main(int count, char **args)
{
	char *held = malloc(8 << 20);
	memset(held, 1, 8 << 20);
	start(wait_forever); /* the library serves once there are threads */
	for (int i = 1; i + 1 < count; i += 2) {
		const char *what = args[i], *value = args[i + 1];
		if (strcmp(what, "user") == 0) {
			check(setgid((gid_t)atoi(value)) | setuid((uid_t)atoi(value)), value);
			continue;
		}
		if (strcmp(what, "root") == 0) {
			check(chroot(value) | chdir("/"), value);
			continue;
		}
		check(unlink(value), value);
		if (strcmp(what, "pipe") == 0)
			check(mkfifo(value, 0600), value);
		else if (strcmp(what, "link") == 0)
			check(symlink(args[++i + 1], value), value);
		else if (strcmp(what, "garbage") == 0)
			listen_at(value, "SSH-2.0-OpenSSH\r\n");
		else
			listen_at(value, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n");
	}
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}
