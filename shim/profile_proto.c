/*
 * The profile as pprof reads it, proto/profile.proto, one message at a time.
 *
 * A mapping says that it has functions even where some of its locations have no
 * name.  Without that flag pprof would symbolize the whole mapping anew, and
 * what it puts in place of our names is worse: go tool pprof loses the name of
 * a C++ method, and that of any C function that was inlined somewhere too.  And
 * one location without a name would be enough to make it ask the server for
 * symbols, and give the profile up if there are none (docs/profile-format.md).
 */
#include <string.h>

#include "control.h"
#include "pprof_stream.h"
#include "profile.pb-c.h"
#include "sys.h"

/* What is to be said of one module. */
struct mapping {
	uint64_t id; /* 0: not written */
	bool is_used;
	bool lacks_files, lacks_lines, lacks_inlines; /* some location does */
};

struct proto_writer {
	struct profile_job job;
	struct pprof_stream stream;
	struct mapping *mappings;                /* by place in job.modules */
	uint64_t synthetic_ids[SYNTHETIC_COUNT]; /* of locations; 0: not written yet */
	uint64_t next_location_id;
};

/* ---- header and comments ---------------------------------------------- */

static int64_t realtime_at(uint64_t monotonic_ns)
{
	struct timespec now;
	if (clock_gettime(CLOCK_REALTIME, &now))
		return 0;
	uint64_t ago = control_monotonic_ns() - monotonic_ns;
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec - (int64_t)ago;
}

/* Exactly Go's heap profile: runtime/pprof/protomem.go.  It sets no default
 * sample type: pprof takes the last. */
static void write_header(struct proto_writer *w)
{
	static const char *const types[][2] = {{"alloc_objects", "count"},
					       {"alloc_space", "bytes"},
					       {"inuse_objects", "count"},
					       {"inuse_space", "bytes"}};
	Pprof__ValueType values[COUNT_OF(types)], *list[COUNT_OF(types)];
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		pprof__value_type__init(&values[i]);
		values[i].type = pprof_string(&w->stream, types[i][0]);
		values[i].unit = pprof_string(&w->stream, types[i][1]);
		list[i] = &values[i];
	}
	Pprof__ValueType period_type = PPROF__VALUE_TYPE__INIT;
	period_type.type = pprof_string(&w->stream, "space");
	period_type.unit = pprof_string(&w->stream, "bytes");
	Pprof__Profile header = PPROF__PROFILE__INIT;
	header.n_sample_type = COUNT_OF(list);
	header.sample_type = list;
	header.period_type = &period_type;
	header.period = control_get().sample_bytes;
	header.time_nanos = realtime_at(w->job.snapshot->time_ns);
	if (w->job.options->is_growth)
		header.duration_nanos = (int64_t)w->job.options->duration_ns;
	pprof_write(&w->stream, PPROF_TOP, &header);
}

static void write_comments(struct proto_writer *w)
{
	for (const char *const *c = profile_comments(&w->job); *c; c++)
		pprof_comment(&w->stream, *c);
}

/* ---- mappings --------------------------------------------------------- */

static const struct location *location_at(const struct profile_job *job, uint32_t place)
{
	return job->locations ? job->locations[place] : NULL;
}

/* The place in job.modules, or -1. */
static ptrdiff_t module_of(const struct profile_job *job, const struct location *l, uint64_t pc)
{
	const struct module *m = l ? l->module : modules_find(&job->modules, pc - 1);
	return m ? m - job->modules.list : -1;
}

static void mapping_note_location(struct mapping *m, const struct location *l)
{
	m->is_used = true;
	m->lacks_inlines |= !l || !l->is_go;
	m->lacks_files |= !l || !l->line_count;
	m->lacks_lines |= !l || !l->line_count;
	for (uint32_t i = 0; l && i < l->line_count; i++) {
		m->lacks_files |= !*l->lines[i].file;
		m->lacks_lines |= !l->lines[i].line;
	}
}

static void mappings_note_locations(struct proto_writer *w)
{
	struct profile_job *job = &w->job;
	for (uint32_t i = 0; i < job->pcs.count; i++) {
		const struct location *l = location_at(job, i);
		ptrdiff_t m = module_of(job, l, job->pcs.pcs[i]);
		if (m >= 0 && profile_shows(job, l))
			mapping_note_location(&w->mappings[m], l);
	}
}

static void write_mapping(struct proto_writer *w, size_t place, uint64_t id)
{
	const struct module *module = &w->job.modules.list[place];
	struct mapping *m = &w->mappings[place];
	bool symbols = w->job.options->symbols;
	Pprof__Mapping p = PPROF__MAPPING__INIT;
	m->id = id;
	p.id = id;
	p.memory_start = module->start;
	p.memory_limit = module->end;
	p.file_offset = module->file_offset;
	p.filename = pprof_string(&w->stream, module->path);
	p.build_id = pprof_string(&w->stream, module->build_id);
	p.has_functions = symbols;
	p.has_filenames = symbols && m->is_used && !m->lacks_files;
	p.has_line_numbers = symbols && m->is_used && !m->lacks_lines;
	p.has_inline_frames = symbols && m->is_used && !m->lacks_inlines;
	pprof_write(&w->stream, PPROF_MAPPING, &p);
}

/* The executable first, for pprof takes the first for the program, and even if no
 * frame is in it; of the others those that hold a frame. */
static void write_mappings(struct proto_writer *w)
{
	const struct modules *modules = &w->job.modules;
	uint64_t id = 1;
	w->mappings = scratch_alloc(w->job.scratch, modules->count * sizeof(*w->mappings));
	if (!w->mappings) {
		w->stream.partial = true;
		return;
	}
	mappings_note_locations(w);
	for (size_t i = 0; i < modules->count; i++)
		if (modules->list[i].is_main)
			write_mapping(w, i, id++);
	for (size_t i = 0; i < modules->count; i++)
		if (!modules->list[i].is_main && w->mappings[i].is_used)
			write_mapping(w, i, id++);
}

/* ---- functions and locations ------------------------------------------ */

#define LOCATION_MAX_LINES 64 /* more than GOSYM_MAX_INLINE */

struct lines {
	Pprof__Line list[LOCATION_MAX_LINES];
	Pprof__Line *pointers[LOCATION_MAX_LINES];
	size_t count;
};

static void lines_add(struct proto_writer *w, struct lines *lines, const struct source_line *s)
{
	struct pprof_function key = {.name = pprof_string(&w->stream, s->function),
				     .file = pprof_string(&w->stream, s->file),
				     .start_line = s->start_line};
	uint64_t id = pprof_function(&w->stream, &key);
	if (!id || lines->count == LOCATION_MAX_LINES)
		return;
	Pprof__Line *line = &lines->list[lines->count];
	pprof__line__init(line);
	line->function_id = id;
	line->line = s->line;
	lines->pointers[lines->count++] = line;
}

static void write_location(struct proto_writer *w, uint32_t place)
{
	struct profile_job *job = &w->job;
	const struct location *l = location_at(job, place);
	if (!profile_shows(job, l))
		return;
	struct lines lines;
	lines.count = 0;
	for (uint32_t i = 0; l && i < l->line_count; i++)
		lines_add(w, &lines, &l->lines[i]);
	ptrdiff_t m = w->mappings ? module_of(job, l, job->pcs.pcs[place]) : -1;
	Pprof__Location p = PPROF__LOCATION__INIT;
	p.id = place + 1;
	p.address = job->pcs.pcs[place] - 1;
	if (m >= 0)
		p.mapping_id = w->mappings[m].id;
	p.n_line = lines.count;
	p.line = lines.pointers;
	pprof_write(&w->stream, PPROF_LOCATION, &p);
}

static uint64_t count_lines(const struct profile_job *job)
{
	uint64_t lines = SYNTHETIC_COUNT;
	for (uint32_t i = 0; i < job->pcs.count; i++) {
		const struct location *l = location_at(job, i);
		lines += l ? l->line_count : 0;
	}
	return lines;
}

static void write_locations(struct proto_writer *w)
{
	pprof_reserve(&w->stream, count_lines(&w->job));
	for (uint32_t i = 0; i < w->job.pcs.count; i++)
		write_location(w, i);
}

/* A location of its own for each mark, in no mapping; written when first needed. */
static uint64_t synthetic_location(struct proto_writer *w, uint32_t synthetic)
{
	if (w->synthetic_ids[synthetic])
		return w->synthetic_ids[synthetic];
	char name[SYNTHETIC_NAME_BYTES];
	synthetic_name(synthetic, name);
	const char *kept = scratch_strdup(w->job.scratch, name, strlen(name));
	struct source_line line = {.function = kept ? kept : "[frames omitted]", .file = ""};
	struct lines lines;
	lines.count = 0;
	lines_add(w, &lines, &line);
	Pprof__Location p = PPROF__LOCATION__INIT;
	p.id = w->next_location_id++;
	p.n_line = lines.count;
	p.line = lines.pointers;
	pprof_write(&w->stream, PPROF_LOCATION, &p);
	w->synthetic_ids[synthetic] = p.id;
	return p.id;
}

/* ---- samples ---------------------------------------------------------- */

static void write_sample(struct proto_writer *w, const struct tally *t)
{
	const struct site *site = site_at(t->site);
	struct profile_frame frames[PROFILE_MAX_FRAMES];
	uint64_t ids[PROFILE_MAX_FRAMES];
	size_t count = profile_frames(&w->job, stack_at(site->stack), frames);
	for (size_t i = 0; i < count; i++)
		ids[i] = frames[i].synthetic ? synthetic_location(w, frames[i].synthetic)
					     : frames[i].place + UINT64_C(1);

	int64_t values[] = {t->alloc_objects, t->alloc_bytes, t->inuse_objects, t->inuse_bytes};
	Pprof__Label origin = PPROF__LABEL__INIT, bytes = PPROF__LABEL__INIT;
	Pprof__Label *labels[] = {&origin, &bytes};
	origin.key = pprof_string(&w->stream, "origin");
	origin.str = pprof_string(&w->stream,
				  site->origin < ORIGIN_COUNT ? origin_names[site->origin] : "");
	bytes.key = pprof_string(&w->stream, "bytes");
	bytes.num = (int64_t)site->size;
	Pprof__Sample p = PPROF__SAMPLE__INIT;
	p.n_location_id = count;
	p.location_id = ids;
	p.n_value = COUNT_OF(values);
	p.value = values;
	p.n_label = site->mixed || !site->size ? 1 : 2; /* Go leaves out a size of 0, too */
	p.label = labels;
	pprof_write(&w->stream, PPROF_SAMPLE, &p);
}

static void write_samples(struct proto_writer *w)
{
	const struct snapshot *s = w->job.snapshot;
	for (size_t i = 0; i < s->count && !gzip_failed(w->stream.gzip); i++)
		if (!tally_is_zero(&s->tallies[i]))
			write_sample(w, &s->tallies[i]);
}

/* ---- the whole -------------------------------------------------------- */

/* Few, and used by every sample: in the table before symbols can fill it. */
static void name_labels(struct proto_writer *w)
{
	pprof_string(&w->stream, "origin");
	pprof_string(&w->stream, "bytes");
	for (size_t i = 0; i < ORIGIN_COUNT; i++)
		pprof_string(&w->stream, origin_names[i]);
}

int profile_write_proto(struct scratch *scratch, const struct snapshot *snapshot,
			const struct profile_options *options, struct sink *sink)
{
	struct proto_writer *w = scratch_alloc(scratch, sizeof(*w));
	if (!w || !pprof_open(&w->stream, scratch, sink))
		return -1;
	profile_job_prepare(&w->job, scratch, snapshot, options);
	w->next_location_id = w->job.pcs.count + UINT64_C(1);
	write_header(w);
	name_labels(w);
	write_comments(w);
	write_mappings(w);
	write_locations(w);
	write_samples(w);
	return pprof_close(&w->stream);
}
