/* See gunzip.h. */
#include "text/gunzip.h"

#include <string.h>

#define ZLIB_CONST /* next_in becomes a pointer to const */
#include <zlib.h>

#include "region/zscratch.h"

#define OUT_BYTES (16 * KIB)

/* inflateInit2's windowBits: the largest window, with a gzip header. */
#define WINDOW_BITS (15 + 16)

struct gunzip {
	z_stream stream;
	const uint8_t *bytes;
	size_t count;
	size_t at, filled; /* in out */
	uint64_t total;    /* bytes unpacked so far */
	bool ended, failed;
	uint8_t out[OUT_BYTES];
};

struct gunzip *gunzip_open(struct scratch *scratch, const uint8_t *bytes, size_t count)
{
	struct gunzip *g = scratch_alloc(scratch, sizeof(*g));
	if (!g || count > UINT32_MAX)
		return NULL;
	g->bytes = bytes;
	g->count = count;
	g->stream.zalloc = zscratch_alloc;
	g->stream.zfree = zscratch_free;
	g->stream.opaque = scratch;
	if (inflateInit2(&g->stream, WINDOW_BITS) != Z_OK)
		return NULL;
	gunzip_rewind(g);
	return g;
}

/* zlib keeps its window, so this needs no more scratch. */
void gunzip_rewind(struct gunzip *g)
{
	g->failed = inflateReset(&g->stream) != Z_OK;
	g->stream.next_in = g->bytes;
	g->stream.avail_in = (unsigned)g->count;
	g->at = g->filled = 0;
	g->total = 0;
	g->ended = false;
}

static void fill(struct gunzip *g)
{
	g->stream.next_out = g->out;
	g->stream.avail_out = sizeof(g->out);
	int r = inflate(&g->stream, Z_NO_FLUSH);
	g->at = 0;
	g->filled = sizeof(g->out) - g->stream.avail_out;
	g->total += g->filled;
	g->ended = r == Z_STREAM_END;
	/* No output from all remaining input means that the stream is truncated. */
	g->failed = (r != Z_OK && r != Z_STREAM_END) || (!g->filled && !g->ended) ||
		    g->total > GUNZIP_MAX_BYTES;
}

bool gunzip_has_more(struct gunzip *g)
{
	if (g->at == g->filled && !g->ended && !g->failed)
		fill(g);
	return !g->failed && g->at < g->filled;
}

int gunzip_read(struct gunzip *g, void *buffer, size_t count)
{
	uint8_t *to = buffer;
	while (count > 0 && gunzip_has_more(g)) {
		size_t n = g->filled - g->at < count ? g->filled - g->at : count;
		memcpy(to, g->out + g->at, n);
		g->at += n;
		to += n;
		count -= n;
	}
	return count == 0 ? 0 : -1;
}

bool gunzip_is_whole(const struct gunzip *g)
{
	return g->ended && !g->failed && g->at == g->filled && g->stream.avail_in == 0;
}
