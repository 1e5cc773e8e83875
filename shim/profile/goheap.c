/*
 * See goheap.h. A Go profile has this order: sample types, then locations, functions and samples
 * mixed, the string table last (runtime/pprof/proto.go). Nothing here depends on it.
 */
#include "profile/goheap.h"

#include <string.h>

#include "base/hash.h"
#include "profile/pprof_reader.h"

/* Limit for locations, for functions and for strings. */
#define MAX_IDS   (1u << 19)
#define MAX_LINES 200

/* In `strings`: not shared with ours, but the n-th of the strings that follow ours. */
#define FRESH (UINT32_C(1) << 31)

/* Ids that messages define and others refer to. */
struct id_set {
	uint64_t bits[MAX_IDS / 64];
	uint32_t count, highest, highest_used;
};

/* A string that must be at the index in the table that a type names. */
struct expected {
	const char *text;
	int64_t said, found; /* -1: not yet */
};
#define EXPECTED (2 * (GOHEAP_VALUES + 1))

struct goheap {
	struct scratch *scratch;
	struct pprof_stream *stream;
	struct profile_locations *places; /* set while writing */
	goheap_emit *emit;
	void *arg;
	uint64_t first_id;    /* added to ids of locations and functions */
	int64_t first_string; /* of the fresh strings */
	struct pprof_tail tail;

	/* From the first reading. */
	int64_t period;
	uint64_t inuse_bytes;
	uint32_t types, string_count, string_room, fresh_count;
	uint64_t highest_string; /* the highest index referred to */
	uint32_t *strings;       /* by original id: the id in our table, or FRESH */
	uint32_t sample_count, key_room;
	uint64_t *keys; /* of locations, by id */
	struct expected expected[EXPECTED];
	struct id_set locations, functions;

	/* While strings are written. */
	uint32_t string_at, fresh_written;

	/* For the current message. */
	uint64_t ids[GOHEAP_MAX_FRAMES + 1];
	Pprof__Label *labels[GOHEAP_MAX_LABELS + 1];
	struct pprof_reader reader;
};

/* ---- messages ----------------------------------------------------------- */

static Pprof__Sample *unpack_sample(struct goheap *g, const struct pprof_read_field *f)
{
	Pprof__Sample *s = pprof_unpack(&g->reader, &pprof__sample__descriptor, f);
	bool fits = s && s->n_value == GOHEAP_VALUES && s->n_location_id <= GOHEAP_MAX_FRAMES &&
		    s->n_label <= GOHEAP_MAX_LABELS;
	return fits ? s : NULL;
}

static Pprof__Location *unpack_location(struct goheap *g, const struct pprof_read_field *f)
{
	Pprof__Location *l = pprof_unpack(&g->reader, &pprof__location__descriptor, f);
	return l && l->n_line <= MAX_LINES ? l : NULL;
}

static Pprof__Function *unpack_function(struct goheap *g, const struct pprof_read_field *f)
{
	return pprof_unpack(&g->reader, &pprof__function__descriptor, f);
}

/* ---- the first reading -------------------------------------------------- */

static int define_id(struct id_set *set, uint64_t id)
{
	if (id == 0 || id >= MAX_IDS || set->bits[id / 64] >> id % 64 & 1)
		return -1;
	set->bits[id / 64] |= UINT64_C(1) << id % 64;
	set->count++;
	if (id > set->highest)
		set->highest = (uint32_t)id;
	return 0;
}

static int use_id(struct id_set *set, uint64_t id)
{
	if (id == 0 || id >= MAX_IDS)
		return -1;
	if (id > set->highest_used)
		set->highest_used = (uint32_t)id;
	return 0;
}

/* Go numbers without gaps. So if the count equals the highest id, all ids are defined, in any
 * order. */
static bool ids_are_whole(const struct id_set *set)
{
	return set->count == set->highest && set->highest_used <= set->highest;
}

static int use_string(struct goheap *g, int64_t id)
{
	if (id < 0 || id >= MAX_IDS)
		return -1;
	if ((uint64_t)id > g->highest_string)
		g->highest_string = (uint64_t)id;
	return 0;
}

static int check_type(struct goheap *g, const struct pprof_read_field *f, size_t place)
{
	const Pprof__ValueType *t = pprof_unpack(&g->reader, &pprof__value_type__descriptor, f);
	if (!t || place > GOHEAP_VALUES || g->expected[2 * place].said >= 0 ||
	    use_string(g, t->type) || use_string(g, t->unit))
		return -1;
	g->expected[2 * place].said = t->type;
	g->expected[2 * place + 1].said = t->unit;
	return 0;
}

static int check_sample(struct goheap *g, const struct pprof_read_field *f)
{
	const Pprof__Sample *s = unpack_sample(g, f);
	if (!s)
		return -1;
	g->sample_count++;
	for (size_t i = 0; i < s->n_location_id; i++)
		if (use_id(&g->locations, s->location_id[i]))
			return -1;
	for (size_t i = 0; i < s->n_label; i++)
		if (use_string(g, s->label[i]->key) || use_string(g, s->label[i]->str) ||
		    use_string(g, s->label[i]->num_unit))
			return -1;
	int64_t bytes = s->value[GOHEAP_INUSE_BYTES];
	bool is_too_much = bytes > 0 &&
			   __builtin_add_overflow(g->inuse_bytes, (uint64_t)bytes, &g->inuse_bytes);
	return is_too_much ? -1 : 0;
}

/* Mappings are not written, but a truncated one means that the profile is truncated. */
static int check_mapping(struct goheap *g, const struct pprof_read_field *f)
{
	const Pprof__Mapping *m = pprof_unpack(&g->reader, &pprof__mapping__descriptor, f);
	return m && use_string(g, m->filename) == 0 && use_string(g, m->build_id) == 0 ? 0 : -1;
}

/* Makes room for the element at `place` in a list that is full below it. */
static void *list_grow(struct goheap *g, const void *list, uint32_t place, uint32_t *room,
		       size_t bytes)
{
	uint32_t more = *room ? *room : 2048;
	while (more <= place)
		more *= 2;
	void *bigger = scratch_alloc(g->scratch, more * bytes);
	if (bigger && *room)
		memcpy(bigger, list, *room * bytes);
	if (bigger)
		*room = more;
	return bigger;
}

static uint64_t mix(uint64_t key, uint64_t with)
{
	key = hash_spread(key ^ with);
	return key ^ key >> 29;
}

/* Its id differs between profiles, but its address in the program does not. */
static int keep_key(struct goheap *g, const Pprof__Location *l)
{
	if (l->id >= g->key_room &&
	    !(g->keys = list_grow(g, g->keys, (uint32_t)l->id, &g->key_room, sizeof(*g->keys))))
		return -1;
	uint64_t key = mix(0, l->address);
	for (size_t i = 0; i < l->n_line; i++)
		key = mix(key, (uint64_t)l->line[i]->line);
	g->keys[l->id] = key;
	return 0;
}

static int check_location(struct goheap *g, const struct pprof_read_field *f)
{
	const Pprof__Location *l = unpack_location(g, f);
	if (!l || define_id(&g->locations, l->id) || keep_key(g, l))
		return -1;
	for (size_t i = 0; i < l->n_line; i++)
		if (use_id(&g->functions, l->line[i]->function_id))
			return -1;
	return 0;
}

static int check_function(struct goheap *g, const struct pprof_read_field *f)
{
	const Pprof__Function *p = unpack_function(g, f);
	if (!p || define_id(&g->functions, p->id) || use_string(g, p->name) ||
	    use_string(g, p->system_name) || use_string(g, p->filename))
		return -1;
	return 0;
}

static int check_string(struct goheap *g, const struct pprof_read_field *f)
{
	const char *text = (const char *)g->reader.buffer;
	if (strlen(text) != f->bytes || g->string_count == MAX_IDS || (!g->string_count && *text))
		return -1;
	if (g->string_count == g->string_room &&
	    !(g->strings = list_grow(g, g->strings, g->string_count, &g->string_room,
				     sizeof(*g->strings))))
		return -1;
	int64_t ours = pprof_find_string(g->stream, text);
	for (size_t i = 0; i < EXPECTED; i++)
		if (strcmp(g->expected[i].text, text) == 0)
			g->expected[i].found = g->string_count;
	g->strings[g->string_count++] = ours >= 0 ? (uint32_t)ours : FRESH | g->fresh_count++;
	return 0;
}

static int check_field(void *heap, const struct pprof_read_field *f)
{
	struct goheap *g = heap;

	switch (f->number) {
	case PPROF_SAMPLE_TYPE:
		return g->types < GOHEAP_VALUES ? check_type(g, f, g->types++) : -1;
	case PPROF_PERIOD_TYPE:
		return check_type(g, f, GOHEAP_VALUES);
	case PPROF_PERIOD:
		g->period = (int64_t)f->value;
		return 0;
	case PPROF_SAMPLE:
		return check_sample(g, f);
	case PPROF_MAPPING:
		return check_mapping(g, f);
	case PPROF_LOCATION:
		return check_location(g, f);
	case PPROF_FUNCTION:
		return check_function(g, f);
	case PPROF_STRING:
		return check_string(g, f);
	default:
		return 0;
	}
}

static void expect(struct goheap *g)
{
	static const char *const texts[EXPECTED] = {
		"alloc_objects", "count",       "alloc_space", "bytes", "inuse_objects",
		"count",         "inuse_space", "bytes",       "space", "bytes"};
	for (size_t i = 0; i < EXPECTED; i++)
		g->expected[i] = (struct expected){.text = texts[i], .said = -1, .found = -1};
}

static int check(struct goheap *g)
{
	expect(g);
	if (pprof_read_all(&g->reader, check_field, g) || !ids_are_whole(&g->locations) ||
	    !ids_are_whole(&g->functions) || g->highest_string >= g->string_count)
		return -1;
	for (size_t i = 0; i < EXPECTED; i++)
		if (g->expected[i].said < 0 || g->expected[i].said != g->expected[i].found)
			return -1;
	return 0;
}

struct goheap *goheap_open(struct scratch *scratch, struct pprof_stream *stream,
			   const uint8_t *bytes, size_t count)
{
	struct goheap *g = scratch_alloc(scratch, sizeof(*g));
	if (!g)
		return NULL;
	g->scratch = scratch;
	g->stream = stream;
	g->reader.gunzip = gunzip_open(scratch, bytes, count);
	return g->reader.gunzip && check(g) == 0 ? g : NULL;
}

uint32_t goheap_sample_count(const struct goheap *g)
{
	return g->sample_count;
}

int64_t goheap_period(const struct goheap *g)
{
	return g->period;
}

uint64_t goheap_inuse_bytes(const struct goheap *g)
{
	return g->inuse_bytes;
}

/* ---- the second: functions, locations, samples -------------------------- */

/* Checks again: the program may have overwritten the profile since the first reading. */
static int64_t string_id(const struct goheap *g, int64_t id)
{
	if (id < 0 || id >= g->string_count)
		return 0;
	uint32_t place = g->strings[id];
	return place & FRESH ? g->first_string + (place & ~FRESH) : place;
}

/* Fields that a later Go adds are not copied, because their strings have other ids. */
static void forget_unknown(ProtobufCMessage *message)
{
	message->n_unknown_fields = 0;
}

static void write_function(struct goheap *g, Pprof__Function *p)
{
	forget_unknown(&p->base);
	p->id += g->first_id;
	p->name = string_id(g, p->name);
	p->system_name = string_id(g, p->system_name);
	p->filename = string_id(g, p->filename);
	pprof_write(g->stream, PPROF_FUNCTION, p);
}

static void write_location(struct goheap *g, Pprof__Location *l)
{
	forget_unknown(&l->base);
	l->id += g->first_id;
	l->mapping_id = profile_locations_mapping(g->places, l->address);
	for (size_t i = 0; i < l->n_line; i++) {
		forget_unknown(&l->line[i]->base);
		l->line[i]->function_id += g->first_id;
	}
	pprof_write(g->stream, PPROF_LOCATION, l);
}

static uint64_t key_of(const struct goheap *g, const Pprof__Sample *s)
{
	uint64_t key = 0;
	for (size_t i = 0; i < s->n_location_id; i++)
		key = mix(key, s->location_id[i] < g->key_room ? g->keys[s->location_id[i]] : 0);
	for (size_t i = 0; i < s->n_label; i++)
		key = mix(key, (uint64_t)s->label[i]->num);
	return key;
}

static void write_sample(struct goheap *g, Pprof__Sample *s)
{
	uint64_t key = key_of(g, s);
	forget_unknown(&s->base);
	for (size_t i = 0; i < s->n_location_id; i++)
		g->ids[i] = s->location_id[i] + g->first_id;
	for (size_t i = 0; i < s->n_label; i++) {
		g->labels[i] = s->label[i];
		forget_unknown(&g->labels[i]->base);
		g->labels[i]->key = string_id(g, g->labels[i]->key);
		g->labels[i]->str = string_id(g, g->labels[i]->str);
		g->labels[i]->num_unit = string_id(g, g->labels[i]->num_unit);
	}
	s->location_id = g->ids;
	s->label = g->labels;
	g->emit(g->arg, s, key);
}

static int write_field(void *heap, const struct pprof_read_field *f)
{
	struct goheap *g = heap;

	void *message = NULL;
	if (g->places && f->number == PPROF_FUNCTION && (message = unpack_function(g, f)))
		write_function(g, message);
	else if (g->places && f->number == PPROF_LOCATION && (message = unpack_location(g, f)))
		write_location(g, message);
	else if (f->number == PPROF_SAMPLE && (message = unpack_sample(g, f)))
		write_sample(g, message);
	return gzip_failed(g->stream->gzip) ? -1 : 0;
}

/* ---- the third: strings ------------------------------------------------- */

static int write_string(void *heap, const struct pprof_read_field *f)
{
	struct goheap *g = heap;

	if (f->number != PPROF_STRING)
		return 0;
	if (g->string_at < g->string_count && g->strings[g->string_at++] & FRESH) {
		pprof_write_string(g->stream, (const char *)g->reader.buffer);
		g->fresh_written++;
	}
	return 0;
}

/* Writes exactly the announced number of strings, so that later strings keep their index. */
static void write_strings(void *arg)
{
	struct goheap *g = arg;
	g->string_at = g->fresh_written = 0;
	pprof_read_all(&g->reader, write_string, g);
	for (; g->fresh_written < g->fresh_count; g->fresh_written++)
		pprof_write_string(g->stream, "?");
}

void goheap_each(struct goheap *g, goheap_emit *emit, void *arg)
{
	g->places = NULL;
	g->emit = emit;
	g->arg = arg;
	pprof_read_all(&g->reader, write_field, g);
}

void goheap_write(struct goheap *g, struct profile_locations *places, goheap_emit *emit, void *arg)
{
	g->places = places;
	g->emit = emit;
	g->arg = arg;
	g->tail = (struct pprof_tail){.count = g->fresh_count, .write = write_strings, .arg = g};
	g->first_string = pprof_append(g->stream, &g->tail);
	g->first_id = (uint64_t)g->stream->tail_count << 32;
	pprof_read_all(&g->reader, write_field, g);
}
