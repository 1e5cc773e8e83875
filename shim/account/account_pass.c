/*
 * The pass over smaps: every mapping's resident bytes are given to owners, whole or in the parts
 * that claims make of it. Which pages of a part are resident is read only where it matters: not
 * for a mapping with one part, and not if a mapping is entirely resident or not resident at all.
 */
#include <string.h>

#include "base/pagemap.h"
#include "base/ascii.h"
#include "base/work.h"
#include "account/account_job.h"

/* ---- parts -------------------------------------------------------------- */

static struct account_part *part_new(struct account_job *job)
{
	struct account_parts *p = job->parts;
	if (p->count == job->part_room) {
		size_t room = job->part_room ? 2 * job->part_room : 2048;
		struct account_part *list = scratch_alloc(job->scratch, room * sizeof(*list));
		if (!list) {
			job->incomplete = true;
			return NULL;
		}
		if (p->count)
			/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): not NULL */
			memcpy(list, p->list, p->count * sizeof(*list));
		p->list = list;
		job->part_room = room;
	}
	return &p->list[p->count++];
}

struct cut {
	struct account_job *job;
	const struct smaps_mapping *mapping;
	size_t first; /* index of the mapping's first part */
};

static void cut_visit(void *arg, uint64_t start, uint64_t end, const struct rangeset_range *claim)
{
	struct cut *cut = arg;
	struct account_parts *p = cut->job->parts;
	uint8_t owner = claim ? claim->what : account_ranges_owner(cut->job, cut->mapping);
	if (claim && owner == OWNER_C_MMAP && cut->mapping->path[0] == '[' &&
	    strcmp(cut->mapping->path, "[heap]") == 0)
		owner = OWNER_C_BRK;
	uint32_t site = claim ? claim->site : 0;
	struct account_part *last = p->count > cut->first ? &p->list[p->count - 1] : NULL;
	if (last && last->owner == owner && last->site == site) {
		last->end = end;
		return;
	}
	struct account_part *part = part_new(cut->job);
	if (part)
		*part = (struct account_part){
			.start = start, .end = end, .owner = owner, .site = site};
}

/* Counts what glibc has in [heap], and what other code took there, as far as the hooks saw it. */
static void count_heap(struct account_job *job, const struct account_part *parts, size_t count,
		       const struct smaps_mapping *m)
{
	if (!job->heap_start)
		job->heap_start = m->start;
	job->heap_end = m->end;
	for (size_t i = 0; i < count; i++) {
		uint64_t bytes = parts[i].end - parts[i].start;
		if (parts[i].owner == OWNER_C_BRK)
			job->heap_others += bytes;
		else if (parts[i].owner == OWNER_C_RETAINED) {
			job->heap_bytes += bytes;
			job->heap_resident += parts[i].resident;
		}
	}
}

/* ---- files -------------------------------------------------------------- */

#define MAX_FILES    UINT16_MAX
#define FILES_LOOKED 64 /* mappings of one file are close together */

static int files_make_room(struct account_job *job)
{
	struct account_parts *p = job->parts;
	if (p->file_count < job->file_room)
		return 0;
	size_t room = job->file_room ? 2 * job->file_room : 128;
	const char **files = scratch_alloc(job->scratch, room * sizeof(*files));
	if (!files)
		return -1;
	files[0] = "";
	if (p->file_count)
		memcpy(files, p->files, p->file_count * sizeof(*files));
	else
		p->file_count = 1;
	p->files = files;
	job->file_room = room;
	return 0;
}

/* The path's index in parts->files; 0: it has none, or there is no room. */
static uint16_t file_index(struct account_job *job, const char *path)
{
	struct account_parts *p = job->parts;
	if (ascii_begins(path, "socket:"))
		path = "socket"; /* each has a different number */
	size_t bytes = strlen(path) + 1;
	if (bytes == 1 || *path == '[' || files_make_room(job) || p->file_count == MAX_FILES)
		return 0;
	for (size_t i = p->file_count, n = 0; i-- > 1 && n < FILES_LOOKED; n++)
		if (strcmp(p->files[i], path) == 0)
			return (uint16_t)i;
	char *copy = scratch_alloc(job->scratch, bytes);
	if (!copy)
		return 0;
	p->files[p->file_count] = memcpy(copy, path, bytes);
	return (uint16_t)p->file_count++;
}

/* ---- residency ---------------------------------------------------------- */

/* Sets each part's resident bytes. Returns the sum, or UNKNOWN. */
static uint64_t count_parts(struct account_part *parts, size_t count)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < count; i++) {
		parts[i].resident = pagemap_resident_bytes(parts[i].start, parts[i].end);
		if (parts[i].resident == UNKNOWN)
			return UNKNOWN;
		sum += parts[i].resident;
	}
	return sum;
}

/* of * part / whole, without overflow. */
static uint64_t share(uint64_t of, uint64_t part, uint64_t whole)
{
	return whole ? (uint64_t)((unsigned __int128)of * part / whole) : 0;
}

/* Scales the parts to sum to exactly `to` despite rounding. */
static void scale_parts(struct account_part *parts, size_t count, uint64_t sum, uint64_t to)
{
	uint64_t before = 0, given = 0;
	for (size_t i = 0; i < count; i++) {
		before += parts[i].resident;
		parts[i].resident = share(to, before, sum) - given;
		given += parts[i].resident;
	}
}

/* Their resident bytes stay unexplained, and the totals of their owners are unknown. */
static void give_up_parts(struct account_job *job, struct account_part *parts, size_t count)
{
	job->out->unsplit_mappings++;
	for (size_t i = 0; i < count; i++) {
		parts[i].resident = 0;
		job->out->owners[parts[i].owner].known = false;
	}
}

static size_t largest_of(const struct account_part *parts, size_t count)
{
	size_t largest = 0;
	for (size_t i = 1; i < count; i++)
		if (parts[i].end - parts[i].start > parts[largest].end - parts[largest].start)
			largest = i;
	return largest;
}

/* Counts the other parts; the largest one gets the rest. -1: they could not be counted. */
static int count_all_but(struct account_part *parts, size_t count, size_t largest,
			 uint64_t resident)
{
	uint64_t before = count_parts(parts, largest);
	uint64_t behind = count_parts(parts + largest + 1, count - largest - 1);
	if (before == UNKNOWN || behind == UNKNOWN)
		return -1;
	uint64_t others = before + behind;
	parts[largest].resident = resident > others ? resident - others : 0;
	if (others > resident)
		scale_parts(parts, count, others, resident);
	return 0;
}

/* A larger mapping is usually one large reservation and the small mappings merged with it. */
#define COUNT_ALL_BYTES (UINT64_C(1) << 30)

static void measure_parts(struct account_job *job, const struct smaps_mapping *m,
			  struct account_part *parts, size_t count)
{
	if (count == 1) {
		parts->resident = m->resident;
		return;
	}
	if (m->resident == 0)
		return;
	if (m->resident == m->end - m->start) {
		for (size_t i = 0; i < count; i++)
			parts[i].resident = parts[i].end - parts[i].start;
		return;
	}
	job->out->split_mappings++;
	if (m->end - m->start > COUNT_ALL_BYTES) {
		if (count_all_but(parts, count, largest_of(parts, count), m->resident))
			give_up_parts(job, parts, count);
		return;
	}
	uint64_t sum = count_parts(parts, count);
	if (sum == UNKNOWN)
		give_up_parts(job, parts, count);
	else if (sum != m->resident)
		scale_parts(parts, count, sum, m->resident);
}

/* ---- owners ------------------------------------------------------------- */

/*
 * Divides figures that smaps gives only for the whole mapping: huge and lazily freed pages in
 * proportion to resident bytes, swapped pages in proportion to the others.
 */
static void give(struct account_job *job, const struct smaps_mapping *m,
		 const struct account_part *parts, size_t count)
{
	uint64_t bytes = m->end - m->start;
	uint64_t absent = bytes > m->resident ? bytes - m->resident : 0;
	bool usable = m->readable || m->writable || m->executable;
	for (size_t i = 0; i < count; i++) {
		const struct account_part *p = &parts[i];
		struct account_bytes *o = &job->out->owners[p->owner];
		uint64_t part_bytes = p->end - p->start;
		uint64_t part_absent = part_bytes > p->resident ? part_bytes - p->resident : 0;
		o->resident += p->resident;
		o->huge += share(m->huge, p->resident, m->resident);
		o->lazy_free += share(m->lazy_free, p->resident, m->resident);
		o->swapped += share(m->swapped, part_absent, absent);
		o->mapped += usable ? part_bytes : 0;
	}
}

static void take_divided(struct account_job *job, const struct smaps_mapping *m)
{
	struct cut cut = {.job = job, .mapping = m, .first = job->parts->count};
	account_ranges_cut(job, m->start, m->end, cut_visit, &cut);
	size_t count = job->parts->count - cut.first;
	if (count == 0)
		return;
	measure_parts(job, m, job->parts->list + cut.first, count);
	give(job, m, job->parts->list + cut.first, count);
	if (strcmp(m->path, "[heap]") == 0)
		count_heap(job, job->parts->list + cut.first, count, m);
}

static void take_whole(struct account_job *job, const struct smaps_mapping *m, uint8_t owner)
{
	struct account_part *part = part_new(job);
	if (!part)
		return;
	*part = (struct account_part){.start = m->start,
				      .end = m->end,
				      .resident = m->resident,
				      .site = account_ranges_site(job, m),
				      .file = file_index(job, m->path),
				      .owner = owner};
	give(job, m, part, 1);
}

/* Written pages of a private file mapping are not page cache but anonymous memory, and so are
 * all its swapped pages. */
static void take_file(struct account_job *job, const struct smaps_mapping *m, uint8_t owner)
{
	struct smaps_mapping clean = *m, copies = *m;
	uint8_t copies_owner = account_ranges_copies_owner(m);
	copies.resident = m->anonymous < m->resident ? m->anonymous : m->resident;
	copies.readable = copies.writable = copies.executable = false;
	clean.resident -= copies.resident;
	clean.huge = clean.lazy_free = clean.swapped = 0;
	take_whole(job, &clean, owner);
	take_whole(job, &copies, copies_owner);
	job->out->owners[copies_owner].mapped += copies.resident;
}

static void take(struct account_job *job, const struct smaps_mapping *m)
{
	job->out->mappings++;
	job->out->rss_bytes += m->resident;
	if (account_ranges_divide(m)) {
		take_divided(job, m);
		return;
	}
	enum account_owner owner = account_ranges_owner(job, m);
	bool is_file = owner == OWNER_MAPPED_FILES || owner == OWNER_SHARED_MEMORY;
	if (is_file && !m->shared && m->anonymous + m->swapped > 0)
		take_file(job, m, owner);
	else
		take_whole(job, m, owner);
}

int account_pass(struct account_job *job)
{
	struct smaps smaps;
	struct smaps_mapping m;
	int result = smaps_open(&smaps, job->scratch);
	while (result == 0 && work_may_go_on(5000) && smaps_next(&smaps, &m))
		take(job, &m);
	smaps_close(&smaps);
	return result != 0 || job->out->mappings == 0 ? -1 : 0;
}
