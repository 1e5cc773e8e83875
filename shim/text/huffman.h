/*
 * Huffman codes as deflate wants them (RFC 1951, 3.2.2): canonical, of limited length, bits
 * reversed. Pure functions.
 */
#ifndef CGOHEAP_HUFFMAN_H
#define CGOHEAP_HUFFMAN_H

#include "base/base.h"

#define HUFFMAN_SYMBOLS 288

struct huffman {
	uint16_t code[HUFFMAN_SYMBOLS]; /* first bit lowest */
	uint8_t bits[HUFFMAN_SYMBOLS];  /* 0: does not occur */
};

/* counts: how often each of the symbols occurs; changed. At least two get a code, since decoders
 * differ about fewer. No code is longer than `most` bits, which must have room for all symbols. */
void huffman_make(struct huffman *huffman, uint32_t *counts, size_t symbols, unsigned most);

#endif
