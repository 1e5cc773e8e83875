/*
 * At each line on its standard input, allocates and frees, each recorded, and keeps some blocks;
 * queries itself; prints "done". Ends with its input.
 */
#include "../hooks/hooks.h"

#include <pthread.h>

#define PAIRS 20000
#define KEPT  100

static void *nothing(void *unused)
{
	return unused;
}

int main(void)
{
	static void *kept[KEPT];
	char line[16];
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
	CHECK(write(1, "ready\n", 6) == 6);
	for (size_t round = 0; read(0, line, sizeof(line)) > 0; round++) {
		for (size_t i = 0; i < PAIRS; i++)
			free(malloc(100 + i % 1000));
		for (size_t i = 0; i < KEPT; i++)
			kept[i] = malloc(7919);
		CHECK(hooks_status("taken") >= PAIRS);
		hooks_get("/debug/pprof/cgoheap?debug=1");
		CHECK(write(1, "done\n", 5) == 5);
	}
	return kept[0] == NULL;
}
