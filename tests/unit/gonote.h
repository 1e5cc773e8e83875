/*
 * Go's note, as its linker writes it: a program without it is no Go program, and no
 * tables are looked for in its data.
 */
#ifndef CGOHEAP_TESTS_GONOTE_H
#define CGOHEAP_TESTS_GONOTE_H

__asm__(".pushsection .note.go.buildid,\"a\",@note\n"
	".balign 4\n"
	".long 4, 4, 4\n"
	".ascii \"Go\\0\\0test\"\n"
	".popsection\n");

#endif
