/* Streams of ours, unpacked by zlib: the bytes that went in, however they are made up. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "text/deflate.h"
#include "text/gzip.h"
#include "text/huffman.h"

#define MOST MIB

static uint8_t plain[MOST], packed[MOST + MOST / 8], back[MOST + 1];
static size_t packed_bytes, packed_room;

static int keep(struct sink *sink, const void *bytes, size_t count)
{
	(void)sink;
	if (count > packed_room - packed_bytes)
		return -1;
	memcpy(packed + packed_bytes, bytes, count);
	packed_bytes += count;
	return 0;
}

static uint32_t random_32(void)
{
	static uint64_t state = 1;
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 32);
}

/* Packs in pieces of at most `piece` bytes. */
static int pack(enum gzip_window window, size_t count, size_t piece)
{
	struct scratch scratch = SCRATCH_INIT(MIB);
	struct sink sink = {.write = keep};
	struct gzip *g = gzip_open(&scratch, &sink, window);
	assert_non_null(g);
	assert_true(scratch.mapped_bytes <= 256 * KIB);
	packed_bytes = 0;
	for (size_t at = 0, n; at < count; at += n) {
		n = count - at < piece ? count - at : piece;
		gzip_write(g, plain + at, n);
	}
	int result = gzip_close(g);
	assert_int_equal(result != 0, gzip_failed(g));
	scratch_release(&scratch);
	return result;
}

static void check(size_t count)
{
	z_stream z = {.next_in = packed,
		      .avail_in = (unsigned)packed_bytes,
		      .next_out = back,
		      .avail_out = sizeof(back)};
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END); /* it compares the sum too */
	assert_int_equal(z.avail_in, 0);
	assert_int_equal(z.total_out, count);
	assert_memory_equal(back, plain, count);
	inflateEnd(&z);
}

static void both(size_t count, size_t piece)
{
	packed_room = sizeof(packed);
	for (int window = GZIP_LARGE; window <= GZIP_SMALL; window++) {
		assert_int_equal(pack((enum gzip_window)window, count, piece), 0);
		check(count);
	}
}

static void few_bytes(void **state)
{
	(void)state;
	memset(plain, 'a', 600);
	for (size_t count = 0; count < 600; count++)
		both(count, 7);
	for (size_t i = 0; i < 600; i++)
		plain[i] = (uint8_t)i;
	for (size_t count = 0; count < 600; count++)
		both(count, 600);
}

static void runs(void **state)
{
	(void)state;
	memset(plain, 0, MOST);
	both(MOST, 10000);
	assert_true(packed_bytes < MOST / 100);
	for (size_t i = 0; i < MOST; i++)
		plain[i] = i % 65 == 0;
	both(MOST, MOST);
}

static void noise(void **state)
{
	(void)state;
	for (size_t i = 0; i < MOST; i++)
		plain[i] = (uint8_t)random_32();
	both(MOST, 4096);
	assert_true(packed_bytes < MOST + MOST / 10); /* no block is stored as it is */
}

/* What was long ago is found up to the window, and not beyond. */
static void distances(void **state)
{
	static const size_t apart[] = {1, 2, 5, 4095, 4096, 4097, 32767, 32768, 32769, 65536};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(apart); i++) {
		for (size_t at = 0; at < MOST; at++)
			plain[at] = at < apart[i] ? (uint8_t)random_32() : plain[at - apart[i]];
		both(MOST / 4, 1000);
		both(MOST, 50000);
	}
}

/* Of literals and of repetitions of all lengths, in all proportions. */
static void mixtures(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 200; round++) {
		size_t count = random_32() % (256 * KIB), at = 0;
		uint32_t symbols = 1 + random_32() % 256, fresh = 1 + random_32() % 40;
		while (at < count) {
			size_t run = 1 + random_32() % fresh;
			size_t from = at ? at - 1 - random_32() % (at < 40000 ? at : 40000) : 0;
			for (; run-- && at < count; at++)
				plain[at] = (uint8_t)(random_32() % symbols);
			for (run = random_32() % 300; at > from && run-- && at < count; at++)
				plain[at] = plain[from++];
		}
		both(count, 1 + random_32() % 5000);
	}
}

/* Each is as frequent as the two before together, so that the tree would be as deep as it has
 * leaves. */
static void deep_trees(void **state)
{
	size_t at = 0, a = 1, b = 1;
	(void)state;
	for (int symbol = 0; symbol < 26; symbol++) {
		for (size_t i = 0; i < a && at < MOST; i++)
			plain[at++] = (uint8_t)symbol;
		size_t sum = a + b;
		a = b, b = sum;
	}
	for (size_t i = at; i-- > 1;) { /* no repetitions */
		size_t other = random_32() % (i + 1);
		uint8_t keep_it = plain[i];
		plain[i] = plain[other], plain[other] = keep_it;
	}
	both(at, MOST);
}

static void codes_have_no_prefix(void **state)
{
	uint32_t counts[HUFFMAN_SYMBOLS];
	struct huffman h;
	(void)state;
	for (unsigned most = 9; most <= 15; most++)
		for (size_t used = 0; used <= 286; used += 13) {
			uint64_t sum = 0;
			for (size_t i = 0; i < 286; i++)
				counts[i] = i < used ? UINT32_C(1) << (i * 7 % 31) : 0;
			huffman_make(&h, counts, 286, most);
			for (size_t i = 0; i < 286; i++) {
				assert_true(h.bits[i] <= most && (i >= used || h.bits[i]));
				sum += h.bits[i] ? UINT64_C(1) << (15 - h.bits[i]) : 0;
			}
			assert_int_equal(sum, 1 << 15); /* Kraft: complete */
		}
}

/* Wherever it fails, that is what close says. */
static void failing_sink(void **state)
{
	(void)state;
	noise(NULL);
	for (size_t room = 0; room < MOST; room += 60000) {
		packed_room = room;
		assert_int_equal(pack(GZIP_LARGE, MOST, 1000), -1);
		assert_true(packed_bytes <= room);
	}
	packed_room = sizeof(packed);
	assert_int_equal(pack(GZIP_LARGE, MOST, 1000), 0);
	packed_room = packed_bytes - 1; /* the last byte */
	assert_int_equal(pack(GZIP_LARGE, MOST, 1000), -1);
}

static void too_little_scratch(void **state)
{
	struct sink sink = {.write = keep};
	(void)state;
	for (size_t max = 0; max < 180 * KIB; max += 4 * KIB) {
		struct scratch scratch = SCRATCH_INIT(max);
		assert_null(gzip_open(&scratch, &sink, GZIP_LARGE));
		scratch_release(&scratch);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_bytes),
		cmocka_unit_test(runs),
		cmocka_unit_test(noise),
		cmocka_unit_test(distances),
		cmocka_unit_test(mixtures),
		cmocka_unit_test(deep_trees),
		cmocka_unit_test(codes_have_no_prefix),
		cmocka_unit_test(failing_sink),
		cmocka_unit_test(too_little_scratch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
