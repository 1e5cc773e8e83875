/*
 * The labels of the running goroutine (pprof.Do, pprof.SetGoroutineLabels), read from
 * the goroutine itself.
 *
 * Their offset in g is known for each Go release, and used only if the program's code
 * agrees: runtime/pprof.runtime_setProfLabel, which stores the labels, is found by name
 * and its store is decoded.  A program without that function has no labels.  If code and
 * table disagree, or the release is unknown, labels are not read.
 *
 * Sources: runtime/runtime2.go (g.labels), runtime/proflabel.go,
 * runtime/pprof/label.go, internal/runtime/pprof/label (1.26); for Go up to 1.23, where
 * labels are a map, runtime/map.go (hmap, bmap).
 */
#ifndef CGOHEAP_GOLABELS_H
#define CGOHEAP_GOLABELS_H

#include "base/base.h"
#include "unwind/saferead.h"

/* With more labels, the first by key are kept; of a longer key or value, the first bytes. */
#define GOLABELS_MAX    16
#define GOLABELS_BYTES  127
#define GOLABELS_COPIES 4

/* Text in the program's memory; not terminated, of unknown encoding. */
struct golabel_text {
	const char *bytes;
	uint8_t count; /* at most GOLABELS_BYTES */
	bool is_cut;   /* the text is longer */
};

struct golabel {
	struct golabel_text key, value;
};

struct golabels {
	uint32_t count; /* in list, ascending by key */
	uint32_t total; /* in the goroutine */
	struct golabel list[GOLABELS_MAX];
	/* Copies of texts outside Go's memory; there are few. */
	uint32_t copied;
	char copies[GOLABELS_COPIES][GOLABELS_BYTES];
};

struct gomodule;

/* Once, in the constructor, after gomodules_init. */
void golabels_init(void);

/* For the first module: "known", "none_used" or "unknown: why"; NULL: not a Go program. */
const char *golabels_status(void);

/*
 * The value of g.labels in goroutine g under the module's runtime.  The goroutine is blocked,
 * waiting for the C code that asks.  0: no labels, or unknown offset.  Called for every
 * sample, mostly on a page that memory has already checked.  For a module not seen before it
 * first searches the names, once.
 *
 * All of these: any thread; lock-free, async-signal-safe; they read a word only after
 * checking that it is readable.
 */
uint64_t golabels_of(struct saferead *memory, const struct gomodule *module, uint64_t g);

/* The same for a goroutine that certainly stays, in a few instructions. */
uint64_t golabels_of_own(const struct gomodule *module, uint64_t g);

enum golabels_result {
	GOLABELS_NONE, /* an empty set */
	GOLABELS_READ, /* *out is valid until the goroutine continues */
	GOLABELS_BAD,  /* not labels in a known layout */
};
enum golabels_result golabels_read(struct saferead *memory, const struct gomodule *module,
				   uint64_t labels, struct golabels *out);

/* The work of golabels_read; is_map: the layout up to Go 1.23.  For tests. */
enum golabels_result golabels_parse(struct saferead *memory, uint64_t labels, bool is_map,
				    struct golabels *out);

#endif
