/*
 * The labels that a goroutine runs under (pprof.Do, pprof.SetGoroutineLabels),
 * read from the goroutine itself.
 *
 * Where they are is known by Go release, and believed only where the program's own
 * code says the same: runtime/pprof.runtime_setProfLabel, which stores them, is
 * found by name and its store decoded.  A program without that function has no
 * labels; one where code and table disagree, or of a release not known here, has
 * none that are read.
 *
 * Facts by source: runtime/runtime2.go (g.labels), runtime/proflabel.go,
 * runtime/pprof/label.go, internal/runtime/pprof/label (1.26), and for Go up to
 * 1.23, where labels are a map, runtime/map.go (hmap, bmap).
 */
#ifndef CGOHEAP_GOLABELS_H
#define CGOHEAP_GOLABELS_H

#include "base/base.h"
#include "unwind/saferead.h"

/* Of more labels the first by key are kept; of a longer key or value the first bytes. */
#define GOLABELS_MAX    16
#define GOLABELS_BYTES  127
#define GOLABELS_COPIES 4

/* Text in the program's memory; not terminated, and in no known encoding. */
struct golabel_text {
	const char *bytes;
	uint8_t count; /* at most GOLABELS_BYTES */
	bool is_cut;   /* it goes on */
};

struct golabel {
	struct golabel_text key, value;
};

struct golabels {
	uint32_t count; /* in list, ascending by key */
	uint32_t total; /* there are so many */
	struct golabel list[GOLABELS_MAX];
	/* Texts that do not lie in Go's memory, of which few are taken. */
	uint32_t copied;
	char copies[GOLABELS_COPIES][GOLABELS_BYTES];
};

struct gomodule;

/* Once, in the constructor, after gomodules_init. */
void golabels_init(void);

/* Of the first module: "known", "none_used" or "unknown: why"; NULL: not a Go program. */
const char *golabels_status(void);

/*
 * What g.labels holds, of the goroutine at g under the module's runtime, which stands
 * still: it waits for the C code that asks.  0: it runs under none, or they are not
 * known.  Every sample asks this, and mostly of a page that memory knows.  Of a module
 * it has not met it looks through the names first, once.
 *
 * All of these: any thread; lock-free, async-signal-safe; a word is read only where
 * it has been seen to be there.
 */
uint64_t golabels_of(struct saferead *memory, const struct gomodule *module, uint64_t g);

enum golabels_result {
	GOLABELS_NONE, /* an empty set */
	GOLABELS_READ, /* *out holds until the goroutine runs on */
	GOLABELS_BAD,  /* there is something, but not labels as we know them */
};
enum golabels_result golabels_read(struct saferead *memory, const struct gomodule *module,
				   uint64_t labels, struct golabels *out);

/* What golabels_read does; is_map: the layout up to Go 1.23.  For tests. */
enum golabels_result golabels_parse(struct saferead *memory, uint64_t labels, bool is_map,
				    struct golabels *out);

#endif
