/*
 * Any bytes for Go's heap profile, zipped here so that they get past the checksum, or
 * (first byte 'z') as they are: refused, or a profile in which every reference is to something.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "profile/goheap.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

#define MAX_ID (1u << 20)

/* Of what else is in their modules, nothing is needed: profile_job.c, profile_locations.c. */
int index_init(struct scratch *scratch, struct index *index, uint32_t capacity)
{
	uint32_t slots = 16;
	while (slots < 2 * capacity)
		slots *= 2;
	*index = (struct index){.slots = scratch_alloc(scratch, slots * sizeof(uint32_t)),
				.mask = slots - 1};
	return index->slots != NULL ? 0 : -1;
}

uint64_t profile_locations_mapping(const struct profile_locations *places, uint64_t address)
{
	(void)places;
	return address & 1;
}

static void emit(void *stream, Pprof__Sample *sample, uint64_t key)
{
	Pprof__Label label = PPROF__LABEL__INIT;
	label.num = (int64_t)key;
	sample->label[sample->n_label++] = &label;
	sample->location_id[sample->n_location_id] = sample->location_id[0];
	pprof_write(stream, PPROF_SAMPLE, sample);
}

struct output {
	uint8_t *bytes;
	size_t count;
};

static int keep(struct sink *sink, const void *bytes, size_t count)
{
	struct output *o = sink->arg;
	o->bytes = realloc(o->bytes, o->count + count);
	memcpy(o->bytes + o->count, bytes, count);
	o->count += count;
	return 0;
}

static struct output zip(const uint8_t *bytes, size_t count)
{
	struct output o = {malloc(count + 1024), count + 1024};
	z_stream z = {.next_in = (uint8_t *)bytes,
		      .avail_in = (unsigned)count,
		      .next_out = o.bytes,
		      .avail_out = (unsigned)o.count};
	if (deflateInit2(&z, 0, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK ||
	    deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	o.count = z.total_out;
	deflateEnd(&z);
	return o;
}

static Pprof__Profile *unpack(const struct output *o)
{
	size_t room = o->count * 1100 + 1024; /* deflate gains no more */
	uint8_t *plain = malloc(room);
	z_stream z = {.next_in = o->bytes,
		      .avail_in = (unsigned)o->count,
		      .next_out = plain,
		      .avail_out = (unsigned)room};
	if (inflateInit2(&z, 15 + 16) != Z_OK || inflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	Pprof__Profile *p = pprof__profile__unpack(NULL, z.total_out, plain);
	inflateEnd(&z);
	free(plain);
	if (!p)
		abort();
	return p;
}

static void check(const Pprof__Profile *p)
{
	static bool locations[MAX_ID], functions[MAX_ID];
	memset(locations, 0, sizeof(locations));
	memset(functions, 0, sizeof(functions));
	for (size_t i = 0; i < p->n_function; i++)
		functions[p->function[i]->id % MAX_ID] = true;
	for (size_t i = 0; i < p->n_location; i++) {
		locations[p->location[i]->id % MAX_ID] = true;
		for (size_t n = 0; n < p->location[i]->n_line; n++)
			if (!functions[p->location[i]->line[n]->function_id % MAX_ID])
				abort();
	}
	for (size_t i = 0; i < p->n_sample; i++) {
		if (p->sample[i]->n_value != GOHEAP_VALUES)
			abort();
		for (size_t n = 0; n < p->sample[i]->n_location_id; n++)
			if (!locations[p->sample[i]->location_id[n] % MAX_ID])
				abort();
		for (size_t n = 0; n < p->sample[i]->n_label; n++)
			if ((uint64_t)p->sample[i]->label[n]->key >= p->n_string_table ||
			    (uint64_t)p->sample[i]->label[n]->str >= p->n_string_table)
				abort();
	}
	for (size_t i = 0; i < p->n_function; i++)
		if ((uint64_t)p->function[i]->name >= p->n_string_table ||
		    (uint64_t)p->function[i]->filename >= p->n_string_table)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	static const uint8_t nothing[1];
	struct scratch scratch = SCRATCH_INIT(8 * MIB);
	struct output written = {0}, zipped = {0};
	struct sink sink = {.write = keep, .arg = &written};
	bool is_raw = count > 0 && bytes[0] == 'z';
	if (!is_raw)
		zipped = zip(count ? bytes : nothing, count);
	struct profile_locations places = {0};
	if (pprof_open(&places.stream, &scratch, &sink))
		abort();
	pprof_string(&places.stream, "bytes");
	struct goheap *heap =
		goheap_open(&scratch, &places.stream, is_raw ? bytes + 1 : zipped.bytes,
			    is_raw ? count - 1 : zipped.count);
	if (heap)
		goheap_write(heap, &places, emit, &places.stream);
	if (pprof_close(&places.stream) != 0)
		abort();
	Pprof__Profile *p = unpack(&written);
	check(p);
	pprof__profile__free_unpacked(p, NULL);
	scratch_release(&scratch);
	free(zipped.bytes);
	free(written.bytes);
	return 0;
}
