/* Processor-specific code: one header per processor. */
#ifndef CGOHEAP_ARCH_H
#define CGOHEAP_ARCH_H

#if defined(__x86_64__)
#include "base/arch_amd64.h"
#else
#error "cgoheap knows linux/amd64 only; a new processor is a new arch_*.h"
#endif

#endif
