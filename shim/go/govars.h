/*
 * Where the Go runtime's variables are, by the symbols of the program's file.  With several
 * runtimes in the process (the program's and libraries') none is known, because each covers
 * only a part; nor in a stripped binary.
 *
 * Server's thread; no lock.  What is at an address is copied (selfmem.h) and checked by
 * whoever reads it: the program runs on, and a release may lay it out differently.
 */
#ifndef CGOHEAP_GOVARS_H
#define CGOHEAP_GOVARS_H

#include "base/base.h"
#include "region/region.h"

enum govars_name {
	GOVARS_GC_CONTROLLER,
	GOVARS_ALLGS,
	GOVARS_MEMSTATS,
	GOVARS_WORK,
	GOVARS_FING_STATUS,
	GOVARS_COUNT
};

/* 0: not known, or not looked up within this job's budget. */
uint64_t govars_address(struct scratch *scratch, enum govars_name name);

/* 21 to 27 for Go 1.21 to 1.27, whose layouts are known; else 0. */
unsigned govars_release(void);

/* Go runtimes in this process. */
uint32_t govars_runtimes(void);

#endif
