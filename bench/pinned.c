/* A heap of COUNT chunks, every second one free: what is asked of the library about it costs most.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *take(size_t bytes)
{
	return memset(malloc(bytes), 1, bytes);
}

int main(int argc, char **argv)
{
	size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	char **blocks = calloc(count, sizeof(*blocks));
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	for (size_t i = 0; i < count; i++)
		blocks[i] = take(i % 2 ? 100 : 140);
	for (size_t i = 0; i < count; i += 2)
		free(blocks[i]);
	puts("ready");
	fflush(stdout);
	pause();
}
