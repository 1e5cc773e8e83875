/*
 * What tests need to know of the processor: registers by their numbers in DWARF, which are
 * libunwind's too, and code.
 */
#ifndef CGOHEAP_TESTS_MACHINE_H
#define CGOHEAP_TESTS_MACHINE_H

#include "base/arch.h"
#include "unwind/cfi_register.h"

/*
 * The processor's: MACHINE_CONTEXT(n), where libunwind's context has register n, and
 * MACHINE_CONTEXT_PC; MACHINE_LOADER, the file name of its loader;
 * MACHINE_SAVED(X), X(n, name) for each register that frames save;
 * MACHINE_FRAME, CFI of a frame whose return address is in its first word and whose CFA is at
 * MACHINE_FRAME_BYTES, and MACHINE_FRAME_AT(name), of one whose CFA is register name + 16, with the
 * return address in the word before it;
 * MACHINE_PROLOGUE_BYTES, how far into a function that calls others its CFI says where the return
 * address is;
 * MACHINE_HOLD, the body of hold(word, call): keeps word in the frame pointer during call(), and
 * its CFI does not say so;
 * machine_setter and machine_setter_race, code of runtime/pprof.runtime_setProfLabel in Go 1.26.8
 * and, with -race, 1.21.13; MACHINE_SETTER_STORED, the bytes of the former up to its store;
 * MACHINE_SETTER_ELSEWHERE and MACHINE_SETTER_NOT_G, where a byte is to be changed, and to which,
 * so that it stores elsewhere than it loads from, and that it does not load from the goroutine;
 * machine_start_waiter, clone3 of a thread that only waits.
 */
#include ARCH_HEADER(machine)

#define MACHINE_REGISTERS 32 /* numbers in DWARF that cfi_register_of_dwarf may know are below */

/* The number of an enum cfi_register. */
static inline unsigned machine_number(unsigned r)
{
	unsigned n = 0;

	while (n < MACHINE_REGISTERS && cfi_register_of_dwarf(n) != r)
		n++;
	return n;
}

#endif
