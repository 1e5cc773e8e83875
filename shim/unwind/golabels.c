/* See golabels.h. */
#include "unwind/golabels.h"

#include <stdio.h>
#include <string.h>

#include "base/arch.h"
#include "go/goarena.h"
#include "go/gomodules.h"
#include "go/gosym.h"

/* g.labels by minor release, on 64-bit systems. */
static const struct {
	int minor;
	uint32_t offset;
	bool is_map;
} releases[] = {
	{21, 0x158, true},  {22, 0x158, true},  {23, 0x160, true},  {24, 0x160, false},
	{25, 0x158, false}, {26, 0x160, false}, {27, 0x160, false},
};

/* Per runtime, at the index of its module; offset 0: not read. */
static struct known {
	uint32_t offset;
	bool is_map;
	bool is_learned; /* whether the module's names have been searched */
} known[GOMODULES_MAX];

static struct {
	const char *text;
	char reason[128];
} status;

/* ---- the offset in g ------------------------------------------------------ */

#define SETTER         "runtime/pprof.runtime_setProfLabel"
#define MAX_CODE_BYTES 512

/* The offset at which the program's code stores the labels. */
static bool offset_in_code(const struct gosym_func *f, uint32_t *offset)
{
	uint64_t bytes = f->end - f->entry;

	return arch_field_of_g((const uint8_t *)f->entry,
			       bytes < MAX_CODE_BYTES ? bytes : MAX_CODE_BYTES, offset);
}

/* "known", "none_used", or the reason why labels are not read. */
static const char *learn(const struct gomodule *module, struct known *k, size_t release)
{
	struct gosym_func setter;
	uint32_t in_code;

	if (!gosym_lookup(module, SETTER, &setter))
		return "none_used";
	if (!offset_in_code(&setter, &in_code))
		return "unrecognized code in " SETTER;
	if (in_code != releases[release].offset)
		return "the offset in " SETTER " is not that of its release";
	k->is_map = releases[release].is_map;
	STORE_REL(&k->offset, in_code);
	return "known";
}

/* A plugin runs under the program's runtime, and it may have the only setter. */
static struct known *known_of(const struct gomodule *module)
{
	return &known[module->has_runtime ? module->index : 0];
}

static const char *learn_module(const struct gomodule *module)
{
	STORE(&known[module->index].is_learned, true);
	for (size_t i = 0; i < COUNT_OF(releases); i++)
		if (releases[i].minor == module->minor)
			return learn(module, known_of(module), i);
	return NULL;
}

static void say(const char *learned)
{
	const char *version = gosym_version();

	status.text = learned;
	if (learned && (strcmp(learned, "known") == 0 || strcmp(learned, "none_used") == 0))
		return;
	status.text = status.reason;
	snprintf(status.reason, sizeof(status.reason), "unknown: %s%s",
		 learned ? learned : "Go release ",
		 learned    ? ""
		 : *version ? version
			    : "not known");
}

void golabels_init(void)
{
	memset(known, 0, sizeof(known));
	status.text = NULL;
	for (uint32_t i = gomodules_count(); i > 0; i--)
		say(learn_module(gomodules_get(i - 1)));
}

const char *golabels_status(void)
{
	return status.text;
}

/* ---- reading ------------------------------------------------------------ */

/* Whether this is in the Go heap or the program's constants, where labels and their texts mostly
 * are. */
static bool is_there(struct saferead *memory, uint64_t address, uint64_t bytes)
{
	return goarena_holds(address, bytes) || saferead_holds(memory, address, bytes);
}

static bool are_words(struct saferead *memory, uint64_t address, size_t count)
{
	return (address & 7) == 0 && is_there(memory, address, count * 8);
}

static uint64_t word_at(uint64_t address)
{
	return LOAD((const uint64_t *)address);
}

/* No string is longer. */
#define MAX_STRING_BYTES (UINT64_C(1) << 40)

/* Copies memory that may be unmapped. */
static int fetch_text(struct saferead *memory, struct golabel_text *text, struct golabels *out)
{
	char *copy = out->copies[out->copied];

	if (text->count == 0 || is_there(memory, (uint64_t)text->bytes, text->count))
		return 0;
	if (out->copied == GOLABELS_COPIES ||
	    saferead_copy((uint64_t)text->bytes, copy, text->count))
		return -1;
	out->copied++;
	text->bytes = copy;
	return 0;
}

/* Reads a string's two words, which must be readable. */
static int read_text(struct saferead *memory, uint64_t at, struct golabel_text *text,
		     struct golabels *out)
{
	uint64_t address = word_at(at), bytes = word_at(at + 8);

	text->is_cut = bytes > GOLABELS_BYTES;
	text->count = text->is_cut ? GOLABELS_BYTES : (uint8_t)bytes;
	text->bytes = bytes ? (const char *)address : "";
	return bytes <= MAX_STRING_BYTES && fetch_text(memory, text, out) == 0 ? 0 : -1;
}

static int compare(const struct golabel_text *a, const struct golabel_text *b)
{
	int order = memcmp(a->bytes, b->bytes, a->count < b->count ? a->count : b->count);

	return order ? order : (int)a->count - (int)b->count;
}

/* Inserts in order of keys; if there are too many, drops the last. */
static void insert(struct golabels *out, const struct golabel *label)
{
	uint32_t at = out->count;

	out->total++;
	while (at > 0 && compare(&label->key, &out->list[at - 1].key) < 0)
		at--;
	if (at == GOLABELS_MAX)
		return;
	if (out->count < GOLABELS_MAX)
		out->count++;
	memmove(&out->list[at + 1], &out->list[at], (out->count - 1 - at) * sizeof(*label));
	out->list[at] = *label;
}

static int read_label(struct saferead *memory, uint64_t key, uint64_t value, struct golabels *out)
{
	struct golabel label;

	if (read_text(memory, key, &label.key, out) || read_text(memory, value, &label.value, out))
		return -1;
	insert(out, &label);
	return 0;
}

/* ---- Go 1.24 and later: a slice of {key, value}, ascending by key --------- */

#define MAX_LABELS (UINT64_C(1) << 20)

static int read_slice(struct saferead *memory, uint64_t labels, struct golabels *out)
{
	if (!are_words(memory, labels, 3))
		return -1;
	uint64_t list = word_at(labels);
	uint64_t total = word_at(labels + 8);
	if (total > word_at(labels + 16) || total > MAX_LABELS)
		return -1;
	uint64_t kept = total < GOLABELS_MAX ? total : GOLABELS_MAX;
	if (kept && !are_words(memory, list, 4 * kept))
		return -1;
	for (uint64_t i = 0; i < kept; i++)
		if (read_label(memory, list + 32 * i, list + 32 * i + 16, out))
			return -1;
	out->total = (uint32_t)total;
	return 0;
}

/* ---- up to Go 1.23: a map, which may be in the middle of growing ---------- */

/* runtime/map.go: hmap, then bmap for map[string]string. */
enum { MAP_COUNT = 0, MAP_FLAGS = 8, MAP_B = 9, MAP_BUCKETS = 16, MAP_OLD_BUCKETS = 24 };
enum { MAP_WORDS = 4 };
enum { SLOTS = 8, KEYS = 8, VALUES = KEYS + 16 * SLOTS, OVERFLOW = VALUES + 16 * SLOTS };
enum { BUCKET_BYTES = OVERFLOW + 8 };

#define SAME_SIZE_GROW 8
#define EVACUATED_MIN  2 /* tophash[0] of a bucket whose entries have moved to the new ones */
#define EVACUATED_MAX  4
#define MIN_TOP_HASH   5 /* of an occupied slot */

/* Larger maps are not read: they have far more labels than a stack can keep. */
#define MAX_B       6
#define MAX_BUCKETS 256

struct map_walk {
	struct saferead *memory;
	struct golabels *out;
	uint32_t buckets_left;
};

static int read_bucket(struct map_walk *w, uint64_t bucket)
{
	const uint8_t *top = (const uint8_t *)bucket;

	for (unsigned i = 0; i < SLOTS; i++)
		if (LOAD(&top[i]) >= MIN_TOP_HASH &&
		    read_label(w->memory, bucket + KEYS + 16 * i, bucket + VALUES + 16 * i, w->out))
			return -1;
	return 0;
}

/* Reads a bucket and its overflow buckets. */
static int read_chain(struct map_walk *w, uint64_t bucket, bool is_old)
{
	for (; bucket; bucket = word_at(bucket + OVERFLOW)) {
		uint8_t top;
		if (w->buckets_left-- == 0 || !are_words(w->memory, bucket, BUCKET_BYTES / 8))
			return -1;
		top = LOAD((const uint8_t *)bucket);
		if (is_old && top >= EVACUATED_MIN && top <= EVACUATED_MAX)
			return 0;
		if (read_bucket(w, bucket))
			return -1;
	}
	return 0;
}

static int read_buckets(struct map_walk *w, uint64_t buckets, uint32_t count, bool is_old)
{
	for (uint32_t i = 0; i < count; i++)
		if (read_chain(w, buckets + (uint64_t)i * BUCKET_BYTES, is_old))
			return -1;
	return 0;
}

/* The map of a label set never changes once it is made, so its count must match. */
static int read_map(struct saferead *memory, uint64_t labels, struct golabels *out)
{
	struct map_walk w = {.memory = memory, .out = out, .buckets_left = MAX_BUCKETS};

	if (!are_words(memory, labels, 1))
		return -1;
	uint64_t map = word_at(labels);
	if (!map)
		return 0;
	if (!are_words(memory, map, MAP_WORDS))
		return -1;
	uint64_t count = word_at(map + MAP_COUNT);
	uint8_t flags = LOAD((const uint8_t *)map + MAP_FLAGS);
	uint8_t b = LOAD((const uint8_t *)map + MAP_B);
	uint64_t buckets = word_at(map + MAP_BUCKETS);
	uint64_t old = word_at(map + MAP_OLD_BUCKETS);
	if (count == 0)
		return 0;
	if (!buckets || b > MAX_B || read_buckets(&w, buckets, 1u << b, false))
		return -1;
	if (old && !(flags & SAME_SIZE_GROW) && b == 0)
		return -1;
	if (old && read_buckets(&w, old, flags & SAME_SIZE_GROW ? 1u << b : 1u << (b - 1), true))
		return -1;
	return out->total == count ? 0 : -1;
}

/* ---- all of it ---------------------------------------------------------- */

enum golabels_result golabels_parse(struct saferead *memory, uint64_t labels, bool is_map,
				    struct golabels *out)
{
	out->count = out->total = out->copied = 0;
	if (is_map ? read_map(memory, labels, out) : read_slice(memory, labels, out))
		return GOLABELS_BAD;
	return out->count ? GOLABELS_READ : GOLABELS_NONE;
}

static uint32_t offset_of(const struct gomodule *module)
{
	if (unlikely(!LOAD(&known[module->index].is_learned)))
		learn_module(module);
	return LOAD_ACQ(&known_of(module)->offset);
}

uint64_t golabels_of(struct saferead *memory, const struct gomodule *module, uint64_t g)
{
	uint32_t offset = offset_of(module);
	uint64_t labels;

	return offset && saferead_read(memory, g + offset, &labels) ? labels : 0;
}

uint64_t golabels_of_own(const struct gomodule *module, uint64_t g)
{
	uint32_t offset = offset_of(module);

	return offset ? word_at(g + offset) : 0;
}

enum golabels_result golabels_read(struct saferead *memory, const struct gomodule *module,
				   uint64_t labels, struct golabels *out)
{
	return golabels_parse(memory, labels, known_of(module)->is_map, out);
}
