/*
 * Room go: the Go runtime's memory, and what the Go package reports.  Hooks read tables that are
 * published complete, and take no lock.
 *
 * The Go modules of this process: the program if it is Go, plugins, and shared libraries with a Go
 * runtime (-buildmode=c-shared, or a c-archive in a library).  For each: its tables, its Go
 * release, where its code keeps g.
 *
 * A module is recognised by its program headers alone: Go's linker writes a note "Go" into every
 * file.  Go code is never unloaded, so the list only grows, and its entries do not change.
 * Reading it takes no lock and makes no system call: any thread, also in hooks and signal handlers.
 */
#ifndef CGOHEAP_GOMODULES_H
#define CGOHEAP_GOMODULES_H

#include "base/base.h"
#include "go/gotables.h"

#define GOMODULES_MAX 64 /* further ones are only counted */
#define GOMODULE_TLS  4

struct gomodule {
	struct gotables tables;
	uint32_t index; /* in the list */
	int minor;      /* of its Go release, 26 for go1.26.8; 0: unknown */
	/* False: a plugin; its code runs under the first module's runtime. */
	bool has_runtime;
	uint32_t wrapper_kind; /* gosym.c's; 0: not looked up yet */
	/*
	 * Offsets (arch_tls_at) at which its code reads thread-local words; one of them
	 * is g.  For a program only if there is just one such word; otherwise the linker resolves
	 * the offset and leaves no relocation.
	 */
	uint64_t tls[GOMODULE_TLS];
	uint32_t tls_count;
	bool tls_is_g; /* the first of them is certainly g */
};

/* Once, in the constructor: lists what is loaded by then.  0, or -1: no Go. */
int gomodules_init(void);

/*
 * Examines the file that contains this code address, and adds it if it is Go's and not listed.
 * True: it is in the list now.  The caller must run in that code or be called from it, so that it
 * stays loaded.  Any thread; reads the module's data once (0.1 to 0.3 ms).
 */
bool gomodules_look(uint64_t address);

/* Whether pc is in its Go code. */
static inline bool gomodule_has_text(const struct gomodule *module, uint64_t pc)
{
	return pc - module->tables.text < module->tables.etext - module->tables.text;
}

/* The module whose Go code (runtime.text to runtime.etext) contains pc, or NULL. */
struct gomodule *gomodules_at(uint64_t pc);

bool gomodules_are_program(void); /* the first module is the program itself */
uint32_t gomodules_count(void);
struct gomodule *gomodules_get(uint32_t index); /* below the count */
/* Modules that did not fit in the list. */
uint32_t gomodules_missed(void);

/* Whether all of the bytes are in the mapped part of one module's file. */
bool gomodules_hold(uint64_t address, uint64_t bytes);

#endif
