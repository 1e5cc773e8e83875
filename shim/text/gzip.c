/* See gzip.h. */
#include "text/gzip.h"

#include <zlib.h>

#include "text/deflate.h"

struct gzip {
	struct deflate *deflate;
	struct sink *sink;
	bool begun, failed;
	uint32_t sum, count; /* of the plain bytes: CRC-32; number modulo 2^32 */
};

struct gzip *gzip_open(struct scratch *scratch, struct sink *sink, enum gzip_window window)
{
	struct gzip *g = scratch_alloc(scratch, sizeof(*g));
	if (!g)
		return NULL;
	g->sink = sink;
	g->deflate = deflate_open(scratch, sink, window == GZIP_LARGE ? 32 * KIB : 4 * KIB);
	return g->deflate ? g : NULL;
}

/* deflate, no name, no time, fastest, Unix */
static const unsigned char header[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3};

static void write_plain(struct gzip *g, const void *bytes, size_t count)
{
	if (!gzip_failed(g) && g->sink->write(g->sink, bytes, count) < 0)
		g->failed = true;
}

static void begin(struct gzip *g)
{
	if (!g->begun)
		write_plain(g, header, sizeof(header));
	g->begun = true;
}

void gzip_write(struct gzip *g, const void *bytes, size_t count)
{
	begin(g);
	if (gzip_failed(g))
		return;
	g->sum = (uint32_t)crc32_z(g->sum, bytes, count);
	g->count += (uint32_t)count;
	deflate_write(g->deflate, bytes, count);
}

bool gzip_failed(const struct gzip *g)
{
	return g->failed || deflate_failed(g->deflate);
}

int gzip_close(struct gzip *g)
{
	begin(g);
	if (gzip_failed(g) || deflate_close(g->deflate))
		return -1;
	const uint32_t trailer[] = {g->sum, g->count}; /* little-endian, as we are */
	write_plain(g, trailer, sizeof(trailer));
	return g->failed ? -1 : 0;
}
