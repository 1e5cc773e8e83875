/*
 * sandbox LIST ACTION PRELOAD PROGRAM [ARG]...: runs the program under that filter, from before
 * its first instruction.
 */
#include "sandbox.h"

int main(int argc, char **argv)
{
	static struct sandbox s;
	if (argc < 5 || sandbox_read(&s, argv[1], argv[2]) != 0)
		return 2;
	if (*argv[3])
		setenv("LD_PRELOAD", argv[3], 1);
	if (sandbox_enter(&s, 0) != 0)
		return 3;
	execv(argv[4], argv + 4);
	return 4;
}
