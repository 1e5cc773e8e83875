/*
 * The mappings, functions and locations of a binary profile's stacks.
 *
 * A mapping claims to have functions even if some of its locations have no name. Without that
 * flag pprof would symbolize the whole mapping again and replace our names by worse ones: go
 * tool pprof loses the name of a C++ method, and of any C function that was also inlined
 * somewhere. A single location without a name would also make it ask the server for symbols, and
 * give up the profile if there are none (docs/profile-format.md).
 */
#include "profile/profile_locations.h"

#include <string.h>

#include "profile.pb-c.h"
#include "profile/profile_labels.h"

/* What to write about one module. */
struct profile_mapping {
	uint64_t id; /* 0: not written */
	bool is_used;
	bool lacks_files, lacks_lines, lacks_inlines; /* at least one location does */
};

/* ---- mappings --------------------------------------------------------- */

/* The index in job.modules, or -1. */
static ptrdiff_t module_of(const struct profile_job *job, const struct pc_place *place)
{
	const struct location *l = place->location;
	const struct module *m = l ? l->module : modules_find(&job->modules, place->pc - 1);
	return m ? m - job->modules.list : -1;
}

static void mapping_note_location(struct profile_mapping *m, const struct location *l)
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

static void mappings_note_locations(struct profile_locations *w)
{
	struct profile_job *job = &w->job;
	for (uint32_t i = 0; i < job->pcs.count; i++) {
		const struct pc_place *place = &job->pcs.list[i];
		ptrdiff_t m = module_of(job, place);
		if (m >= 0 && place->is_shown)
			mapping_note_location(&w->mappings[m], place->location);
	}
}

static void write_mapping(struct profile_locations *w, size_t place, uint64_t id)
{
	const struct module *module = &w->job.modules.list[place];
	struct profile_mapping *m = &w->mappings[place];
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

/* The executable comes first, even if it has no frame, because pprof takes the first mapping
 * for the program; then the other mappings that have frames. */
static void write_mappings(struct profile_locations *w)
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

uint64_t profile_locations_mapping(const struct profile_locations *w, uint64_t address)
{
	const struct module *m = w->mappings ? modules_find(&w->job.modules, address) : NULL;
	return m ? w->mappings[m - w->job.modules.list].id : 0;
}

/* ---- functions and locations ------------------------------------------ */

#define LOCATION_MAX_LINES 64 /* more than GOSYM_MAX_INLINE */

struct procfile {
	Pprof__Line list[LOCATION_MAX_LINES];
	Pprof__Line *pointers[LOCATION_MAX_LINES];
	size_t count;
};

static void procfile_add(struct profile_locations *w, struct procfile *lines,
			 const struct source_line *s)
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

static void write_location(struct profile_locations *w, const struct pc_place *place)
{
	struct profile_job *job = &w->job;
	const struct location *l = place->location;
	if (!place->is_shown)
		return;
	struct procfile lines;
	lines.count = 0;
	for (uint32_t i = 0; l && i < l->line_count; i++)
		procfile_add(w, &lines, &l->lines[i]);
	ptrdiff_t m = w->mappings ? module_of(job, place) : -1;
	Pprof__Location p = PPROF__LOCATION__INIT;
	p.id = (uint64_t)(place - job->pcs.list) + 1;
	p.address = place->pc - 1;
	if (m >= 0)
		p.mapping_id = w->mappings[m].id;
	p.n_line = lines.count;
	p.line = lines.pointers;
	pprof_write(&w->stream, PPROF_LOCATION, &p);
}

static uint64_t count_lines(const struct profile_job *job)
{
	uint64_t lines = SYNTHETIC_COUNT + PROFILE_PLACES_NAMED;
	for (uint32_t i = 0; i < job->pcs.count; i++) {
		const struct location *l = job->pcs.list[i].location;
		lines += l ? l->line_count : 0;
	}
	return lines;
}

static void write_locations(struct profile_locations *w)
{
	pprof_reserve(&w->stream, count_lines(&w->job), profile_labels_strings());
	for (uint32_t i = 0; i < w->job.pcs.count; i++)
		write_location(w, &w->job.pcs.list[i]);
}

uint64_t profile_locations_named(struct profile_locations *w, const char *name)
{
	struct source_line line = {.function = name, .file = ""};
	struct procfile lines;
	lines.count = 0;
	procfile_add(w, &lines, &line);
	Pprof__Location p = PPROF__LOCATION__INIT;
	p.id = w->next_location_id++;
	p.n_line = lines.count;
	p.line = lines.pointers;
	pprof_write(&w->stream, PPROF_LOCATION, &p);
	return p.id;
}

/* One location per mark, written when first needed. */
static uint64_t synthetic_location(struct profile_locations *w, uint32_t synthetic)
{
	char name[SYNTHETIC_NAME_BYTES];
	if (w->synthetic_ids[synthetic])
		return w->synthetic_ids[synthetic];
	synthetic_name(synthetic, name);
	const char *kept = scratch_strdup(w->job.scratch, name, strlen(name));
	w->synthetic_ids[synthetic] = profile_locations_named(w, kept ? kept : "[frames omitted]");
	return w->synthetic_ids[synthetic];
}

static void read_stack(struct profile_locations *w, const struct stack *stack)
{
	struct profile_frame frames[PROFILE_MAX_FRAMES];
	w->last.stack = stack;
	w->last.count = profile_frames(&w->job, stack, frames);
	for (size_t i = 0; i < w->last.count; i++)
		w->last.ids[i] = frames[i].synthetic ? synthetic_location(w, frames[i].synthetic)
						     : frames[i].place + UINT64_C(1);
}

size_t profile_locations_stack(struct profile_locations *w, const struct stack *stack,
			       uint64_t ids[PROFILE_MAX_FRAMES])
{
	if (stack != w->last.stack)
		read_stack(w, stack);
	memcpy(ids, w->last.ids, w->last.count * sizeof(*ids));
	return w->last.count;
}

/* ---- all -------------------------------------------------------------- */

struct profile_locations *profile_locations_open(struct scratch *scratch, struct sink *sink)
{
	struct profile_locations *w = scratch_alloc(scratch, sizeof(*w));
	return w && pprof_open(&w->stream, scratch, sink) == 0 ? w : NULL;
}

int profile_locations_close(struct profile_locations *w)
{
	int result = pprof_close(&w->stream); /* it writes names */
	profile_job_end(&w->job);
	return result;
}

void profile_locations_write(struct profile_locations *w)
{
	w->next_location_id = w->job.pcs.count + UINT64_C(1);
	write_mappings(w);
	write_locations(w);
}
