/*
 * Profiles of handmade stacks, unpacked and read back; and what remains of them when memory runs
 * out or the reader goes away. (Stacks of a real Go program, read by pprof itself:
 * tests/profile.)
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/clock.h"
#include "record/control.h"
#include "record/live.h"
#include "record/sample.h"
#include "profile/profile.h"
#include "profile/profile_job.h"
#include "profile.pb-c.h"
#include "base/work.h"
#include "kept.h"
#include "region/region.h"
#include "record/stacks.h"
#include "hook/real.h"

/* ---- what was written -------------------------------------------------- */

static Pprof__Profile *unpack(const struct kept *b)
{
	size_t room = 64 * MIB;
	unsigned char *plain = malloc(room);
	z_stream z = {.next_in = b->bytes,
		      .avail_in = (unsigned)b->count,
		      .next_out = plain,
		      .avail_out = (unsigned)room};
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	Pprof__Profile *p = pprof__profile__unpack(NULL, z.total_out, plain);
	inflateEnd(&z);
	free(plain);
	assert_non_null(p);
	return p;
}

static const char *string_at(const Pprof__Profile *p, int64_t id)
{
	assert_true(id >= 0 && (size_t)id < p->n_string_table);
	return p->string_table[id];
}

/* ---- what must hold for every profile --------------------------------- */

static void check_header(const Pprof__Profile *p)
{
	static const char *const types[] = {"alloc_objects", "alloc_space", "inuse_objects",
					    "inuse_space"};
	static const char *const units[] = {"count", "bytes", "count", "bytes"};
	assert_int_equal(p->n_sample_type, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(string_at(p, p->sample_type[i]->type), types[i]);
		assert_string_equal(string_at(p, p->sample_type[i]->unit), units[i]);
	}
	assert_string_equal(string_at(p, p->period_type->type), "space");
	assert_string_equal(string_at(p, p->period_type->unit), "bytes");
	assert_string_equal(p->string_table[0], "");
	assert_true(p->period > 0 && p->time_nanos > 0);
	assert_int_equal(p->default_sample_type, 0);
	for (size_t i = 0; i < p->n_comment; i++)
		assert_true(*string_at(p, p->comment[i]));
}

static bool has_mapping(const Pprof__Profile *p, uint64_t id)
{
	for (size_t i = 0; i < p->n_mapping; i++)
		if (p->mapping[i]->id == id)
			return true;
	return false;
}

static bool has_function(const Pprof__Profile *p, uint64_t id)
{
	for (size_t i = 0; i < p->n_function; i++)
		if (p->function[i]->id == id)
			return true;
	return false;
}

static const Pprof__Location *location_of(const Pprof__Profile *p, uint64_t id)
{
	for (size_t i = 0; i < p->n_location; i++)
		if (p->location[i]->id == id)
			return p->location[i];
	return NULL;
}

static void check_ids(const Pprof__Profile *p)
{
	for (size_t i = 0; i < p->n_location; i++) {
		const Pprof__Location *l = p->location[i];
		assert_true(l->mapping_id == 0 || has_mapping(p, l->mapping_id));
		for (size_t n = 0; n < l->n_line; n++)
			assert_true(has_function(p, l->line[n]->function_id));
	}
	for (size_t i = 0; i < p->n_function; i++) {
		assert_true(*string_at(p, p->function[i]->name));
		string_at(p, p->function[i]->filename);
	}
	for (size_t i = 0; i < p->n_sample; i++) {
		assert_int_equal(p->sample[i]->n_value, 4);
		for (size_t n = 0; n < p->sample[i]->n_location_id; n++)
			assert_non_null(location_of(p, p->sample[i]->location_id[n]));
	}
}

static bool has_comment(const Pprof__Profile *p, const char *text)
{
	for (size_t i = 0; i < p->n_comment; i++)
		if (strcmp(string_at(p, p->comment[i]), text) == 0)
			return true;
	return false;
}

static Pprof__Profile *checked(const struct kept *b)
{
	Pprof__Profile *p = unpack(b);
	check_header(p);
	check_ids(p);
	return p;
}

/* ---- what there is to write ------------------------------------------- */

static struct tally list[512];
static struct snapshot snapshot = {.tallies = list};

static struct tally *tally_add(const struct capture *c, uint64_t size, enum origin origin)
{
	struct tally *t = &list[snapshot.count++];
	*t = (struct tally){.site = stacks_site(c, size, origin)};
	assert_int_not_equal(t->site, 0);
	return t;
}

/* Addresses in no file: 0x1000 times the number, plus one. */
static struct capture made_up(uint32_t count, uint64_t number)
{
	struct capture c = {.count = count, .end = CAPTURE_COMPLETE_THREAD};
	for (uint32_t i = 0; i < count; i++)
		c.frames[i] = 0x1000 * (number + i) + 1;
	return c;
}

static const struct profile_options as_profile = {.format = PROFILE_GZIP, .symbols = true};
static const struct profile_options as_text = {.format = PROFILE_TEXT, .symbols = true};

static int write_within(size_t scratch_bytes, const struct profile_options *options, struct kept *b)
{
	struct scratch scratch = SCRATCH_INIT(scratch_bytes);
	int result = profile_write(&scratch, &snapshot, options, &b->sink);
	scratch_release(&scratch);
	return result;
}

static void write_whole(const struct profile_options *options, struct kept *b)
{
	kept_init(b, SIZE_MAX);
	assert_int_equal(write_within(8 * MIB, options, b), 0);
}

static int setup(void **state)
{
	(void)state;
	if (region_init(32 * MIB))
		return -1;
	control_init(&(struct control_start){.sample_bytes = 524288});
	real_resolve();
	return 0;
}

static int start_test(void **state)
{
	(void)state;
	work_begin(0);
	snapshot.count = 0;
	snapshot.time_ns = clock_monotonic_ns();
	return 0;
}

/* ---- tests ------------------------------------------------------------ */

static void test_empty(void **state)
{
	struct kept b;
	(void)state;
	write_whole(&as_profile, &b);
	Pprof__Profile *p = checked(&b);
	assert_int_equal(p->n_sample, 0);
	assert_int_equal(p->n_location, 0);
	assert_int_equal(p->n_mapping, 1); /* the program's */
	assert_non_null(strstr(string_at(p, p->mapping[0]->filename), "test_profile"));
	assert_true(p->mapping[0]->has_functions);
	assert_int_equal(p->period, 524288);
	pprof__profile__free_unpacked(p, NULL);
	free(b.bytes);
}

static void check_sample(const Pprof__Profile *p, const Pprof__Sample *s, const int64_t values[4],
			 const char *origin, int64_t bytes)
{
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(s->value[i], values[i]);
	assert_int_equal(s->n_label, bytes ? 2 : 1);
	assert_string_equal(string_at(p, s->label[0]->key), "origin");
	assert_string_equal(string_at(p, s->label[0]->str), origin);
	if (!bytes)
		return;
	assert_string_equal(string_at(p, s->label[1]->key), "bytes");
	assert_int_equal(s->label[1]->num, bytes);
	assert_int_equal(s->label[1]->num_unit, 0);
}

static void test_figures_and_labels(void **state)
{
	struct capture c = made_up(3, 1);
	struct kept b;
	(void)state;
	struct tally *t = tally_add(&c, 64, ORIGIN_MALLOC);
	t->alloc_objects = 5, t->alloc_bytes = 320, t->inuse_objects = 2, t->inuse_bytes = 128;
	t = tally_add(&c, 4096, ORIGIN_MMAP);
	t->alloc_objects = 1, t->alloc_bytes = 4096, t->inuse_objects = -1, t->inuse_bytes = -4096;
	tally_add(&c, 128, ORIGIN_MALLOC); /* all zero: left out */
	t = tally_add(&c, 0, ORIGIN_THREAD_STACK);
	t->alloc_objects = 7;
	write_whole(&as_profile, &b);
	Pprof__Profile *p = checked(&b);
	assert_int_equal(p->n_sample, 3);
	check_sample(p, p->sample[0], (int64_t[]){5, 320, 2, 128}, "malloc", 64);
	check_sample(p, p->sample[1], (int64_t[]){1, 4096, -1, -4096}, "mmap", 4096);
	check_sample(p, p->sample[2], (int64_t[]){7, 0, 0, 0}, "thread_stack", 0);
	assert_int_equal(p->n_location, 3);
	assert_int_equal(p->sample[0]->n_location_id, 3);
	const Pprof__Location *leaf = location_of(p, p->sample[0]->location_id[0]);
	assert_int_equal(leaf->address, 0x1000); /* the return address less one */
	assert_int_equal(leaf->mapping_id, 0);
	assert_int_equal(leaf->n_line, 0);
	pprof__profile__free_unpacked(p, NULL);
	free(b.bytes);
}

/* The name of a sample's frame, or "". */
static const char *name_of(const Pprof__Profile *p, const Pprof__Sample *s, size_t frame)
{
	assert_true(frame < s->n_location_id);
	const Pprof__Location *l = location_of(p, s->location_id[frame]);
	if (!l->n_line)
		return "";
	for (size_t i = 0; i < p->n_function; i++)
		if (p->function[i]->id == l->line[0]->function_id)
			return string_at(p, p->function[i]->name);
	return "";
}

static void test_names_and_mappings(void **state)
{
	struct kept b;
	(void)state;
	struct capture c = {.count = 2, .end = CAPTURE_COMPLETE_THREAD};
	c.frames[0] = (uint64_t)real.malloc + 1;
	c.frames[1] = (uint64_t)test_empty + 2;
	tally_add(&c, 64, ORIGIN_MALLOC)->alloc_objects = 1;
	write_whole(&as_profile, &b);
	Pprof__Profile *p = checked(&b);
	assert_non_null(strstr(name_of(p, p->sample[0], 0), "malloc"));
	assert_string_equal(name_of(p, p->sample[0], 1), "test_empty");
	assert_true(p->n_mapping >= 2);
	const Pprof__Location *own = location_of(p, p->sample[0]->location_id[1]);
	assert_int_equal(own->mapping_id, 1);
	assert_true(p->mapping[0]->memory_start <= own->address &&
		    own->address < p->mapping[0]->memory_limit);
	assert_true(p->mapping[0]->has_functions);
	pprof__profile__free_unpacked(p, NULL);
	free(b.bytes);

	struct profile_options bare = as_profile;
	bare.symbols = false;
	write_whole(&bare, &b);
	p = checked(&b);
	assert_int_equal(p->n_function, 0);
	for (size_t i = 0; i < p->n_mapping; i++)
		assert_false(p->mapping[i]->has_functions);
	pprof__profile__free_unpacked(p, NULL);
	free(b.bytes);
}

static void test_marks(void **state)
{
	struct kept b;
	(void)state;
	struct capture gap = made_up(4, 10), cut = made_up(2, 20), deep = made_up(2, 30);
	struct capture full = made_up(CAPTURE_MAX_FRAMES, 40), none = {.end = CAPTURE_NO_ROOM};
	gap.omitted_at = full.omitted_at = 2;
	gap.end = CAPTURE_TOO_DEEP;
	cut.end = CAPTURE_BAD_STACK;
	deep.end = CAPTURE_TOO_DEEP;
	tally_add(&gap, 64, ORIGIN_MALLOC)->alloc_objects = 1;
	tally_add(&cut, 64, ORIGIN_MALLOC)->alloc_objects = 1;
	tally_add(&deep, 64, ORIGIN_MALLOC)->alloc_objects = 1;
	tally_add(&full, 64, ORIGIN_MALLOC)->alloc_objects = 1;
	tally_add(&none, 64, ORIGIN_MALLOC)->inuse_bytes = 64;
	write_whole(&as_profile, &b);
	Pprof__Profile *p = checked(&b);
	assert_int_equal(p->sample[0]->n_location_id, 5);
	assert_string_equal(name_of(p, p->sample[0], 2), "[frames not known]");
	assert_int_equal(p->sample[1]->n_location_id, 3);
	assert_string_equal(name_of(p, p->sample[1], 2), "[truncated: bad_stack]");
	assert_string_equal(name_of(p, p->sample[2], 2), "[truncated: too_deep]");
	assert_string_equal(name_of(p, p->sample[3], 2), "[frames omitted]");
	assert_int_equal(p->sample[4]->n_location_id, 1);
	assert_string_equal(name_of(p, p->sample[4], 0), "[truncated: no_room]");
	assert_int_equal(p->n_function, 5);
	pprof__profile__free_unpacked(p, NULL);
	free(b.bytes);
}

static void test_comments(void **state)
{
	static const char *const given[] = {"one",
					    "tw\xff"
					    "o\xc3\xa9",
					    NULL};
	struct profile_options o = as_profile;
	struct kept b;
	(void)state;
	o.comments = given;
	o.is_growth = true;
	o.duration_ns = 30250000000;
	o.min_age_ns = 600000000000;
	write_whole(&o, &b);
	Pprof__Profile *p = checked(&b);
	assert_int_equal(p->n_comment, 4);
	assert_true(has_comment(p, "one"));
	assert_true(has_comment(p, "tw?o\xc3\xa9")); /* not UTF-8 */
	assert_true(has_comment(p, "growth over 30.250 s"));
	assert_true(has_comment(p, "only blocks at least 600.000 s old; alloc_* repeats inuse_*"));
	assert_int_equal(p->duration_nanos, 30250000000);
	pprof__profile__free_unpacked(p, NULL);
	free(b.bytes);
}

/* 200 stacks of up to 128 frames, all different and hard to compress, so that the output
 * comes in several pieces. */
static void add_many(void)
{
	for (uint32_t i = 0; i < 200; i++) {
		struct capture c = made_up(1 + i % CAPTURE_MAX_FRAMES, 1000 * (i + 1));
		for (uint32_t f = 0; f < c.count; f++)
			c.frames[f] = (c.frames[f] * UINT64_C(0x9E3779B97F4A7C15) >> 16) | 1;
		c.frames[0] = (uint64_t)real.malloc + 1;
		struct tally *t = tally_add(&c, 16 + i, ORIGIN_MALLOC);
		t->alloc_objects = t->inuse_objects = 1;
		t->alloc_bytes = t->inuse_bytes = 16 + i;
	}
}

static void test_many_locations(void **state)
{
	struct kept b;
	size_t frames = 1; /* malloc */
	(void)state;
	add_many();
	for (uint32_t i = 0; i < 200; i++)
		frames += i % CAPTURE_MAX_FRAMES;
	write_whole(&as_profile, &b);
	Pprof__Profile *p = checked(&b);
	assert_int_equal(p->n_sample, 200);
	assert_int_equal(p->n_location, frames);
	for (size_t i = 0; i < 200; i++)
		assert_int_equal(p->sample[i]->n_location_id, 1 + i % CAPTURE_MAX_FRAMES);
	assert_false(has_comment(p, PROFILE_PARTIAL_COMMENT));
	pprof__profile__free_unpacked(p, NULL);
	free(b.bytes);
}

/* Uses up all of a budget, for the test that follows. */
static void be_out_of_time(void)
{
	work_begin(1);
	while (work_may_go_on(1000000))
		;
}

/* If there is no time left, the totals are still right, and the profile says so. */
static void test_out_of_time(void **state)
{
	struct kept b;
	int64_t bytes = 0, objects = 0;
	(void)state;
	add_many();
	be_out_of_time();
	write_whole(&as_profile, &b);
	work_end();
	Pprof__Profile *p = checked(&b);
	for (size_t i = 0; i < p->n_sample; i++) {
		objects += p->sample[i]->value[2];
		bytes += p->sample[i]->value[3];
	}
	assert_int_equal(objects, 200);
	assert_int_equal(bytes, 200 * 16 + 199 * 200 / 2);
	assert_int_equal(p->n_sample, 1);
	assert_true(has_comment(p, WORK_MISSING));
	pprof__profile__free_unpacked(p, NULL);
	free(b.bytes);

	be_out_of_time();
	write_whole(&as_text, &b);
	work_end();
	assert_memory_equal(b.bytes, "heap profile: 200: 23100 [", 26);
	assert_non_null(strstr((char *)b.bytes,
			       "# " WORK_MISSING ": the 200 smallest of 200 stacks are not shown"));
	free(b.bytes);
}

static void test_text_of_bounded_size(void **state)
{
	struct profile_options bounded = as_text;
	struct kept b;
	(void)state;
	add_many();
	bounded.most_text_bytes = 10000;
	write_whole(&bounded, &b);
	assert_true(b.count > 10000 && b.count < 20000);
	assert_memory_equal(b.bytes, "heap profile: 200: 23100 [", 26);
	assert_non_null(strstr((char *)b.bytes,
			       " smallest of 200 stacks are not shown; without debug=1 all are"));
	free(b.bytes);
}

/* With any amount of memory: nothing at all, or a valid profile with every figure, which says
 * what it lacks. */
static void check_within(size_t scratch_bytes, int outcomes[3])
{
	struct kept b;
	int64_t sum = 0;
	kept_init(&b, SIZE_MAX);
	if (write_within(scratch_bytes, &as_profile, &b)) {
		assert_int_equal(b.count, 0);
		outcomes[0]++;
		return;
	}
	Pprof__Profile *p = checked(&b);
	for (size_t i = 0; i < p->n_sample; i++)
		sum += p->sample[i]->value[3];
	assert_int_equal(sum, 200 * 16 + 199 * 200 / 2);
	outcomes[has_comment(p, PROFILE_PARTIAL_COMMENT) ? 1 : 2]++;
	pprof__profile__free_unpacked(p, NULL);
	free(b.bytes);
}

static void test_too_little_memory(void **state)
{
	int outcomes[3] = {0};
	(void)state;
	add_many();
	for (size_t bytes = 0; bytes < 4 * MIB; bytes += 64 * KIB)
		check_within(bytes, outcomes);
	for (int i = 0; i < 3; i++)
		assert_true(outcomes[i] > 0);
}

static void test_text_too_little_memory(void **state)
{
	int partial = 0, whole = 0;
	(void)state;
	add_many();
	for (size_t bytes = 0; bytes < 4 * MIB; bytes += 64 * KIB) {
		struct kept b;
		kept_init(&b, SIZE_MAX);
		if (write_within(bytes, &as_text, &b)) {
			assert_int_equal(b.count, 0);
			continue;
		}
		const char *text = (const char *)b.bytes;
		assert_non_null(strstr(text, "heap profile: 200: 23100 [200: 23101] @ heap/2\n"));
		if (strstr(text, "# " PROFILE_PARTIAL_COMMENT "\n"))
			partial++;
		else
			whole++;
		free(b.bytes);
	}
	assert_true(partial > 0 && whole > 0);
}

static void test_failing_sink(void **state)
{
	struct kept b;
	(void)state;
	add_many();
	for (int text = 0; text < 2; text++) {
		const struct profile_options *o = text ? &as_text : &as_profile;
		write_whole(o, &b);
		size_t all = b.count;
		free(b.bytes);
		for (size_t limit = 0; limit < all; limit += 1 + all / 20) {
			kept_init(&b, limit);
			assert_int_equal(write_within(8 * MIB, o, &b), -1);
			assert_true(b.failed);
			free(b.bytes);
		}
	}
}

static void check_text(const char *expected)
{
	static const char *const comments[] = {"sampled every 524288 bytes on average", NULL};
	struct profile_options o = as_text;
	struct kept b;
	o.comments = comments;
	write_whole(&o, &b);
	assert_int_equal(strncmp((const char *)b.bytes, expected, strlen(expected)), 0);
	const char *rest = (const char *)b.bytes + strlen(expected);
	assert_true(!*rest || strncmp(rest, "# standard errors: ", 19) == 0);
	free(b.bytes);
}

static void test_text(void **state)
{
	(void)state;
	struct capture c = made_up(3, 1);
	struct tally *t = tally_add(&c, 64, ORIGIN_MALLOC);
	t->alloc_objects = 5, t->alloc_bytes = 320, t->inuse_objects = 2, t->inuse_bytes = 128;
	t = tally_add(&c, 4096, ORIGIN_MMAP);
	t->alloc_objects = 1, t->alloc_bytes = 4096, t->inuse_objects = 1, t->inuse_bytes = 4096;
	tally_add(&c, 128, ORIGIN_MALLOC);
	check_text("heap profile: 3: 4224 [6: 4416] @ heap/2\n"
		   "1: 4096 [1: 4096] @ 0x1001 0x2001 0x3001\n"
		   "#\torigin=mmap bytes=4096\n"
		   "#\t0x1000\n#\t0x2000\n#\t0x3000\n"
		   "\n"
		   "2: 128 [5: 320] @ 0x1001 0x2001 0x3001\n"
		   "#\torigin=malloc bytes=64\n"
		   "#\t0x1000\n#\t0x2000\n#\t0x3000\n"
		   "\n"
		   "# sampled every 524288 bytes on average\n");
}

static void test_text_nothing_freed(void **state)
{
	(void)state;
	check_text("heap profile: 0: 0 [0: 1] @ heap/2\n# sampled every 524288 bytes on average\n");
	struct capture c = made_up(1, 1);
	struct tally *t = tally_add(&c, 8, ORIGIN_MALLOC);
	t->alloc_objects = t->inuse_objects = 1, t->alloc_bytes = t->inuse_bytes = 8;
	/* pprof would drop one of two equal columns. */
	check_text("heap profile: 1: 8 [1: 9] @ heap/2\n"
		   "1: 8 [1: 8] @ 0x1001\n#\torigin=malloc bytes=8\n#\t0x1000\n\n"
		   "# sampled every 524288 bytes on average\n");
}

static void test_text_shrinking(void **state)
{
	(void)state;
	struct capture c = made_up(1, 1);
	tally_add(&c, 8, ORIGIN_MALLOC)->inuse_bytes = -24;
	list[0].inuse_objects = -3;
	struct tally *t = tally_add(&c, 9, ORIGIN_MALLOC);
	t->alloc_objects = 1, t->alloc_bytes = 9, t->inuse_bytes = 1;
	check_text("heap profile: 0: 0 [1: 9] @ heap/2\n"
		   "# in use: -3: -23\n"
		   "# 0: 1 [1: 9] @ 0x1001\n#\torigin=malloc bytes=9\n#\t0x1000\n\n"
		   "-3: -24 [0: 0] @ 0x1001\n#\torigin=malloc bytes=8\n#\t0x1000\n\n"
		   "# sampled every 524288 bytes on average\n");
}

static void test_period(void **state)
{
	struct kept b;
	(void)state;
	control_sampling(true, 1, 0);
	write_whole(&as_profile, &b);
	control_sampling(true, 524288, 0);
	Pprof__Profile *p = checked(&b);
	assert_int_equal(p->period, 1);
	pprof__profile__free_unpacked(p, NULL);
	free(b.bytes);
}

/* ---- errors ------------------------------------------------------------- */

/* Blocks of one stack and size, sampled at this interval; their figures are in the profile. */
static void add_blocks(unsigned stack, uint64_t size, uint32_t interval, unsigned number)
{
	static uint64_t address = UINT64_C(0x7e0000000000);
	struct capture c = made_up(1, stack);
	struct weight w = sample_weight(size, interval), sum = {0};
	struct tally *t = tally_add(&c, size, ORIGIN_MALLOC);
	for (; number; number--) {
		struct live_block stale, b = {.address = address += 64,
					      .size = size,
					      .site = t->site,
					      .interval = interval};
		assert_int_equal(live_put(&b, &stale), 0);
		sum.objects_fx += w.objects_fx;
		sum.bytes_fx += w.bytes_fx;
	}
	t->alloc_objects = t->inuse_objects = (int64_t)(sum.objects_fx >> WEIGHT_OBJECT_BITS);
	t->alloc_bytes = t->inuse_bytes = (int64_t)(sum.bytes_fx >> WEIGHT_BYTE_BITS);
}

static bool begins_comment(const Pprof__Profile *p, const char *text)
{
	for (size_t i = 0; i < p->n_comment; i++)
		if (strncmp(string_at(p, p->comment[i]), text, strlen(text)) == 0)
			return true;
	return false;
}

/* 3 blocks of 16 bytes stand for about 3 intervals of bytes, each of which has an error of one. */
static void test_errors(void **state)
{
	struct kept b;
	(void)state;
	add_blocks(1, 16, 524288, 3);
	write_whole(&as_profile, &b);
	Pprof__Profile *p = checked(&b);
	assert_int_equal(p->n_comment, 1);
	assert_true(has_comment(p, "standard errors: alloc_objects 56756, alloc_space 908093, "
				   "inuse_objects 56756, inuse_space 908093"));
	pprof__profile__free_unpacked(p, NULL);
	free(b.bytes);
}

/* Each live block knows its interval; samples of one interval stand together. */
static void test_errors_after_a_change(void **state)
{
	struct kept b;
	(void)state;
	control_sampling(true, 4096, 0);
	control_sampling(true, 524288, 0);
	add_blocks(11, 16, 4096, 3);
	add_blocks(12, 16, 524288, 3);
	add_blocks(13, 16, 4096, 12);
	write_whole(&as_profile, &b);
	Pprof__Profile *p = checked(&b);
	assert_int_equal(p->n_sample, 3);
	assert_int_equal(p->sample[2]->value[3] / 524288, 3);
	assert_true(begins_comment(p, "intervals so far: 4096 to 524288 bytes, freed "));
	assert_true(has_comment(p, "intervals of samples, in order: 2 at 4096, 1 at 524288"));
	assert_true(has_comment(p, "standard errors: alloc_objects 56765, alloc_space 908232, "
				   "inuse_objects 56765, inuse_space 908232"));
	pprof__profile__free_unpacked(p, NULL);
	free(b.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_empty, start_test),
		cmocka_unit_test_setup(test_figures_and_labels, start_test),
		cmocka_unit_test_setup(test_names_and_mappings, start_test),
		cmocka_unit_test_setup(test_marks, start_test),
		cmocka_unit_test_setup(test_comments, start_test),
		cmocka_unit_test_setup(test_many_locations, start_test),
		cmocka_unit_test_setup(test_out_of_time, start_test),
		cmocka_unit_test_setup(test_text_of_bounded_size, start_test),
		cmocka_unit_test_setup(test_too_little_memory, start_test),
		cmocka_unit_test_setup(test_text_too_little_memory, start_test),
		cmocka_unit_test_setup(test_failing_sink, start_test),
		cmocka_unit_test_setup(test_text, start_test),
		cmocka_unit_test_setup(test_text_nothing_freed, start_test),
		cmocka_unit_test_setup(test_text_shrinking, start_test),
		cmocka_unit_test_setup(test_errors, start_test),
		cmocka_unit_test_setup(test_errors_after_a_change, start_test),
		cmocka_unit_test_setup(test_period, start_test),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
