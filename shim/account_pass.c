/*
 * The pass over smaps: every mapping's resident bytes go to owners, whole or in
 * the parts that claims make of it.  Which of a part's pages are resident is
 * asked only where it matters: not of a mapping with one part, one that is wholly
 * resident, or one that is not resident at all.
 */
#include <string.h>

#include "account_job.h"
#include "pagemap.h"

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
			memcpy(list, p->list, p->count * sizeof(*list));
		p->list = list;
		job->part_room = room;
	}
	return &p->list[p->count++];
}

struct cut {
	struct account_job *job;
	const struct smaps_mapping *mapping;
	size_t first; /* of the mapping's parts */
};

static void cut_visit(void *arg, uint64_t start, uint64_t end, const struct claim *claim)
{
	struct cut *cut = arg;
	struct account_parts *p = cut->job->parts;
	uint8_t owner = claim ? claim->what : account_claims_owner(cut->job, cut->mapping);
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

/* ---- residency ---------------------------------------------------------- */

static uint64_t count_resident(uint64_t start, uint64_t end)
{
	uint8_t pages[16 * KIB];
	uint64_t resident = 0;
	while (start < end) {
		size_t n = (end - start) / PAGE_BYTES;
		n = n < sizeof(pages) ? n : sizeof(pages);
		if (n == 0)
			break;
		if (pagemap_present(start, n, pages) != 0)
			return UNKNOWN;
		for (size_t i = 0; i < n; i++)
			resident += pages[i];
		start += n * PAGE_BYTES;
	}
	return resident * PAGE_BYTES;
}

/* Into each part's resident; the sum, or UNKNOWN. */
static uint64_t count_parts(struct account_part *parts, size_t count)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < count; i++) {
		parts[i].resident = count_resident(parts[i].start, parts[i].end);
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

/* So that they sum to `to`, whatever rounding does to each. */
static void scale_parts(struct account_part *parts, size_t count, uint64_t sum, uint64_t to)
{
	uint64_t before = 0, given = 0;
	for (size_t i = 0; i < count; i++) {
		before += parts[i].resident;
		parts[i].resident = share(to, before, sum) - given;
		given += parts[i].resident;
	}
}

/* What they share stays unexplained, and what each owner has in all is not known. */
static void give_up_parts(struct account_job *job, struct account_part *parts, size_t count)
{
	job->out->unsplit_mappings++;
	for (size_t i = 0; i < count; i++) {
		parts[i].resident = 0;
		job->out->owners[parts[i].owner].known = false;
	}
}

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
	uint64_t sum = count_parts(parts, count);
	if (sum == UNKNOWN)
		give_up_parts(job, parts, count);
	else if (sum != m->resident)
		scale_parts(parts, count, sum, m->resident);
}

/* ---- owners ------------------------------------------------------------- */

/*
 * What smaps says of a mapping alone is shared out: huge and lazily freed pages
 * by what is resident, swapped ones by what is not.
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

static void take(struct account_job *job, const struct smaps_mapping *m)
{
	struct cut cut = {.job = job, .mapping = m, .first = job->parts->count};
	job->out->mappings++;
	job->out->rss_bytes += m->resident;
	if (account_claims_divide(m))
		account_claims_cut(job, m->start, m->end, cut_visit, &cut);
	else
		cut_visit(&cut, m->start, m->end, NULL);
	size_t count = job->parts->count - cut.first;
	if (count == 0)
		return;
	measure_parts(job, m, job->parts->list + cut.first, count);
	give(job, m, job->parts->list + cut.first, count);
}

int account_pass(struct account_job *job)
{
	struct smaps smaps;
	struct smaps_mapping m;
	int result = smaps_open(&smaps, job->scratch);
	while (result == 0 && smaps_next(&smaps, &m))
		take(job, &m);
	smaps_close(&smaps);
	return result != 0 || job->out->mappings == 0 ? -1 : 0;
}
