/* No Go: with an argument two threads that stay, without one none. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *hold(void *arg)
{
	void *volatile p = malloc(12345);
	(void)arg;
	(void)p;
	pause();
	return NULL;
}

int main(int argc, char **argv)
{
	char line[100];
	pthread_t id;

	(void)argv;
	for (int i = 0; argc > 1 && i < 2; i++) {
		if (pthread_create(&id, NULL, hold, NULL))
			return 2;
	}
	if (argc > 1)
		sleep(1);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		;
	return 5;
}
