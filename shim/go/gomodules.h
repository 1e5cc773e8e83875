/*
 * Room go: what the Go runtime keeps in its memory and says through the Go package.  Hooks read
 * tables that are published whole; no lock is taken in one.
 *
 * The Go modules of this process: the program where it is Go's, plugins, and shared
 * libraries with a Go runtime in them (-buildmode=c-shared, or a c-archive in a
 * library).  Of each: its tables, which release made it, where its code keeps g.
 *
 * A module's file is one by its program headers alone: Go's linker writes a note
 * "Go" into all of them.  Go code is never unloaded, so that the list only grows,
 * and what is in it stays as it is.  Reading it takes no lock and makes no system
 * call: any thread, in hooks and signal handlers too.
 */
#ifndef CGOHEAP_GOMODULES_H
#define CGOHEAP_GOMODULES_H

#include "base/base.h"
#include "go/gotables.h"

#define GOMODULES_MAX 64 /* more are counted, and not followed */
#define GOMODULE_TLS  4

struct gomodule {
	struct gotables tables;
	uint32_t index; /* in the list */
	int minor;      /* of its Go release, 26 of go1.26.8; 0: not known */
	/* False: a plugin, whose code runs under the runtime of the first module. */
	bool has_runtime;
	uint32_t wrapper_kind; /* gosym.c's: 0 not looked for yet */
	/*
	 * Bytes below the thread pointer at which its code reads thread-local words, of
	 * which one is g.  Of a program only where that is the one word there is: otherwise
	 * the linker knows the place, and no relocation tells.
	 */
	uint64_t tls[GOMODULE_TLS];
	uint32_t tls_count;
	bool tls_is_g; /* the first of them is g for certain */
};

/* Once, in the constructor: what is loaded by then.  0, or -1: there is no Go in it. */
int gomodules_init(void);

/*
 * Looks at the file that holds the address of code, and adds it where it is Go's and
 * not known.  True: it is in the list now.  The caller runs in that code, or was
 * called from it, so that it stays loaded.  Any thread; reads the module's data once
 * (0.1 to 0.3 ms); not where glibc has no _dl_find_object (before 2.35).
 */
bool gomodules_look(uint64_t address);

/* Whose Go code (runtime.text to runtime.etext) holds pc; NULL: no module's. */
struct gomodule *gomodules_at(uint64_t pc);

bool gomodules_are_program(void); /* the first of them is the program itself */
uint32_t gomodules_count(void);
struct gomodule *gomodules_get(uint32_t index); /* below the count */
/* Go's modules that are in no list: there was no room. */
uint32_t gomodules_missed(void);

/* Whether all of the bytes lie in what is mapped of one module's file. */
bool gomodules_hold(uint64_t address, uint64_t bytes);

#endif
