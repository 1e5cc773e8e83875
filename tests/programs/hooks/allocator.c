/* The status page names the allocator behind the shim: argv[1]. */
#include "hooks.h"

int main(int argc, char **argv)
{
	char said[64];
	CHECK(argc == 2);
	free(malloc(100));
	snprintf(said, sizeof(said), "\"allocator\":\"%s\"", argv[1]);
	CHECK(hooks_status_says(said));
	return 0;
}
