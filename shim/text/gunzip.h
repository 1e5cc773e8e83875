/*
 * A gzip stream that lies in memory, read a piece at a time: zlib, its memory
 * from scratch.  The bytes may be damaged: then reading ends, and says so.
 */
#ifndef CGOHEAP_GUNZIP_H
#define CGOHEAP_GUNZIP_H

#include "base/base.h"
#include "region/region.h"

/* A stream that is longer unpacked is refused: a few bytes can stand for any number of them. */
#define GUNZIP_MAX_BYTES (64 * MIB)

struct gunzip;

/* At the stream's start.  The bytes stay where they are.  NULL: out of scratch (about 64 KiB). */
struct gunzip *gunzip_open(struct scratch *scratch, const uint8_t *bytes, size_t count);
void gunzip_rewind(struct gunzip *gunzip);

/* Another byte is there; false at the end, and where the stream is damaged. */
bool gunzip_has_more(struct gunzip *gunzip);
/* The next count bytes, all of them or false: it is damaged, or ends before. */
bool gunzip_read(struct gunzip *gunzip, void *buffer, size_t count);
/* Read to its end, nothing behind it, and its checksum is right. */
bool gunzip_is_whole(const struct gunzip *gunzip);

#endif
