/* Allocates and frees as often as each line of stdin says, in pairs(), which is what is counted. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *wait_forever(void *unused)
{
	pause();
	return unused;
}

static void __attribute__((noinline)) pairs(long count)
{
	for (long i = 0; i < count; i++)
		free(malloc(32));
}

int main(void)
{
	pthread_t thread; /* with the first thread the server starts */
	char line[32];

	if (pthread_create(&thread, NULL, wait_forever, NULL) != 0)
		return 1;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL)
		pairs(atol(line));
	return 0;
}
