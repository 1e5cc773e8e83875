/*
 * The note that Go's linker writes.  Without it a program is not taken for a Go program,
 * and its data is not searched for tables.
 */
#ifndef CGOHEAP_TESTS_GONOTE_H
#define CGOHEAP_TESTS_GONOTE_H

__asm__(".pushsection .note.go.buildid,\"a\",@note\n"
	".balign 4\n"
	".long 4, 4, 4\n"
	".ascii \"Go\\0\\0test\"\n"
	".popsection\n");

#endif
