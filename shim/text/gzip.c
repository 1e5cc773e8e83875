/*
 * See gzip.h.  Level 1, like Go's own profiles: a scrape runs inside the host, and
 * profiles are so repetitive that higher levels gain little.
 */
#include "text/gzip.h"

#include <string.h>

#define ZLIB_CONST /* next_in becomes a pointer to const */
#include <zlib.h>

#include "region/zscratch.h"

/* deflate does much before the first byte of each piece of input, so small ones are collected. */
#define IN_BYTES  (16 * KIB)
#define OUT_BYTES (16 * KIB)

/* deflateInit2's memLevel and windowBits; 16 is for a gzip header. */
static const struct {
	int mem_level, window_bits;
} windows[] = {[GZIP_LARGE] = {8, 15 + 16}, [GZIP_SMALL] = {5, 12 + 16}};

struct gzip {
	z_stream stream;
	struct sink *sink;
	bool failed;
	size_t collected; /* bytes in in */
	unsigned char in[IN_BYTES], out[OUT_BYTES];
};

struct gzip *gzip_open(struct scratch *scratch, struct sink *sink, enum gzip_window window)
{
	struct gzip *g = scratch_alloc(scratch, sizeof(*g));
	if (!g)
		return NULL;
	g->sink = sink;
	g->stream.zalloc = zscratch_alloc;
	g->stream.zfree = zscratch_free;
	g->stream.opaque = scratch;
	if (deflateInit2(&g->stream, Z_BEST_SPEED, Z_DEFLATED, windows[window].window_bits,
			 windows[window].mem_level, Z_DEFAULT_STRATEGY) != Z_OK)
		return NULL;
	return g;
}

/* Runs deflate until it has consumed what is collected and has no more output. */
static void gzip_run(struct gzip *g, int flush)
{
	g->stream.next_in = g->in;
	g->stream.avail_in = (unsigned)g->collected;
	g->collected = 0;
	do {
		g->stream.next_out = g->out;
		g->stream.avail_out = sizeof(g->out);
		int r = deflate(&g->stream, flush);
		size_t n = sizeof(g->out) - g->stream.avail_out;
		/* Z_BUF_ERROR only means that nothing was left to do. */
		if ((r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR) ||
		    (n && g->sink->write(g->sink, g->out, n) < 0))
			g->failed = true;
	} while (!g->failed && g->stream.avail_out == 0);
}

void gzip_write(struct gzip *g, const void *bytes, size_t count)
{
	const unsigned char *p = bytes;
	while (count && !g->failed) {
		size_t room = IN_BYTES - g->collected, n = count < room ? count : room;
		memcpy(g->in + g->collected, p, n);
		g->collected += n;
		p += n;
		count -= n;
		if (g->collected == IN_BYTES)
			gzip_run(g, Z_NO_FLUSH);
	}
}

bool gzip_failed(const struct gzip *g)
{
	return g->failed;
}

int gzip_close(struct gzip *g)
{
	if (!g->failed)
		gzip_run(g, Z_FINISH);
	deflateEnd(&g->stream);
	return g->failed ? -1 : 0;
}
