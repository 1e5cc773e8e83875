/*
 * A host that does a little of everything the shim hooks, requests its pages, and ends with
 * output and an exit code that do not depend on either.
 *
 *  host SOCKET PATIENCE_MS
 */
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCKS 40

static unsigned long sum;

static void *work(void *arg)
{
	char *blocks[BLOCKS];
	for (int i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(100 + 37 * (size_t)i);
		memset(blocks[i], i, 100);
	}
	for (int i = 0; i < BLOCKS; i += 2)
		blocks[i] = realloc(blocks[i], 9000);
	for (int i = 0; i < BLOCKS; i++) {
		__atomic_fetch_add(&sum, (unsigned char)blocks[i][99], __ATOMIC_RELAXED);
		free(blocks[i]);
	}
	return arg;
}

static void map(void)
{
	char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(p, 1, 8192);
	mprotect(p, 4096, PROT_READ);
	mprotect(p, 4096, PROT_READ | PROT_WRITE);
	p = mremap(p, 1 << 20, 2 << 20, MREMAP_MAYMOVE);
	sum += (unsigned long)p[4096];
	munmap(p, 1 << 20);
}

static void ask(const char *path, const char *page, int patience_ms)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct pollfd p = {.events = POLLIN};
	static char answer[1 << 16];

	p.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (!connect(p.fd, (struct sockaddr *)&address, sizeof(address))) {
		char request[100];
		int n = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", page);
		send(p.fd, request, (size_t)n, MSG_NOSIGNAL);
		while (poll(&p, 1, patience_ms) == 1 && read(p.fd, answer, sizeof(answer)) > 0)
			;
	}
	close(p.fd);
}

int main(int argc, char **argv)
{
	pthread_t threads[3];
	int status = 0;

	if (argc != 3)
		return 2;
	work(NULL);
	map();
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	char *kept = malloc(123456);
	for (const char *page = "/debug/pprof/cgoheap\0/v1/status\0/v1/account\0/metrics\0"; *page;
	     page += strlen(page) + 1)
		ask(argv[1], page, atoi(argv[2]));
	pid_t child = fork();
	if (child == 0) {
		work(NULL);
		_exit(5);
	}
	waitpid(child, &status, 0);
	memset(kept, 1, 100);
	free(kept);
	printf("sum %lu, child %d\n", sum, WEXITSTATUS(status));
	return 7;
}
