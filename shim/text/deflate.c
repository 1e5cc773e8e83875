/*
 * See deflate.h. Bytes are collected in a window of two halves. When it is full, they are divided
 * into symbols: literals, and matches with what is at most half a window before. Then the second
 * half moves to the first.
 */
#include "text/deflate.h"

#include <string.h>

#include "base/hash.h"
#include "text/huffman.h"

#define OUT_BYTES   (16 * KIB)
#define OUT_SLACK   16 /* more than one symbol's bits */
#define MIN_MATCH   4
#define MAX_MATCH   258
#define READ_BEYOND 8 /* what match_bytes may read after the end */

#define LITERALS   286 /* bytes, end of block, lengths */
#define DISTANCES  30
#define END        256
#define CODE_CODES 19

/* A literal is its byte. */
#define MATCH(bytes, distance) (UINT32_C(1) << 31 | ((bytes)-3) << 16 | ((distance)-1))

struct deflate {
	struct sink *sink;
	bool failed;
	uint32_t window_bytes; /* half of what is in memory */
	unsigned hash_bits;
	uint8_t *window;
	uint32_t used, done; /* bytes in window; those that have become symbols */
	uint32_t moved;      /* the position of window[0] in the stream, modulo 2^32 */
	uint32_t *heads;     /* by hash: the latest position */
	uint32_t *symbols;
	uint32_t symbol_count, symbol_room;
	uint32_t literals[LITERALS], distances[DISTANCES]; /* counts of this block's */
	uint64_t bits;
	unsigned bit_count;
	size_t out_bytes;
	uint8_t out[OUT_BYTES];
};

struct deflate *deflate_open(struct scratch *scratch, struct sink *sink, uint32_t window_bytes)
{
	struct deflate *d = scratch_alloc(scratch, sizeof(*d));
	if (!d)
		return NULL;
	d->sink = sink;
	d->window_bytes = window_bytes;
	d->hash_bits = 31 - (unsigned)__builtin_clz(window_bytes) - 2;
	d->symbol_room = window_bytes / 2;
	d->window = scratch_alloc(scratch, 2 * window_bytes + READ_BEYOND);
	d->heads = scratch_alloc(scratch, sizeof(*d->heads) << d->hash_bits);
	d->symbols = scratch_alloc(scratch, d->symbol_room * sizeof(*d->symbols));
	return d->window && d->heads && d->symbols ? d : NULL;
}

bool deflate_failed(const struct deflate *d)
{
	return d->failed;
}

/* ---- bits ------------------------------------------------------------------ */

static void flush_out(struct deflate *d)
{
	if (!d->failed && d->out_bytes && d->sink->write(d->sink, d->out, d->out_bytes) < 0)
		d->failed = true;
	d->out_bytes = 0;
}

/* At most 32 bits; value has no others. */
static inline void put(struct deflate *d, uint32_t value, unsigned bits)
{
	d->bits |= (uint64_t)value << d->bit_count;
	d->bit_count += bits;
	if (d->bit_count < 32)
		return;
	memcpy(d->out + d->out_bytes, &d->bits, 4);
	d->out_bytes += 4;
	d->bits >>= 32;
	d->bit_count -= 32;
	if (d->out_bytes > OUT_BYTES - OUT_SLACK)
		flush_out(d);
}

static void put_code(struct deflate *d, const struct huffman *h, size_t symbol)
{
	put(d, h->code[symbol], h->bits[symbol]);
}

/* ---- lengths and distances ---------------------------------------------------- */

/* A code and the bits after it. */
struct coded {
	uint32_t code, extra;
	unsigned bits;
};

/* less: the length of a match less 3. */
static inline struct coded length_code(uint32_t less)
{
	if (less < 8 || less == MAX_MATCH - 3)
		return (struct coded){.code = END + 1 + (less < 8 ? less : 28)};
	unsigned n = 31 - (unsigned)__builtin_clz(less), bits = n - 2;
	return (struct coded){END + 1 + 4 * (n - 1) + (less >> bits & 3), less & ((1u << bits) - 1),
			      bits};
}

/* less: the distance less 1. */
static inline struct coded distance_code(uint32_t less)
{
	if (less < 4)
		return (struct coded){.code = less};
	unsigned n = 31 - (unsigned)__builtin_clz(less), bits = n - 1;
	return (struct coded){2 * n + (less >> bits & 1), less & ((1u << bits) - 1), bits};
}

/* ---- a block ------------------------------------------------------------------- */

/* One step of the code lengths: a length, or a run of it. 17 and 18 are runs of 0, 16 of the length
 * before. */
struct run {
	uint8_t code, extra, bits;
};

static size_t runs_of(const uint8_t *lengths, size_t count, struct run *runs)
{
	size_t n = 0;

	for (size_t i = 0, same; i < count; i += same) {
		uint8_t length = lengths[i];
		bool is_again = i && length && length == lengths[i - 1];
		size_t most = length ? 6 : 138;
		for (same = 1; i + same < count && same < most && lengths[i + same] == length;)
			same++;
		if (!length && same >= 11)
			runs[n++] = (struct run){18, (uint8_t)(same - 11), 7};
		else if (!length && same >= 3)
			runs[n++] = (struct run){17, (uint8_t)(same - 3), 3};
		else if (is_again && same >= 3)
			runs[n++] = (struct run){16, (uint8_t)(same - 3), 2};
		else {
			same = 1;
			runs[n++] = (struct run){length, 0, 0};
		}
	}
	return n;
}

/* All codes are written, used or not, which costs a few bits. */
static void put_codes(struct deflate *d, const struct huffman *literals,
		      const struct huffman *distances)
{
	static const uint8_t order[CODE_CODES] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
						  11, 4,  12, 3, 13, 2, 14, 1, 15};
	uint8_t lengths[LITERALS + DISTANCES];
	struct run runs[LITERALS + DISTANCES];
	uint32_t counts[CODE_CODES] = {0};
	struct huffman codes;

	memcpy(lengths, literals->bits, LITERALS);
	memcpy(lengths + LITERALS, distances->bits, DISTANCES);
	size_t n = runs_of(lengths, sizeof(lengths), runs);
	for (size_t i = 0; i < n; i++)
		counts[runs[i].code]++;
	huffman_make(&codes, counts, CODE_CODES, 7);
	put(d, LITERALS - 257, 5);
	put(d, DISTANCES - 1, 5);
	put(d, CODE_CODES - 4, 4);
	for (size_t i = 0; i < CODE_CODES; i++)
		put(d, codes.bits[order[i]], 3);
	for (size_t i = 0; i < n; i++) {
		put_code(d, &codes, runs[i].code);
		put(d, runs[i].extra, runs[i].bits);
	}
}

static void put_symbols(struct deflate *d, const struct huffman *literals,
			const struct huffman *distances)
{
	for (uint32_t i = 0; i < d->symbol_count; i++) {
		uint32_t s = d->symbols[i];
		if (s < END) {
			put_code(d, literals, s);
			continue;
		}
		struct coded length = length_code(s >> 16 & 255);
		struct coded distance = distance_code(s & 0x7fff);
		put_code(d, literals, length.code);
		put(d, length.extra, length.bits);
		put_code(d, distances, distance.code);
		put(d, distance.extra, distance.bits);
	}
	put_code(d, literals, END);
}

static void put_block(struct deflate *d)
{
	struct huffman literals, distances;

	d->literals[END] = 1;
	huffman_make(&literals, d->literals, LITERALS, 15);
	huffman_make(&distances, d->distances, DISTANCES, 15);
	put(d, 2 << 1, 3); /* not the last; codes of its own */
	put_codes(d, &literals, &distances);
	put_symbols(d, &literals, &distances);
	memset(d->literals, 0, sizeof(d->literals));
	memset(d->distances, 0, sizeof(d->distances));
	d->symbol_count = 0;
}

/* ---- matches -------------------------------------------------------------------- */

static inline uint32_t load_4(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t load_8(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

/* How many bytes are equal, of which MIN_MATCH are known to be. */
static inline uint32_t match_bytes(const uint8_t *a, const uint8_t *b, uint32_t most)
{
	uint32_t n = MIN_MATCH;

	for (; n < most; n += 8) {
		uint64_t differ = load_8(a + n) ^ load_8(b + n);
		if (differ) {
			n += (uint32_t)__builtin_ctzll(differ) >> 3;
			break;
		}
	}
	return n < most ? n : most;
}

static inline uint32_t *head_of(struct deflate *d, uint32_t at)
{
	return &d->heads[hash_spread(load_4(d->window + at)) >> 32 >> (32 - d->hash_bits)];
}

static inline void add(struct deflate *d, uint32_t symbol)
{
	d->symbols[d->symbol_count++] = symbol;
	if (symbol < END) {
		d->literals[symbol]++;
	} else {
		d->literals[length_code(symbol >> 16 & 255).code]++;
		d->distances[distance_code(symbol & 0x7fff).code]++;
	}
	if (d->symbol_count == d->symbol_room)
		put_block(d);
}

/* The symbol at `at`, from which at least MIN_MATCH bytes are there. Returns its bytes. A head may
 * be old or from before positions wrapped: the bytes there decide. */
static inline uint32_t next(struct deflate *d, uint32_t at)
{
	uint32_t *head = head_of(d, at), distance = d->moved + at - *head;
	const uint8_t *p = d->window + at;

	*head = d->moved + at;
	if (distance - 1 >= d->window_bytes || distance > at || load_4(p) != load_4(p - distance)) {
		add(d, *p);
		return 1;
	}
	uint32_t left = d->used - at;
	uint32_t bytes = match_bytes(p, p - distance, left < MAX_MATCH ? left : MAX_MATCH);
	add(d, MATCH(bytes, distance));
	/* Of the places in a match, one near each end is enough for what follows. */
	if (bytes + MIN_MATCH <= left) {
		*head_of(d, at + 1) = d->moved + at + 1;
		*head_of(d, at + bytes - 1) = d->moved + at + bytes - 1;
	}
	return bytes;
}

static void divide(struct deflate *d)
{
	while (d->done + MIN_MATCH <= d->used)
		d->done += next(d, d->done);
	for (; d->done < d->used; d->done++)
		add(d, d->window[d->done]);
}

static void move(struct deflate *d)
{
	memcpy(d->window, d->window + d->window_bytes, d->window_bytes);
	d->moved += d->window_bytes;
	d->used -= d->window_bytes;
	d->done -= d->window_bytes;
}

/* ---- the stream ------------------------------------------------------------------ */

void deflate_write(struct deflate *d, const void *bytes, size_t count)
{
	const uint8_t *from = bytes;

	while (count && !d->failed) {
		size_t room = 2 * d->window_bytes - d->used, n = count < room ? count : room;
		memcpy(d->window + d->used, from, n);
		d->used += (uint32_t)n;
		from += n;
		count -= n;
		if (d->used == 2 * d->window_bytes) {
			divide(d);
			move(d);
		}
	}
}

int deflate_close(struct deflate *d)
{
	divide(d);
	if (d->symbol_count)
		put_block(d);
	put(d, 1 | 1 << 1, 3); /* the last; fixed codes, of which the end is 7 bits of 0 */
	put(d, 0, 7);
	put(d, 0, -d->bit_count & 7);
	for (; d->bit_count; d->bit_count -= 8, d->bits >>= 8)
		d->out[d->out_bytes++] = (uint8_t)d->bits;
	flush_out(d);
	return d->failed ? -1 : 0;
}
