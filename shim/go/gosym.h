/*
 * Go's symbols, read from the memory of the running program: the pclntab of each Go
 * module (gomodules.h).  So stripped and PIE binaries of Go 1.18 to 1.27 work alike.
 *
 * Only reads; safe anywhere, also in hooks and signal handlers.  Every offset from the
 * tables is checked against its bounds before use; inconsistent tables give "not found".
 */
#ifndef CGOHEAP_GOSYM_H
#define CGOHEAP_GOSYM_H

#include "base/base.h"

struct gomodule;

bool gosym_is_go(void); /* whether this process has Go code */
/* "go1.26.8" from the build info of the program, else of the first Go library; "" unknown */
const char *gosym_version(void);

/* Whether pc is in a module's runtime.text..etext (with internal linking, C functions too). */
bool gosym_in_text(uint64_t pc);

struct gosym_func {
	uint64_t entry;   /* address in this process */
	uint64_t end;     /* start of the next function */
	const char *name; /* in the binary, NUL-terminated: "main.(*T).f", "runtime.asmcgocall" */
	/*
	 * Compiled by a C compiler. With internal linking the C functions of runtime/cgo and of cgo
	 * wrappers are in Go's text; they keep no frame pointer and not asmcgocall's conventions.
	 * The linker writes no line table for them, whatever they are called.
	 */
	bool is_c;
	struct gomodule *module;
	uint64_t func; /* internal, for gosym_frames */
};

/* The function that contains pc.  False: outside text, or inconsistent tables. */
bool gosym_find(uint64_t pc, struct gosym_func *out);

/*
 * Finds a module's function by name.  False: it has none.  Searches all names, so it is
 * too slow for every sample.
 */
bool gosym_lookup(const struct gomodule *module, const char *name, struct gosym_func *out);

struct gosym_frame {
	const char *function;
	const char *file;   /* "" unknown */
	int64_t line;       /* 0 unknown */
	int64_t start_line; /* of the function, 0 unknown (known since Go 1.20) */
	/* Generated to adapt a call (method wrapper, "main.f.gowrap1", ABI wrapper): Go's own
	 * stacks and profiles omit these. */
	bool is_wrapper;
};
#define GOSYM_MAX_INLINE 32

/*
 * The source frames of one pc (in the call instruction, e.g. return address - 1),
 * innermost first, with inlined calls.  Returns how many were written, at most max; 0 if
 * unknown.
 */
size_t gosym_frames(uint64_t pc, struct gosym_frame *frames, size_t max);

#endif
