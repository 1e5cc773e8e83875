/*
 * A service that the library must leave as it is: it allocates, writes on both outputs and ends
 * with status 3. What it says is asserted to the letter by run.sh.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	char *blocks[64];

	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 64; i++) {
			blocks[i] = malloc((size_t)(1 << i % 20));
			if (!blocks[i])
				return 1;
			memset(blocks[i], i, (size_t)(1 << i % 20));
		}
		for (int i = 0; i < 64; i++)
			free(i % 2 ? realloc(blocks[i], 100) : blocks[i]);
	}
	puts("served");
	fputs("a warning of its own\n", stderr);
	return 3;
}
