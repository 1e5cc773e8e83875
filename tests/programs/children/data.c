/*
 * A program with much data that reads one byte of it, and prints how much of it was ever
 * resident.
 */
#include <stdio.h>
#include <sys/resource.h>

char data[64 << 20] = {1};

int main(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	printf("%ld\n", usage.ru_maxrss / 1024 + data[1]);
	return 0;
}
