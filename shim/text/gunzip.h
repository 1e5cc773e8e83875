/*
 * Reads a gzip stream in memory, piece by piece: zlib, with its memory from scratch.
 * The bytes may be damaged; reading then ends and reports it.
 */
#ifndef CGOHEAP_GUNZIP_H
#define CGOHEAP_GUNZIP_H

#include "base/base.h"
#include "region/region.h"

/* A stream that unpacks to more is refused: a few bytes can expand without limit. */
#define GUNZIP_MAX_BYTES (64 * MIB)

struct gunzip;

/* Opens the stream; the bytes must stay valid.  NULL: out of scratch (about 64 KiB). */
struct gunzip *gunzip_open(struct scratch *scratch, const uint8_t *bytes, size_t count);
void gunzip_rewind(struct gunzip *gunzip);

/* Whether another byte follows; false at the end and if the stream is damaged. */
bool gunzip_has_more(struct gunzip *gunzip);
/* Reads the next count bytes; -1: damaged, or fewer are left. */
int gunzip_read(struct gunzip *gunzip, void *buffer, size_t count);
/* Whether the stream was read to its end, is followed by nothing and has a correct checksum. */
bool gunzip_is_whole(const struct gunzip *gunzip);

#endif
