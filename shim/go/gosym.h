/*
 * Go's own symbols from the memory of the running program: the pclntab of each
 * of its Go modules (gomodules.h), so that stripped and PIE binaries of Go 1.18 to
 * 1.27 are alike.
 *
 * Only reads, and is safe anywhere, in a hook and in a signal handler too.  All
 * offsets that come from the tables are checked against their bounds before they
 * are followed; a table that does not add up answers "not found".
 */
#ifndef CGOHEAP_GOSYM_H
#define CGOHEAP_GOSYM_H

#include "base/base.h"

struct gomodule;

bool gosym_is_go(void); /* there is Go code in this process */
/* Of the program, or else of the first Go library: "go1.26.8" from the build info; "" unknown */
const char *gosym_version(void);

/* Whether pc lies in a module's runtime.text..etext (with internal linking, C functions too). */
bool gosym_in_text(uint64_t pc);

struct gosym_func {
	uint64_t entry;   /* address in this process */
	uint64_t end;     /* start of the next function */
	const char *name; /* in the binary, NUL-terminated: "main.(*T).f", "runtime.asmcgocall" */
	bool is_c;        /* compiled by a C compiler: see gosym_is_c_name */
	struct gomodule *module;
	uint64_t func; /* internal, for gosym_frames */
};

/* The function that holds pc.  False outside of text or where the tables do not add up. */
bool gosym_find(uint64_t pc, struct gosym_func *out);

/*
 * The module's function of that name.  False: it has none.  Looks through all
 * names there are: not for every sample.
 */
bool gosym_lookup(const struct gomodule *module, const char *name, struct gosym_func *out);

/*
 * Whether a function inside Go's text is C: with internal linking the C
 * functions of runtime/cgo and of cgo wrappers ("x_cgo_*", "_cgo_HASH_Cfunc_*",
 * "crosscall1", ...) lie there and keep no frame pointer and no asmcgocall
 * conventions.
 *
 * gosym_func.is_c is the exact answer: the linker writes no line table for code
 * that Go's compiler and assembler did not make, whatever it is called.  The
 * name alone knows the C of the standard library's own packages (Go 1.18-1.27),
 * which is all that is linked internally unless -linkmode=internal is forced; it
 * says no for assembly without a package in its name ("crosscall2", "gogo",
 * "_rt0_amd64_linux") and for the two Go functions with a C-like name
 * ("_cgo_topofstack", "_cgo_panic").
 */
bool gosym_is_c_name(const char *name);

struct gosym_frame {
	const char *function;
	const char *file;   /* "" unknown */
	int64_t line;       /* 0 unknown */
	int64_t start_line; /* of the function, 0 unknown (known since Go 1.20) */
	/* Made by the compiler to adapt a call (method wrapper, "main.f.gowrap1", ABI
	 * wrapper): Go's own stacks and profiles leave these out. */
	bool is_wrapper;
};
#define GOSYM_MAX_INLINE 32

/*
 * The source frames of one pc (the address of the call instruction or inside
 * it: return address - 1), innermost first, inlined calls included.  The number
 * written, at most max; 0 when unknown.
 */
size_t gosym_frames(uint64_t pc, struct gosym_frame *frames, size_t max);

#endif
