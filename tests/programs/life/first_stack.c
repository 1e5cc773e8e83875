/* A program whose first thread has 16 KiB of stack starts, records and ends. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct rlimit little = {16 << 10, 16 << 10};

	if (argc == 1) {
		if (setrlimit(RLIMIT_STACK, &little) != 0)
			return 77;
		execl("/proc/self/exe", argv[0], "again", (char *)NULL);
		return 1;
	}
	for (size_t n = 0; n < 1000; n++)
		free(malloc(n));
	return 0;
}
