/*
 * The shim's modules as a library of their own, without its hooks: stacks are
 * recorded where the program says so, and profiles written to files.
 */
#ifndef CGOHEAP_TESTS_TAKER_H
#define CGOHEAP_TESTS_TAKER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 0, or -1: this Go program's symbols were not found. */
int taker_init(void);

/* count blocks of size bytes allocated here, freed of them freed again. */
void taker_record(size_t size, int count, int freed);

/* The stack of the caller three times over: with a gap, cut off at its root, of many sizes. */
void taker_record_marks(void);

/* A stack of this one return address (and the allocator). */
void taker_record_address(void *pc, size_t size);

enum { TAKER_NO_SYMBOLS = 1, TAKER_ALL_FRAMES = 2, TAKER_TEXT = 4, TAKER_GROWTH = 8 };
/* 0, or -1. */
int taker_write(const char *path, int flags);
/* What was there before it is left out of growth profiles. */
int taker_start_growth(void);

#ifdef __cplusplus
}
#endif

#endif
