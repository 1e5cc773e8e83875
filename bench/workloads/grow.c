/* N buffers, each grown by half from 16 bytes to above 64 KiB, as a vector grows; 200 stay. */
#include <stdlib.h>
#include <string.h>

#include "work.h"

#define LARGEST 65536
#define KEPT    200

static char *kept[KEPT];

__attribute__((noinline)) static char *grow(void)
{
	char *buffer = NULL;
	size_t size = 0;
	for (size_t next = 16; size < LARGEST; next += next / 2) {
		buffer = work_opaque(realloc(buffer, next));
		memset(buffer + size, 'x', next - size);
		size = next;
	}
	return buffer;
}

int main(int argc, char **argv)
{
	long n = work_begin(argc, argv);
	for (long i = 0; i < n; i++) {
		free(kept[i % KEPT]);
		kept[i % KEPT] = grow();
	}
	work_end();
	return 0;
}
