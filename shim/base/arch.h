/*
 * Processor-specific code: what is here, and the only choice between processors in the sources.
 *
 * Each processor has arch_NAME.h, with the same names in it.  A room that needs more has files
 * NOUN_NAME.[ch]: NOUN.h beside them has the contract and includes ARCH_HEADER(NOUN), and the
 * Makefile compiles those of one processor.
 */
#ifndef CGOHEAP_ARCH_H
#define CGOHEAP_ARCH_H

#if defined(__x86_64__)
#include "base/arch_amd64.h"
#define ARCH_FILE(noun) noun##_amd64.h
#elif defined(__aarch64__)
#include "base/arch_arm64.h"
#define ARCH_FILE(noun) noun##_arm64.h
#else
#error "cgoheap knows linux/amd64 and arm64; a new processor is a new arch_*.h"
#endif

#define ARCH_QUOTE(path)  #path
#define ARCH_QUOTED(path) ARCH_QUOTE(path)
#define ARCH_HEADER(noun) ARCH_QUOTED(ARCH_FILE(noun))

#endif
