/*
 * Go's own heap profile, put into a profile of ours.
 *
 * runtime/pprof wrote it (bridge_read_heap brings it), but its bytes are trusted
 * no further than any other client's: it is read whole once, and refused whole
 * where anything in it is not as Go writes it.  Then it is read again for each of
 * its parts, a message at a time, and never lies in memory unpacked.
 *
 * Its functions and locations get ids that ours never reach.  Its mappings are
 * those of this process, and so are ours: a location is put into ours.  Its strings
 * share ours where they are equal; the others go behind ours, straight from the stream.
 */
#ifndef CGOHEAP_GOHEAP_H
#define CGOHEAP_GOHEAP_H

#include "profile.pb-c.h"
#include "profile/profile_locations.h"

/* runtime/debug: profstackdepth is 128, at most 1024 (GODEBUG). */
#define GOHEAP_MAX_FRAMES 1024
#define GOHEAP_MAX_LABELS 16

enum goheap_value {
	GOHEAP_ALLOC_OBJECTS,
	GOHEAP_ALLOC_BYTES,
	GOHEAP_INUSE_OBJECTS,
	GOHEAP_INUSE_BYTES
};
#define GOHEAP_VALUES 4

struct goheap;

/*
 * Reads all of it.  NULL: it is damaged, no heap profile of Go's, or there is not enough
 * scratch (about 512 KiB, and 4 bytes a string).  bytes stay where they are until
 * pprof_close(stream).  stream: where it is to go, all strings that it will share known to it.
 */
struct goheap *goheap_open(struct scratch *scratch, struct pprof_stream *stream,
			   const uint8_t *bytes, size_t count);

int64_t goheap_period(const struct goheap *heap); /* runtime.MemProfileRate; bytes */
/* The sum of inuse_space, of samples that are above 0. */
uint64_t goheap_inuse_bytes(const struct goheap *heap);

uint32_t goheap_sample_count(const struct goheap *heap);

/*
 * Is given each sample, to be changed and written by pprof_write: there is room for one more
 * location, at the root, and one more label.  key is of its stack and labels, the same in
 * every heap profile of this process.
 */
typedef void goheap_emit(void *arg, Pprof__Sample *sample, uint64_t key);

/* Samples alone, whose ids stand for nothing: to be looked at. */
void goheap_each(struct goheap *heap, goheap_emit *emit, void *arg);
/* Writes its functions and locations, too.  After this the stream takes no new string. */
void goheap_write(struct goheap *heap, struct profile_locations *places, goheap_emit *emit,
		  void *arg);

#endif
