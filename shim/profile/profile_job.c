/*
 * See profile_job.h. The addresses of all samples are collected first, because symbols are read
 * once per file, not once per frame.
 */
#include "profile/profile_job.h"

#include <stdio.h>
#include <string.h>

#include "base/work.h"
#include "go/gosym.h"
#include "record/unloads.h"
#include "profile/profile_ages.h"
#include "profile/profile_frees.h"

int index_init(struct scratch *scratch, struct index *index, uint32_t capacity)
{
	uint64_t slots = 16;
	while (slots < (uint64_t)capacity * 2)
		slots *= 2;
	uint32_t *p = scratch_alloc(scratch, slots * sizeof(*p));
	if (!p)
		return -1;
	*index = (struct index){.slots = p, .mask = (uint32_t)(slots - 1)};
	return 0;
}

/* NULL: it is not in the set. */
static const struct pc_place *pc_set_find(const struct pc_set *set, uint64_t pc)
{
	uint32_t slot = index_first(&set->index, pc);
	if (!set->capacity)
		return NULL;
	for (uint32_t n; (n = set->index.slots[slot]); slot = index_next(&set->index, slot))
		if (set->list[n - 1].pc == pc)
			return &set->list[n - 1];
	return NULL;
}

static void pc_set_insert(struct pc_set *set, const struct pc_place *place)
{
	uint32_t slot = index_first(&set->index, place->pc);
	while (set->index.slots[slot])
		slot = index_next(&set->index, slot);
	set->list[set->count++] = *place;
	set->index.slots[slot] = set->count;
}

static int pc_set_grow(struct scratch *scratch, struct pc_set *set)
{
	struct pc_set bigger = {.capacity = set->capacity ? set->capacity * 2 : 2048};
	bigger.list = scratch_alloc(scratch, bigger.capacity * sizeof(*bigger.list));
	if (!bigger.list || index_init(scratch, &bigger.index, bigger.capacity))
		return -1;
	for (uint32_t i = 0; i < set->count; i++)
		pc_set_insert(&bigger, &set->list[i]);
	*set = bigger;
	return 0;
}

static int pc_set_add(struct scratch *scratch, struct pc_set *set, const struct pc_place *place)
{
	if (set->count == set->capacity && pc_set_grow(scratch, set))
		return -1;
	pc_set_insert(set, place);
	return 0;
}

/* Go's text belongs to the program and is never unloaded. */
static uint32_t place_unloaded(uint64_t pc)
{
	uint32_t latest = unloads_latest_at(pc);
	return latest && !gosym_in_text(pc - 1) ? latest : 0;
}

static int job_collect_stack(struct profile_job *job, const struct stack *s)
{
	for (uint32_t f = 0; f < s->frame_count; f++) {
		struct pc_place place = {.pc = s->frames[f]};
		if (pc_set_find(&job->pcs, place.pc))
			continue;
		place.unloaded = place_unloaded(place.pc);
		if (place.unloaded <= s->unloads && pc_set_add(job->scratch, &job->pcs, &place))
			return -1;
	}
	return 0;
}

const struct stack *profile_stack(const struct profile_job *job, const struct tally *t)
{
	return stack_at(job->options->view == PROFILE_FREES ? t->stack : site_at(t->site)->stack);
}

enum freed_by profile_freed_by(const struct profile_job *job, const struct tally *t)
{
	struct frees_kinds kinds;

	if (job->options->view == PROFILE_FREES)
		return (enum freed_by)t->freed_by;
	kinds = t->is_many ? frees_of_stack(site_at(t->site)->stack) : frees_of(t->site);
	return frees_most(&kinds);
}

/* The names of where blocks are allocated label the samples of who frees them. */
static int job_collect_allocating(struct profile_job *job, const struct tally *t)
{
	return job->options->view == PROFILE_FREES
		       ? job_collect_stack(job, stack_at(site_at(t->site)->stack))
		       : 0;
}

static void job_collect_pcs(struct profile_job *job)
{
	const struct stack *before = NULL; /* a stack's sites are neighbours */
	for (size_t i = 0; i < job->snapshot->count; i++) {
		const struct tally *t = &job->snapshot->tallies[i];
		if (tally_is_zero(t))
			continue;
		if (!work_may_go_on_first_half(2000))
			return;
		const struct stack *s = profile_stack(job, t);
		if ((s != before && job_collect_stack(job, s)) || job_collect_allocating(job, t))
			return;
		before = s;
	}
}

static bool shows(const struct profile_job *job, const struct location *l)
{
	if (!l || job->options->all_frames)
		return true;
	bool is_goexit = l->is_go && l->line_count == 1 &&
			 strcmp(l->lines[0].function, "runtime.goexit") == 0;
	return !l->is_plumbing && !is_goexit;
}

static void job_symbolize(struct profile_job *job)
{
	const struct pc_set *set = &job->pcs;
	struct scratch part = scratch_part(job->scratch);
	uint64_t *pcs = scratch_alloc(&part, set->count * sizeof(*pcs));
	for (uint32_t i = 0; pcs && i < set->count; i++)
		pcs[i] = set->list[i].pc;
	if (pcs && set->count)
		symbolize(job->scratch, &job->modules, pcs, set->count, job->options->symbols,
			  &job->symbols);
	scratch_part_end(job->scratch, &part);
	for (uint32_t i = 0; i < set->count; i++) {
		struct pc_place *place = &set->list[i];
		place->location = symbols_find(&job->symbols, place->pc);
		place->is_shown = shows(job, place->location);
		/* Code that was unloaded meanwhile may have been named by what came after it. */
		place->unloaded = place_unloaded(place->pc);
	}
}

void profile_job_prepare(struct profile_job *job, struct scratch *scratch,
			 const struct snapshot *snapshot, const struct profile_options *options)
{
	*job = (struct profile_job){.scratch = scratch, .snapshot = snapshot, .options = options};
	modules_read(scratch, &job->modules);
	job_collect_pcs(job);
	job_symbolize(job);
}

void profile_job_end(struct profile_job *job)
{
	symbols_release(&job->symbols);
}

struct tally profile_sum(const struct snapshot *s, size_t from)
{
	struct tally sum = {0};
	for (size_t i = from; i < s->count; i++) {
		sum.alloc_objects += s->tallies[i].alloc_objects;
		sum.alloc_bytes += s->tallies[i].alloc_bytes;
		sum.inuse_objects += s->tallies[i].inuse_objects;
		sum.inuse_bytes += s->tallies[i].inuse_bytes;
	}
	return sum;
}

void synthetic_name(uint32_t synthetic, char buffer[SYNTHETIC_NAME_BYTES])
{
	static const char *const marks[SYNTHETIC_COUNT] = {
		[SYNTHETIC_OMITTED] = "[frames omitted]",
		[SYNTHETIC_LOST] = "[frames not known]",
		[SYNTHETIC_UNLOADED] = "[unloaded library]",
		[SYNTHETIC_TRUNCATED + CAPTURE_RECLAIMED] = "[reclaimed stacks]",
	};
	if (marks[synthetic])
		snprintf(buffer, SYNTHETIC_NAME_BYTES, "%s", marks[synthetic]);
	else
		snprintf(buffer, SYNTHETIC_NAME_BYTES, "[truncated: %s]",
			 capture_end_name(synthetic - SYNTHETIC_TRUNCATED));
}

/* Frames were left out only if there was no room; otherwise they could not be found. */
static uint32_t gap_mark(const struct stack *s)
{
	return s->frame_count >= CAPTURE_MAX_FRAMES || s->end == CAPTURE_NO_ROOM ? SYNTHETIC_OMITTED
										 : SYNTHETIC_LOST;
}

/* One mark for consecutive frames that are missing for the same reason. */
static size_t frames_mark(struct profile_frame *frames, size_t n, uint32_t synthetic)
{
	if (n && frames[n - 1].synthetic == synthetic)
		return n;
	frames[n] = (struct profile_frame){.synthetic = synthetic};
	return n + 1;
}

/* What is missing at the root end of the stack. If a stack was too deep, or has a gap, the
 * gap mark shows that, and nothing is missing at the root. */
static uint32_t stack_end_mark(const struct stack *s)
{
	if (capture_end_is_complete(s->end) || s->end >= CAPTURE_END_COUNT)
		return SYNTHETIC_NONE;
	if ((s->end == CAPTURE_TOO_DEEP || s->end == CAPTURE_GAP) && s->omitted_at)
		return SYNTHETIC_NONE;
	return SYNTHETIC_TRUNCATED + s->end;
}

size_t profile_frames(const struct profile_job *job, const struct stack *stack,
		      struct profile_frame frames[PROFILE_MAX_FRAMES])
{
	size_t n = 0;
	uint32_t count =
		stack->frame_count < CAPTURE_MAX_FRAMES ? stack->frame_count : CAPTURE_MAX_FRAMES;
	for (uint32_t i = 0; i < count; i++) {
		if (stack->omitted_at && i == stack->omitted_at)
			n = frames_mark(frames, n, gap_mark(stack));
		uint64_t pc = stack->frames[i];
		const struct pc_place *place = pc_set_find(&job->pcs, pc);
		if (!place) { /* or scratch ran out */
			bool is_unloaded = place_unloaded(pc) > stack->unloads;
			n = frames_mark(frames, n,
					is_unloaded ? SYNTHETIC_UNLOADED : SYNTHETIC_LOST);
		} else if (place->unloaded > stack->unloads) {
			n = frames_mark(frames, n, SYNTHETIC_UNLOADED);
		} else if (place->is_shown) {
			frames[n++] = (struct profile_frame){
				.place = (uint32_t)(place - job->pcs.list),
				.pc = pc,
				.location = place->location,
			};
		}
	}
	uint32_t mark = stack_end_mark(stack);
	if (mark)
		frames[n++] = (struct profile_frame){.synthetic = mark};
	return n;
}

/* Comments derived from the options: at most OWN_COMMENTS lines. */
#define OWN_COMMENTS      3
#define OWN_COMMENT_BYTES 96

static size_t own_comments(const struct profile_options *o,
			   char lines[OWN_COMMENTS][OWN_COMMENT_BYTES])
{
	size_t n = 0;
	unsigned long long ms = o->duration_ns / 1000000;
	if (o->is_growth)
		snprintf(lines[n++], OWN_COMMENT_BYTES, "growth over %llu.%03llu s", ms / 1000,
			 ms % 1000);
	if (o->view == PROFILE_FREES)
		snprintf(lines[n++], OWN_COMMENT_BYTES, "%s", PROFILE_FREES_COMMENT);
	ms = o->min_age_ns / 1000000;
	if (o->min_age_ns)
		snprintf(lines[n++], OWN_COMMENT_BYTES,
			 "only blocks at least %llu.%03llu s old; alloc_* repeats inuse_*",
			 ms / 1000, ms % 1000);
	if (!o->symbols)
		snprintf(lines[n++], OWN_COMMENT_BYTES, "no symbols, as requested: addresses only");
	return n;
}

const char *const *profile_comments(const struct profile_job *job)
{
	static const char *const none[] = {NULL};
	const char *const *given = job->options->comments ? job->options->comments : none;
	char lines[OWN_COMMENTS][OWN_COMMENT_BYTES];
	const char *const *ages = job->options->ages ? job->options->ages->comments : none;
	size_t own = own_comments(job->options, lines), count = 0, errors = 0, of_ages = 0;
	while (given[count])
		count++;
	while (job->error && job->error->comments[errors])
		errors++;
	while (ages[of_ages])
		of_ages++;
	const char **all =
		scratch_alloc(job->scratch, (count + own + errors + of_ages + 1) * sizeof(*all));
	if (!all)
		return given;
	memcpy(all, given, count * sizeof(*all));
	if (errors)
		memcpy(all + count, job->error->comments, errors * sizeof(*all));
	count += errors;
	memcpy(all + count, ages, of_ages * sizeof(*all));
	count += of_ages;
	for (size_t i = 0; i < own; i++) {
		char *line = scratch_strdup(job->scratch, lines[i], strlen(lines[i]));
		if (line)
			all[count++] = line;
	}
	return all;
}
