/*
 * Calls a function from one of 65,536 stacks: digit_N, one for each hexadecimal digit of the
 * stack's number, outermost first. A library, because frames of the shim's own module are not
 * recorded, and unit tests are linked with the shim.
 */
#ifndef TESTS_STACKCALLS_H
#define TESTS_STACKCALLS_H

#include <stdint.h>

void stackcalls_from(uint16_t stack, void (*call)(const void *arg), const void *arg);

#endif
