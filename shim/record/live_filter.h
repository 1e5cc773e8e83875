/*
 * What a byte of the filter says (live.h), for live.c alone. The hash is live_spread of a block's
 * address: its first bits select the byte, the next ones are the mark.
 */
#ifndef CGOHEAP_LIVE_FILTER_H
#define CGOHEAP_LIVE_FILTER_H

#include "record/live.h"

/* Part of its caller, which then calls nothing: see live_try_take. */
#define LEAF static inline __attribute__((always_inline))

#define FILTER_ONE   127 /* up to here the byte is the mark of one block */
#define FILTER_MANY  128 /* with 7 bits: the marks of several blocks */
#define FILTER_STUCK 255

LEAF uint8_t *filter_of(uint64_t hash)
{
	return &live_filter[hash >> (64 - LIVE_FILTER_BITS)];
}

/* 1 to FILTER_ONE, from bits of the hash that do not select the byte. */
LEAF uint8_t mark_of(uint64_t hash)
{
	uint64_t bits = hash << LIVE_FILTER_BITS >> 48;

	return (uint8_t)(1 + (bits * FILTER_ONE >> 16));
}

LEAF uint8_t bit_of(uint8_t mark)
{
	return (uint8_t)(1u << mark % 7);
}

/* The byte after one more block. */
LEAF uint8_t with_mark(uint8_t byte, uint8_t mark)
{
	if (!byte)
		return mark;
	if (byte <= FILTER_ONE)
		byte = FILTER_MANY | bit_of(byte);
	return byte | bit_of(mark);
}

LEAF void filter_raise(uint64_t hash)
{
	uint8_t *f = filter_of(hash);
	STORE(f, with_mark(*f, mark_of(hash)));
}

LEAF bool filter_has(uint64_t hash)
{
	uint8_t byte = LOAD(filter_of(hash)), mark = mark_of(hash);

	return byte <= FILTER_ONE ? byte == mark : byte & bit_of(mark);
}

#endif
