/* See huffman.h. */
#include "text/huffman.h"

#include "base/sort.h"

#define MOST_BITS 15

/*
 * Parents of the nodes of the tree: leaves first, by ascending count, then inner nodes in the order
 * in which they are made, which ascends too. So the two smallest are always at the front of one of
 * the two rows. Returns the number of nodes; the last is the root.
 */
static size_t join(const struct sort_item *leaves, size_t count, uint16_t *parents)
{
	uint64_t weights[HUFFMAN_SYMBOLS];
	size_t leaf = 0, inner = 0, made = 0;

	for (; made + 1 < count; made++) {
		weights[made] = 0;
		for (int child = 0; child < 2; child++) {
			bool is_leaf = leaf < count &&
				       (inner == made || leaves[leaf].key <= weights[inner]);
			weights[made] += is_leaf ? leaves[leaf].key : weights[inner];
			parents[is_leaf ? leaf++ : count + inner++] = (uint16_t)(count + made);
		}
	}
	return count + made;
}

/* -1: one is longer than most. */
static int lengths(struct huffman *h, const struct sort_item *leaves, size_t count, unsigned most)
{
	uint16_t parents[2 * HUFFMAN_SYMBOLS] = {0};
	uint8_t depth[2 * HUFFMAN_SYMBOLS];
	size_t nodes = join(leaves, count, parents);

	depth[nodes - 1] = 0;
	for (size_t i = nodes - 1; i-- > 0;) {
		depth[i] = (uint8_t)(depth[parents[i]] + 1);
		if (depth[i] > most)
			return -1;
	}
	for (size_t i = 0; i < count; i++)
		h->bits[leaves[i].value] = depth[i];
	return 0;
}

static size_t sorted(struct sort_item *leaves, const uint32_t *counts, size_t symbols)
{
	size_t n = 0;

	for (size_t i = 0; i < symbols; i++)
		if (counts[i])
			leaves[n++] = (struct sort_item){counts[i], i};
	sort_items(leaves, n);
	return n;
}

static uint16_t reversed(uint32_t code, unsigned bits)
{
	uint32_t r = 0;

	for (; bits > 0; bits--, code >>= 1)
		r = r << 1 | (code & 1);
	return (uint16_t)r;
}

static void number_codes(struct huffman *h, size_t symbols)
{
	uint32_t with[MOST_BITS + 1] = {0}, next[MOST_BITS + 1], code = 0;

	for (size_t i = 0; i < symbols; i++)
		with[h->bits[i]]++;
	with[0] = 0;
	for (unsigned bits = 1; bits <= MOST_BITS; bits++) {
		code = (code + with[bits - 1]) << 1;
		next[bits] = code;
	}
	for (size_t i = 0; i < symbols; i++)
		if (h->bits[i])
			h->code[i] = reversed(next[h->bits[i]]++, h->bits[i]);
}

void huffman_make(struct huffman *h, uint32_t *counts, size_t symbols, unsigned most)
{
	struct sort_item leaves[HUFFMAN_SYMBOLS];
	size_t n = sorted(leaves, counts, symbols);

	*h = (struct huffman){0};
	for (size_t i = 0; n < 2; i++)
		if (!counts[i]) {
			counts[i] = 1;
			n++;
		}
	n = sorted(leaves, counts, symbols);
	/* Flatter counts give a flatter tree, in the end one of equal depth. */
	while (lengths(h, leaves, n, most)) {
		for (size_t i = 0; i < symbols; i++)
			counts[i] = counts[i] ? counts[i] / 2 + 1 : 0;
		n = sorted(leaves, counts, symbols);
	}
	number_codes(h, symbols);
}
