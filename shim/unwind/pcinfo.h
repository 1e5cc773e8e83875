/*
 * What is at a pc: the kind of code, and for C code with plain unwind information the row
 * that leads to its caller.
 *
 * The table of rows (rows.h) keeps 16 bytes for each pc seen, so walking a stack of known
 * addresses needs no lock, search or system call.  Other addresses are looked up in Go's
 * tables and in the unwind tables of their module (codetables.h).
 *
 * Any thread; lock-free; async-signal-safe.
 */
#ifndef CGOHEAP_PCINFO_H
#define CGOHEAP_PCINFO_H

#include "base/base.h"
#include "unwind/row.h"

struct pcinfo {
	uint64_t pc;
	enum pcinfo_kind kind;
	uint64_t row; /* row.h */
};

/*
 * Looks up pc (an address inside the call: return address - 1, or the exact address of an
 * interrupted instruction).
 */
struct pcinfo pcinfo_at(uint64_t pc);

/* Whether code at ip, a return address, is this library's. */
bool pcinfo_is_in_shim(uint64_t ip);

/* How many lookups missed the cache. */
uint64_t pcinfo_lookups(void);

#endif
