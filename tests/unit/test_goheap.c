/*
 * A heap profile written by Go (testdata/goheap.gz, by Go 1.26: 608 bytes unpacked), and
 * handmade ones, merged into our profiles: intact, damaged, and too large.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "kept.h"
#include "base/clock.h"
#include "text/gunzip.h"
#include "record/control.h"
#include "hook/real.h"
#include "profile/goheap.h"
#include "profile/profile_go.h"
#include "profile/profile_memory.h"

/* ---- bytes -------------------------------------------------------------- */

struct bytes {
	uint8_t *at;
	size_t count;
};

static struct bytes go_gzip, go_plain; /* the file */

static struct bytes read_file(const char *path)
{
	struct bytes b = {malloc(64 * KIB), 0};
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	b.count = fread(b.at, 1, 64 * KIB, f);
	fclose(f);
	return b;
}

static struct bytes unzip(const uint8_t *bytes, size_t count)
{
	uint32_t plain;
	memcpy(&plain, bytes + count - 4, 4); /* gzip ends with the unpacked size */
	struct bytes b = {malloc(plain + 1), plain};
	z_stream z = {.next_in = (uint8_t *)bytes,
		      .avail_in = (unsigned)count,
		      .next_out = b.at,
		      .avail_out = plain + 1};
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	assert_int_equal(z.total_out, plain);
	inflateEnd(&z);
	return b;
}

static struct bytes zip(const uint8_t *bytes, size_t count)
{
	struct bytes b = {malloc(count + 1000), count + 1000};
	z_stream z = {.next_in = (uint8_t *)bytes,
		      .avail_in = (unsigned)count,
		      .next_out = b.at,
		      .avail_out = (unsigned)b.count};
	assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	b.count = z.total_out;
	deflateEnd(&z);
	return b;
}

/* ---- a profile with it, read back ---------------------------------------- */

static Pprof__Profile *unpack(struct bytes *written)
{
	struct bytes plain = unzip(written->at, written->count);
	Pprof__Profile *p = pprof__profile__unpack(NULL, plain.count, plain.at);
	assert_non_null(p);
	free(plain.at);
	free(written->at);
	return p;
}

static const char *string_at(const Pprof__Profile *p, int64_t id)
{
	assert_true(id >= 0 && (size_t)id < p->n_string_table);
	return p->string_table[id];
}

static const Pprof__Function *function_of(const Pprof__Profile *p, uint64_t id)
{
	for (size_t i = 0; i < p->n_function; i++)
		if (p->function[i]->id == id)
			return p->function[i];
	fail_msg("no function %llx", (unsigned long long)id);
	return NULL;
}

static const Pprof__Location *location_of(const Pprof__Profile *p, uint64_t id)
{
	for (size_t i = 0; i < p->n_location; i++)
		if (p->location[i]->id == id)
			return p->location[i];
	fail_msg("no location %llx", (unsigned long long)id);
	return NULL;
}

/* Checks for everything that makes pprof reject a profile. */
static void check_valid(const Pprof__Profile *p, size_t values)
{
	assert_string_equal(p->string_table[0], "");
	for (size_t i = 0; i < p->n_sample; i++) {
		assert_int_equal(p->sample[i]->n_value, values);
		for (size_t n = 0; n < p->sample[i]->n_location_id; n++)
			location_of(p, p->sample[i]->location_id[n]);
		for (size_t n = 0; n < p->sample[i]->n_label; n++) {
			string_at(p, p->sample[i]->label[n]->key);
			string_at(p, p->sample[i]->label[n]->str);
		}
	}
	for (size_t i = 0; i < p->n_location; i++)
		for (size_t n = 0; n < p->location[i]->n_line; n++)
			function_of(p, p->location[i]->line[n]->function_id);
	for (size_t i = 0; i < p->n_function; i++) {
		string_at(p, p->function[i]->name);
		string_at(p, p->function[i]->system_name);
		string_at(p, p->function[i]->filename);
	}
	for (size_t i = 0; i < p->n_comment; i++)
		string_at(p, p->comment[i]);
}

static bool has_comment(const Pprof__Profile *p, const char *text)
{
	for (size_t i = 0; i < p->n_comment; i++)
		if (strcmp(string_at(p, p->comment[i]), text) == 0)
			return true;
	return false;
}

/* Returns 0, or -1 with *written empty. */
static int write_both(struct go_heap now, struct go_heap before, size_t scratch_bytes,
		      struct bytes *written)
{
	struct scratch scratch = SCRATCH_INIT(scratch_bytes);
	struct snapshot none = {.time_ns = clock_monotonic_ns()};
	struct profile_options o = {
		.symbols = true, .is_growth = before.bytes != NULL, .go = now, .go_before = before};
	struct kept kept;
	kept_init(&kept, SIZE_MAX);
	int result = profile_write(&scratch, &none, &o, &kept.sink);
	*written = (struct bytes){kept.bytes, kept.count};
	scratch_release(&scratch);
	return result;
}

static Pprof__Profile *profile_with(const uint8_t *bytes, size_t count)
{
	struct bytes written;
	struct go_heap now = {.bytes = bytes, .count = count};
	assert_int_equal(write_both(now, (struct go_heap){0}, 8 * MIB, &written), 0);
	Pprof__Profile *p = unpack(&written);
	check_valid(p, 4);
	return p;
}

static bool is_refused(const Pprof__Profile *p)
{
	bool refused = has_comment(p, PROFILE_GO_DAMAGED_COMMENT);
	if (refused) {
		assert_int_equal(p->n_sample, 0);
		assert_int_equal(p->n_location, 0);
		assert_int_equal(p->n_function, 0);
	}
	return refused;
}

static void assert_refused(const uint8_t *bytes, size_t count)
{
	Pprof__Profile *p = profile_with(bytes, count);
	assert_true(is_refused(p));
	pprof__profile__free_unpacked(p, NULL);
}

static void assert_plain_refused(struct bytes plain)
{
	struct bytes z = zip(plain.at, plain.count);
	assert_refused(z.at, z.count);
	free(z.at);
}

static int setup(void **state)
{
	(void)state;
	if (region_init(32 * MIB))
		return -1;
	control_init(&(struct control_start){.sample_bytes = 524288});
	real_resolve();
	go_gzip = read_file("tests/unit/testdata/goheap.gz");
	go_plain = unzip(go_gzip.at, go_gzip.count);
	return 0;
}

/* ---- what Go wrote ------------------------------------------------------- */

static void check_frame(const Pprof__Profile *p, uint64_t id, const char *name, const char *file,
			int64_t line, int64_t start_line)
{
	const Pprof__Location *l = location_of(p, id);
	assert_true(id > UINT64_C(1) << 32);
	assert_int_equal(l->n_line, 1);
	assert_int_equal(l->line[0]->line, line);
	const Pprof__Function *f = function_of(p, l->line[0]->function_id);
	assert_string_equal(string_at(p, f->name), name);
	assert_string_equal(string_at(p, f->system_name), name);
	assert_string_equal(string_at(p, f->filename), file);
	assert_int_equal(f->start_line, start_line);
}

static void check_sample(const Pprof__Profile *p, const Pprof__Sample *s, const int64_t values[4],
			 int64_t bytes)
{
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(s->value[i], values[i]);
	assert_int_equal(s->n_label, 2);
	assert_string_equal(string_at(p, s->label[0]->key), "bytes");
	assert_int_equal(s->label[0]->num, bytes);
	assert_string_equal(string_at(p, s->label[1]->key), "origin");
	assert_string_equal(string_at(p, s->label[1]->str), "go");
}

static size_t times_in_table(const Pprof__Profile *p, const char *text)
{
	size_t times = 0;
	for (size_t i = 0; i < p->n_string_table; i++)
		times += strcmp(p->string_table[i], text) == 0;
	return times;
}

static void what_go_wrote_is_there(void **state)
{
	(void)state;
	Pprof__Profile *p = profile_with(go_gzip.at, go_gzip.count);
	assert_int_equal(p->n_sample, 3);
	check_sample(p, p->sample[0], (int64_t[]){252, 10355658, 199, 8175519}, 40960);
	check_sample(p, p->sample[1], (int64_t[]){2, 6307089, 2, 6307089}, 3145728);
	check_sample(p, p->sample[2], (int64_t[]){3, 3638089, 3, 3638089}, 1048576);
	assert_int_equal(p->sample[1]->n_location_id, 4);
	const uint64_t *ids = p->sample[1]->location_id;
	check_frame(p, ids[0], "main.hold", "service/main.go", 14, 12);
	check_frame(p, ids[1], "main.(*box[go.shape.int]).fill", "service/main.go", 21, 21);
	check_frame(p, ids[2], "main.main", "service/main.go", 26, 23);
	check_frame(p, ids[3], "runtime.main", "runtime/proc.go", 290, 149);
	assert_true(has_comment(p, "Go's heap: sampled every 524288 bytes on average"));
	assert_false(has_comment(p, PROFILE_PARTIAL_COMMENT));
	for (size_t i = 0; i < p->n_string_table; i++)
		assert_int_equal(times_in_table(p, p->string_table[i]), 1);
	/* It is from another program: none of our mappings has its addresses. */
	assert_int_equal(location_of(p, ids[0])->mapping_id, 0);
	assert_int_equal(p->n_mapping, 1);
	pprof__profile__free_unpacked(p, NULL);
}

static void growth_takes_before_from_it(void **state)
{
	struct bytes written;
	struct go_heap heap = {.bytes = go_gzip.at, .count = go_gzip.count};
	(void)state;
	assert_int_equal(write_both(heap, heap, 8 * MIB, &written), 0);
	Pprof__Profile *p = unpack(&written);
	check_valid(p, 4);
	assert_int_equal(p->n_sample, 0); /* nothing changed */
	pprof__profile__free_unpacked(p, NULL);

	/* If one of the two is damaged, neither is used: half a difference is useless. */
	struct go_heap cut = {.bytes = go_gzip.at, .count = go_gzip.count - 1};
	assert_int_equal(write_both(heap, cut, 8 * MIB, &written), 0);
	p = unpack(&written);
	assert_true(is_refused(p));
	pprof__profile__free_unpacked(p, NULL);
}

/* ---- damage ------------------------------------------------------------- */

/* Where damage does not matter to gzip, the profile is unchanged. */
static void a_damaged_stream_is_refused(void **state)
{
	uint8_t *bytes = malloc(go_gzip.count + 1);
	size_t accepted = 0;
	(void)state;
	memcpy(bytes, go_gzip.at, go_gzip.count);
	bytes[go_gzip.count] = 0;
	for (size_t i = 0; i < go_gzip.count; i++) {
		bytes[i] ^= 0x40;
		Pprof__Profile *p = profile_with(bytes, go_gzip.count);
		accepted += !is_refused(p);
		assert_true(is_refused(p) || p->n_sample == 3);
		pprof__profile__free_unpacked(p, NULL);
		bytes[i] ^= 0x40;
		assert_refused(bytes, i);
	}
	assert_in_range(accepted, 1, 10); /* time, operating system */
	assert_refused(bytes, go_gzip.count + 1);
	free(bytes);
}

static void a_damaged_profile_is_refused_or_valid(void **state)
{
	static const uint8_t flips[] = {0x01, 0x08, 0x80, 0xff};
	struct bytes b = {malloc(go_plain.count), go_plain.count};
	size_t refused = 0;
	(void)state;
	memcpy(b.at, go_plain.at, b.count);
	for (size_t i = 0; i < b.count * COUNT_OF(flips); i++) {
		uint8_t *byte = &b.at[i / COUNT_OF(flips)];
		*byte ^= flips[i % COUNT_OF(flips)];
		struct bytes z = zip(b.at, b.count);
		Pprof__Profile *p = profile_with(z.at, z.count);
		refused += is_refused(p);
		pprof__profile__free_unpacked(p, NULL);
		free(z.at);
		*byte ^= flips[i % COUNT_OF(flips)];
	}
	assert_true(refused > b.count);
	/* Cut anywhere: its last string is used. */
	for (b.count = 0; b.count < go_plain.count; b.count++)
		assert_plain_refused(b);
	free(b.at);
}

/* Minutes of work for a few kilobytes. */
static void what_unpacks_to_too_much_is_refused(void **state)
{
	size_t count = GUNZIP_MAX_BYTES + 2 * MIB;
	struct bytes b = {malloc(go_plain.count + count), go_plain.count + count};
	(void)state;
	memcpy(b.at, go_plain.at, go_plain.count);
	for (size_t i = go_plain.count; i + 1 < b.count; i += 2) {
		b.at[i] = 15 << 3; /* doc_url */
		b.at[i + 1] = 1;
	}
	b.count = go_plain.count + 2 * MIB;
	struct bytes z = zip(b.at, b.count);
	Pprof__Profile *p = profile_with(z.at, z.count);
	assert_int_equal(p->n_sample, 3); /* too large: refused */
	pprof__profile__free_unpacked(p, NULL);
	free(z.at);
	b.count = go_plain.count + count;
	assert_plain_refused(b);
	free(b.at);
}

/* ---- made by hand -------------------------------------------------------- */

static char *words[] = {"",      "alloc_objects", "count",       "alloc_space",
			"bytes", "inuse_objects", "inuse_space", "space",
			"f",     "g.go",          "tenant",      "acme"};
enum {
	BYTES_WORD = 4,
	SPACE_WORD = 7,
	F_WORD = 8,
	FILE_WORD = 9,
	TENANT_WORD = 10,
	ACME_WORD = 11
};

struct made {
	Pprof__Profile p;
	Pprof__ValueType types[5], *type_list[5], period;
	Pprof__Function function, *functions[1];
	Pprof__Line lines[300], *line_list[300];
	Pprof__Location locations[2000], *location_list[2000];
	Pprof__Sample sample, *samples[2];
	Pprof__Label labels[20], *label_list[20];
	uint64_t ids[2000];
	int64_t values[5];
};

/* One sample with this many frames, all in one function. */
static struct made *make(size_t frames)
{
	static const int64_t types[4][2] = {{1, 2}, {3, 4}, {5, 2}, {6, 4}};
	struct made *m = calloc(1, sizeof(*m));
	pprof__profile__init(&m->p);
	m->p.sample_type = m->type_list;
	m->p.n_sample_type = 4;
	for (size_t i = 0; i < 5; i++) {
		pprof__value_type__init(&m->types[i]);
		m->types[i].type = types[i % 4][0];
		m->types[i].unit = types[i % 4][1];
		m->type_list[i] = &m->types[i];
		m->values[i] = (int64_t)(10 + i);
	}
	pprof__value_type__init(&m->period);
	m->period.type = SPACE_WORD;
	m->period.unit = BYTES_WORD;
	m->p.period_type = &m->period;
	m->p.period = 1;
	m->p.string_table = words;
	m->p.n_string_table = COUNT_OF(words);
	pprof__function__init(&m->function);
	m->function.id = 1;
	m->function.name = m->function.system_name = F_WORD;
	m->function.filename = FILE_WORD;
	m->functions[0] = &m->function;
	m->p.function = m->functions;
	m->p.n_function = 1;
	for (size_t i = 0; i < COUNT_OF(m->lines); i++) {
		pprof__line__init(&m->lines[i]);
		m->lines[i].function_id = 1;
		m->line_list[i] = &m->lines[i];
	}
	for (size_t i = 0; i < COUNT_OF(m->locations); i++) {
		pprof__location__init(&m->locations[i]);
		m->locations[i].id = m->ids[i] = i + 1;
		m->locations[i].address = 0x1000 + i;
		m->locations[i].line = m->line_list;
		m->locations[i].n_line = 1;
		m->location_list[i] = &m->locations[i];
	}
	m->p.location = m->location_list;
	m->p.n_location = frames;
	for (size_t i = 0; i < COUNT_OF(m->labels); i++) {
		pprof__label__init(&m->labels[i]);
		m->labels[i].key = TENANT_WORD;
		m->labels[i].str = ACME_WORD;
		m->label_list[i] = &m->labels[i];
	}
	pprof__sample__init(&m->sample);
	m->sample.location_id = m->ids;
	m->sample.n_location_id = frames;
	m->sample.value = m->values;
	m->sample.n_value = 4;
	m->sample.label = m->label_list;
	m->samples[0] = &m->sample;
	m->p.sample = m->samples;
	m->p.n_sample = 1;
	return m;
}

static struct bytes pack(const Pprof__Profile *p)
{
	struct bytes b = {malloc(pprof__profile__get_packed_size(p)), 0};
	b.count = pprof__profile__pack(p, b.at);
	return b;
}

/* The merged result; NULL: refused. */
static Pprof__Profile *taken(struct made *m)
{
	struct bytes plain = pack(&m->p), z = zip(plain.at, plain.count);
	Pprof__Profile *p = profile_with(z.at, z.count);
	free(plain.at);
	free(z.at);
	if (!is_refused(p))
		return p;
	pprof__profile__free_unpacked(p, NULL);
	return NULL;
}

static void assert_taken(struct made *m, bool is_taken)
{
	Pprof__Profile *p = taken(m);
	assert_int_equal(p != NULL, is_taken);
	if (p)
		pprof__profile__free_unpacked(p, NULL);
}

/* The first minus the second. */
static Pprof__Profile *difference(const struct made *now, const struct made *before)
{
	struct bytes plain = pack(&now->p), old_plain = pack(&before->p), written;
	struct bytes z = zip(plain.at, plain.count), old = zip(old_plain.at, old_plain.count);
	struct go_heap a = {.bytes = z.at, .count = z.count},
		       b = {.bytes = old.at, .count = old.count};
	assert_int_equal(write_both(a, b, 8 * MIB, &written), 0);
	free(plain.at);
	free(old_plain.at);
	free(z.at);
	free(old.at);
	Pprof__Profile *p = unpack(&written);
	check_valid(p, 4);
	return p;
}

static void a_stack_is_in_a_difference_once(void **state)
{
	struct made *now = make(3), *before = make(3);
	(void)state;
	/* As Go does: the same places with different ids. */
	for (size_t i = 0; i < 3; i++) {
		before->locations[i].address = now->locations[2 - i].address;
		before->ids[i] = now->ids[2 - i];
	}
	now->values[GOHEAP_INUSE_BYTES] += 100;
	before->values[GOHEAP_ALLOC_OBJECTS] += 7;
	Pprof__Profile *p = difference(now, before);
	assert_int_equal(p->n_sample, 1);
	const int64_t changed[] = {-7, 0, 0, 100};
	assert_memory_equal(p->sample[0]->value, changed, sizeof(changed));
	pprof__profile__free_unpacked(p, NULL);

	/* Another line and size make another stack, and the old one is gone. */
	before->lines[0].line = 5;
	p = difference(now, before);
	assert_int_equal(p->n_sample, 2);
	assert_int_equal(p->sample[0]->value[GOHEAP_INUSE_BYTES], 113);
	assert_int_equal(p->sample[1]->value[GOHEAP_INUSE_BYTES], -13);
	assert_int_not_equal(p->sample[0]->location_id[0], p->sample[1]->location_id[0]);
	pprof__profile__free_unpacked(p, NULL);
	before->lines[0].line = 0;
	before->sample.n_label = now->sample.n_label = 1;
	now->labels[0].num = 8;
	p = difference(now, before);
	assert_int_equal(p->n_sample, 2);
	pprof__profile__free_unpacked(p, NULL);

	/* Two samples with one key: their sum counts. */
	before->sample.n_label = now->sample.n_label = 0;
	now->samples[1] = &now->sample;
	now->p.n_sample = 2;
	p = difference(now, before);
	assert_int_equal(p->n_sample, 2);
	assert_int_equal(p->sample[0]->value[GOHEAP_INUSE_BYTES], 100);
	assert_int_equal(p->sample[1]->value[GOHEAP_INUSE_BYTES], 113);
	pprof__profile__free_unpacked(p, NULL);
	free(now);
	free(before);
}

static void labels_of_a_later_go_are_kept(void **state)
{
	struct made *m = make(3);
	(void)state;
	m->sample.n_label = GOHEAP_MAX_LABELS;
	Pprof__Profile *p = taken(m);
	assert_int_equal(p->sample[0]->n_label, GOHEAP_MAX_LABELS + 1);
	assert_string_equal(string_at(p, p->sample[0]->label[0]->key), "tenant");
	assert_string_equal(string_at(p, p->sample[0]->label[0]->str), "acme");
	assert_true(has_comment(p, "Go's heap: every allocation"));
	pprof__profile__free_unpacked(p, NULL);
	m->sample.n_label++;
	assert_taken(m, false);
	free(m);
}

static void the_deepest_stacks_are_whole(void **state)
{
	struct made *m = make(GOHEAP_MAX_FRAMES);
	(void)state;
	for (size_t i = 0; i < 4; i++)
		m->values[i] = -1; /* ten bytes each */
	m->sample.n_label = GOHEAP_MAX_LABELS;
	m->locations[0].n_line = 200;
	for (size_t i = 0; i < 200; i++)
		m->lines[i].line = INT64_MAX;
	Pprof__Profile *p = taken(m);
	assert_int_equal(p->sample[0]->n_location_id, GOHEAP_MAX_FRAMES);
	assert_int_equal(location_of(p, p->sample[0]->location_id[0])->n_line, 200);
	assert_false(has_comment(p, PROFILE_PARTIAL_COMMENT));
	pprof__profile__free_unpacked(p, NULL);
	m->locations[0].n_line++;
	assert_taken(m, false);
	free(m);
	m = make(GOHEAP_MAX_FRAMES + 1);
	assert_taken(m, false);
	free(m);
}

static void what_is_no_heap_profile_is_refused(void **state)
{
	struct made *m = make(3);
	(void)state;
	assert_taken(m, true);
	m->p.n_sample_type = 3;
	assert_taken(m, false);
	m->p.n_sample_type = 5;
	assert_taken(m, false);
	m->p.n_sample_type = 4;
	m->types[3].type = 5;
	assert_taken(m, false);
	m->types[3].type = 6;
	m->p.period_type = NULL;
	assert_taken(m, false);
	m->p.period_type = &m->period;
	m->sample.n_value = 5;
	assert_taken(m, false);
	m->sample.n_value = 3;
	assert_taken(m, false);
	m->sample.n_value = 4;
	assert_taken(m, true);
	free(m);
}

static void what_refers_to_nothing_is_refused(void **state)
{
	struct made *m = make(3);
	int64_t *texts[] = {&m->function.name, &m->function.filename, &m->function.system_name,
			    &m->labels[0].str, &m->labels[0].key,     &m->types[1].unit};
	uint64_t *ids[] = {&m->ids[1], &m->lines[0].function_id, &m->locations[2].id,
			   &m->function.id};
	(void)state;
	m->sample.n_label = 1;
	assert_taken(m, true);
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		static const int64_t bad[] = {COUNT_OF(words), -1, INT64_MAX, INT64_MIN};
		int64_t good = *texts[i];
		for (size_t n = 0; n < COUNT_OF(bad); n++) {
			*texts[i] = bad[n];
			assert_taken(m, false);
		}
		*texts[i] = good;
	}
	for (size_t i = 0; i < COUNT_OF(ids); i++) {
		static const uint64_t bad[] = {0, 5, 1 << 19, UINT64_MAX};
		uint64_t good = *ids[i];
		for (size_t n = 0; n < COUNT_OF(bad); n++) {
			*ids[i] = bad[n];
			assert_taken(m, false);
		}
		*ids[i] = good;
	}
	m->locations[2].id = 2; /* twice */
	assert_taken(m, false);
	free(m);
}

/* A table of many strings, which are not UTF-8, some of them long. */
static void many_strings_keep_their_places(void **state)
{
	enum { MANY = 20000 };
	struct made *m = make(1);
	char **table = calloc(MANY, sizeof(*table));
	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		table[i] = malloc(i == 12000 ? 60000 : 20);
		snprintf(table[i], 20, "\xff%zu", i);
		if (i < COUNT_OF(words))
			strcpy(table[i], words[i]);
	}
	memset(table[12000], 'x', 59999);
	table[12000][59999] = 0;
	m->p.string_table = table;
	m->p.n_string_table = MANY;
	m->function.name = 12000;
	m->function.filename = MANY - 1;
	Pprof__Profile *p = taken(m);
	assert_int_equal(strlen(string_at(p, p->function[0]->name)), 59999);
	assert_string_equal(string_at(p, p->function[0]->filename), "?19999");
	pprof__profile__free_unpacked(p, NULL);
	for (size_t i = 0; i < MANY; i++)
		free(table[i]);
	free(table);
	free(m);
}

/* ---- memory ------------------------------------------------------------- */

static void without_memory_it_is_left_out(void **state)
{
	struct go_heap heap = {.bytes = go_gzip.at, .count = go_gzip.count};
	size_t whole = 0, left_out = 0;
	(void)state;
	for (size_t max = 0; max < 4 * MIB; max += 64 * KIB) {
		struct bytes written;
		if (write_both(heap, (struct go_heap){0}, max, &written) != 0) {
			free(written.at);
			continue;
		}
		Pprof__Profile *p = unpack(&written);
		check_valid(p, 4);
		whole += p->n_sample == 3;
		left_out += p->n_sample == 0;
		assert_true(p->n_sample == 3 || has_comment(p, PROFILE_PARTIAL_COMMENT));
		assert_true(p->n_sample == 3 || is_refused(p));
		pprof__profile__free_unpacked(p, NULL);
	}
	assert_true(whole > 10 && left_out > 1);
}

/* A full string table: Go's strings come after it, and our later ones after those. */
static void a_partial_profile_has_it_whole(void **state)
{
	enum { MANY = 1100 };
	static char texts[MANY][8];
	static const char *comments[MANY + 1];
	struct scratch scratch = SCRATCH_INIT(8 * MIB);
	struct snapshot none = {.time_ns = clock_monotonic_ns()};
	struct profile_options o = {.symbols = true,
				    .comments = comments,
				    .go = {.bytes = go_gzip.at, .count = go_gzip.count}};
	struct kept kept;
	kept_init(&kept, SIZE_MAX);
	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		snprintf(texts[i], sizeof(texts[i]), "%zu", i);
		comments[i] = texts[i];
	}
	assert_int_equal(profile_write(&scratch, &none, &o, &kept.sink), 0);
	struct bytes written = {kept.bytes, kept.count};
	scratch_release(&scratch);
	Pprof__Profile *p = unpack(&written);
	check_valid(p, 4);
	assert_int_equal(p->n_sample, 3);
	check_frame(p, p->sample[1]->location_id[0], "main.hold", "service/main.go", 14, 12);
	assert_true(has_comment(p, PROFILE_PARTIAL_COMMENT));
	pprof__profile__free_unpacked(p, NULL);
}

/* ---- the memory profile -------------------------------------------------- */

static Pprof__Profile *memory_profile(const struct account *a, const struct go_heap *heap)
{
	struct scratch scratch = SCRATCH_INIT(8 * MIB);
	static const char *const comments[] = {NULL};
	struct account_parts parts = {0};
	struct kept kept;
	kept_init(&kept, SIZE_MAX);
	assert_int_equal(profile_memory_write(&scratch, a, &parts, heap, comments, &kept.sink), 0);
	struct bytes written = {kept.bytes, kept.count};
	scratch_release(&scratch);
	Pprof__Profile *p = unpack(&written);
	check_valid(p, 1);
	return p;
}

static const char *name_of(const Pprof__Profile *p, uint64_t location)
{
	return string_at(p, function_of(p, location_of(p, location)->line[0]->function_id)->name);
}

/* In [go_heap]: all of it, or the part with this leaf. */
static int64_t go_bytes(const Pprof__Profile *p, const char *leaf)
{
	int64_t sum = 0;
	for (size_t i = 0; i < p->n_sample; i++) {
		const Pprof__Sample *s = p->sample[i];
		assert_true(s->value[0] > 0);
		assert_int_equal(s->n_label, 0);
		if (strcmp(name_of(p, s->location_id[s->n_location_id - 1]), "[go_heap]") == 0 &&
		    (!leaf || strcmp(name_of(p, s->location_id[0]), leaf) == 0))
			sum += s->value[0];
	}
	return sum;
}

static struct account account_of(uint64_t go_heap)
{
	struct account a = {.rss_bytes = go_heap};
	a.owners[OWNER_GO_HEAP].resident = go_heap;
	for (size_t i = 0; i < CGOHEAP_GO_FIGURES; i++)
		a.go.runtime[i] = UNKNOWN;
	return a;
}

#define LIVE_IN_FILE (8175519 + 6307089 + 3638089)

static void memory_has_live_objects_by_stack(void **state)
{
	struct go_heap heap = {.bytes = go_gzip.at, .count = go_gzip.count};
	struct account a = account_of(LIVE_IN_FILE + 1000);
	(void)state;
	Pprof__Profile *p = memory_profile(&a, &heap);
	assert_int_equal(go_bytes(p, "main.hold"), LIVE_IN_FILE);
	assert_int_equal(go_bytes(p, "[stack not known]"), 1000);
	assert_int_equal(go_bytes(p, NULL), LIVE_IN_FILE + 1000);
	assert_true(has_comment(p, "Go's heap: sampled every 524288 bytes on average"));
	pprof__profile__free_unpacked(p, NULL);
}

static void memory_has_the_rest_by_gos_figures(void **state)
{
	struct go_heap heap = {.bytes = go_gzip.at, .count = go_gzip.count};
	struct account a = account_of(LIVE_IN_FILE + 10000);
	uint64_t *f = a.go.runtime;
	(void)state;
	f[CGOHEAP_GO_HEAP_LIVE] = LIVE_IN_FILE + 100;
	f[CGOHEAP_GO_HEAP_OBJECTS] = LIVE_IN_FILE + 300;
	f[CGOHEAP_GO_HEAP_UNUSED] = 400;
	f[CGOHEAP_GO_HEAP_FREE] = 5000;
	Pprof__Profile *p = memory_profile(&a, &heap);
	assert_int_equal(go_bytes(p, "[stack not known]"), 100);
	assert_int_equal(go_bytes(p, "[dead or new objects]"), 200);
	assert_int_equal(go_bytes(p, "[free slots in spans]"), 400);
	assert_int_equal(go_bytes(p, "[free spans]"), 5000);
	assert_int_equal(go_bytes(p, "[not in Go's figures]"), 10000 - 5700);
	assert_int_equal(go_bytes(p, NULL), LIVE_IN_FILE + 10000);
	pprof__profile__free_unpacked(p, NULL);

	/* More than is resident: each is scaled down equally, and none is lost. */
	a.owners[OWNER_GO_HEAP].resident = LIVE_IN_FILE + 571;
	p = memory_profile(&a, &heap);
	assert_int_equal(go_bytes(p, "main.hold"), LIVE_IN_FILE);
	assert_in_range(go_bytes(p, "[free spans]"), 499, 502);
	assert_int_equal(go_bytes(p, NULL), LIVE_IN_FILE + 571);
	pprof__profile__free_unpacked(p, NULL);
}

static void memory_loses_no_byte_by_scaling(void **state)
{
	struct go_heap heap = {.bytes = go_gzip.at, .count = go_gzip.count};
	(void)state;
	for (uint64_t resident = 1; resident < LIVE_IN_FILE; resident = resident * 3 + 1) {
		struct account a = account_of(resident);
		Pprof__Profile *p = memory_profile(&a, &heap);
		assert_int_equal(go_bytes(p, NULL), resident);
		assert_int_equal(go_bytes(p, "main.hold"), resident);
		pprof__profile__free_unpacked(p, NULL);
	}
}

static void memory_without_it_still_adds_up(void **state)
{
	struct go_heap missed = {0}, cut = {.bytes = go_gzip.at, .count = go_gzip.count - 9};
	struct account a = account_of(12345);
	(void)state;
	Pprof__Profile *p = memory_profile(&a, NULL); /* no package: only the root */
	assert_int_equal(go_bytes(p, "[go_heap]"), 12345);
	pprof__profile__free_unpacked(p, NULL);
	p = memory_profile(&a, &missed);
	assert_int_equal(go_bytes(p, "[stack not known]"), 12345);
	assert_true(has_comment(p, PROFILE_GO_MISSED_COMMENT));
	pprof__profile__free_unpacked(p, NULL);
	p = memory_profile(&a, &cut);
	assert_int_equal(go_bytes(p, "[stack not known]"), 12345);
	assert_true(has_comment(p, PROFILE_GO_DAMAGED_COMMENT));
	pprof__profile__free_unpacked(p, NULL);
	for (size_t i = 0; i < CGOHEAP_GO_FIGURES; i++)
		a.go.runtime[i] = UINT64_MAX / 2; /* impossible figures */
	p = memory_profile(&a, &missed);
	assert_int_equal(go_bytes(p, NULL), 12345);
	pprof__profile__free_unpacked(p, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_go_wrote_is_there),
		cmocka_unit_test(growth_takes_before_from_it),
		cmocka_unit_test(a_damaged_stream_is_refused),
		cmocka_unit_test(a_damaged_profile_is_refused_or_valid),
		cmocka_unit_test(what_unpacks_to_too_much_is_refused),
		cmocka_unit_test(a_stack_is_in_a_difference_once),
		cmocka_unit_test(labels_of_a_later_go_are_kept),
		cmocka_unit_test(the_deepest_stacks_are_whole),
		cmocka_unit_test(what_is_no_heap_profile_is_refused),
		cmocka_unit_test(what_refers_to_nothing_is_refused),
		cmocka_unit_test(many_strings_keep_their_places),
		cmocka_unit_test(without_memory_it_is_left_out),
		cmocka_unit_test(a_partial_profile_has_it_whole),
		cmocka_unit_test(memory_has_live_objects_by_stack),
		cmocka_unit_test(memory_has_the_rest_by_gos_figures),
		cmocka_unit_test(memory_loses_no_byte_by_scaling),
		cmocka_unit_test(memory_without_it_still_adds_up),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
