/*
 * Merges Go's own heap profile into ours.
 *
 * runtime/pprof wrote it (bridge_read_heap fetches it), but its bytes are trusted no more than
 * any client's. It is read once in full, and refused in full if anything differs from what Go
 * writes. Then it is read again for each of its parts, one message at a time, so it is never in
 * memory unpacked.
 *
 * Its functions and locations get ids that ours never reach. Its mappings are those of this
 * process, as ours are, so its locations are assigned to our mappings. Strings equal to ours are
 * shared; the others follow ours, copied straight from the stream.
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
 * Reads all of it. NULL: it is damaged, not a Go heap profile, or there is not enough scratch
 * (about 512 KiB, and 4 bytes per string). bytes must stay valid until pprof_close(stream).
 * stream: the output; it must already hold all strings to be shared.
 */
struct goheap *goheap_open(struct scratch *scratch, struct pprof_stream *stream,
			   const uint8_t *bytes, size_t count);

int64_t goheap_period(const struct goheap *heap); /* runtime.MemProfileRate; bytes */
/* The sum of inuse_space over samples above 0. */
uint64_t goheap_inuse_bytes(const struct goheap *heap);

uint32_t goheap_sample_count(const struct goheap *heap);

/*
 * Called with each sample, to change it and pass it to pprof_write. There is room for one more
 * location, at the root, and one more label. key identifies its stack and labels in every heap
 * profile of this process.
 */
typedef void goheap_emit(void *arg, Pprof__Sample *sample, uint64_t key);

/* Visits the samples only; their ids are meaningless, so do not write them. */
void goheap_each(struct goheap *heap, goheap_emit *emit, void *arg);
/* Writes its functions and locations too. After this the stream takes no new strings. */
void goheap_write(struct goheap *heap, struct profile_locations *places, goheap_emit *emit,
		  void *arg);

#endif
