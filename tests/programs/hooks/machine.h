/*
 * What these programs need of the processor: CALL_AT, code that calls x(args...) with the stack
 * pointer at top, for call_at(top, x, args).
 */
#ifndef HOOKS_MACHINE_H
#define HOOKS_MACHINE_H

#if defined(__x86_64__)
#include "machine_amd64.h"
#else
#include "machine_arm64.h"
#endif

#endif
