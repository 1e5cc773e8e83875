/*
 * Takes blocks, each of its own size, and beside each a stack by libgcc's unwinder from the same
 * place; at the end compares them with the library's profile.
 */
#ifndef CGOHEAP_TESTS_TAKE_H
#define CGOHEAP_TESTS_TAKE_H

#include <stddef.h>

/* Once; blocks: at most so many are taken. */
void take_start(size_t blocks);

/* Whether blocks are kept; at first they are freed at once. */
extern int take_keeps;

/* Takes a block. False: all are taken. Any thread; async-signal-safe where malloc is
 * not interrupted. */
int take(void);

/* How many were taken. */
size_t take_count(void);

/* Leaves out the first ones of what is compared. */
void take_forget(size_t first);

/* Compares; prints the first differences on stderr. How many were the same, or
 * left out. */
size_t take_compare(void);

#endif
