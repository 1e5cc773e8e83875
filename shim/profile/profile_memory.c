/* See profile_memory.h. */
#include "profile/profile_memory.h"

#include <stdio.h>
#include <string.h>

#include "profile.pb-c.h"
#include "base/search.h"
#include "base/sort.h"
#include "base/work.h"
#include "profile/profile_go.h"
#include "profile/profile_labels.h"
#include "profile/profile_locations.h"

/* A row of the profile that is not an owner in the account. */
#define OWNER_UNEXPLAINED OWNER_COUNT
#define OWNERS            (OWNER_COUNT + 1)

#define NAME_BYTES 32

/* What c_retained is made of, each in a frame below it. */
enum kept { KEPT_WHOLE, KEPT_RETURNABLE, KEPT_ENDS, KEPT_CACHED, KEPT_PINNED, KEPT_COUNT };
static const char *const kept_names[KEPT_COUNT] = {
	[KEPT_RETURNABLE] = "[returnable]",
	[KEPT_ENDS] = "[ends of arenas]",
	[KEPT_CACHED] = "[caches]",
	[KEPT_PINNED] = "[pinned]",
};

/* One sample. site 0: the stack is unknown. */
struct row {
	uint64_t bytes;
	uint32_t site;
	uint16_t file; /* account_parts.files; 0: none */
	uint8_t owner;
	uint8_t kept; /* enum kept */
};

struct rows {
	struct row *list;
	size_t count, room;
};

static void rows_add(struct rows *rows, struct row row)
{
	if (row.bytes && rows->count < rows->room)
		rows->list[rows->count++] = row;
}

/* ---- parts of an owner -------------------------------------------------- */

static bool has_stacks(uint8_t owner)
{
	return owner == OWNER_C_LIVE || owner == OWNER_C_MMAP || owner == OWNER_C_BRK ||
	       owner == OWNER_FILE_COPIES || owner == OWNER_DEVICE_MAPS ||
	       owner == OWNER_THREAD_STACKS;
}

static bool has_files(uint8_t owner)
{
	return owner == OWNER_MAPPED_FILES || owner == OWNER_SHARED_MEMORY ||
	       owner == OWNER_FILE_COPIES || owner == OWNER_DEVICE_MAPS;
}

/* Site and file combined, which identify a row of an owner. */
static uint64_t key_of(const struct account_part *p)
{
	return (uint64_t)p->site << 16 | (has_files(p->owner) ? p->file : 0);
}

/* Adds the parts of one owner, by site and file. Returns their bytes. */
static uint64_t rows_add_parts(struct rows *rows, struct scratch *scratch,
			       const struct account_parts *parts, uint8_t owner)
{
	uint64_t sum = 0, bytes = 0;
	size_t n = 0;
	struct sort_item *items = scratch_alloc(scratch, parts->count * sizeof(*items));
	for (size_t i = 0; items && i < parts->count; i++)
		if (parts->list[i].owner == owner && key_of(&parts->list[i]))
			items[n++] = (struct sort_item){.key = key_of(&parts->list[i]), .value = i};
	sort_items(items, n);
	for (size_t i = 0; i < n; i++) {
		bytes += parts->list[items[i].value].resident;
		if (i + 1 < n && items[i + 1].key == items[i].key)
			continue;
		rows_add(rows, (struct row){.bytes = bytes,
					    .site = (uint32_t)(items[i].key >> 16),
					    .file = (uint16_t)items[i].key,
					    .owner = owner});
		sum += bytes;
		bytes = 0;
	}
	return sum;
}

static uint64_t scaled(uint64_t bytes, uint64_t to, uint64_t from)
{
	return (uint64_t)((unsigned __int128)bytes * to / from);
}

/* ---- blocks in use ------------------------------------------------------ */

/* The resident part of what blocks stand for. */
struct ratio {
	double weight, resident;
};

static void ratio_add(struct ratio *r, const struct account_block *b)
{
	r->weight += (double)b->weight;
	r->resident += (double)b->weight * (double)b->resident / (double)b->size;
}

static double ratio_of(const struct ratio *r)
{
	return r->weight > 0 ? r->resident / r->weight : 1;
}

/* Blocks sorted by site, to be read along with the sites. */
struct by_site {
	const struct account_parts *parts;
	struct sort_item *items; /* key: site, value: place in blocks */
	struct ratio all;
};

static int by_site_init(struct by_site *s, struct scratch *scratch,
			const struct account_parts *parts)
{
	*s = (struct by_site){.parts = parts};
	s->items = scratch_alloc(scratch, parts->block_count * sizeof(*s->items));
	for (size_t i = 0; s->items && i < parts->block_count; i++) {
		s->items[i] = (struct sort_item){.key = parts->blocks[i].site, .value = i};
		ratio_add(&s->all, &parts->blocks[i]);
	}
	if (s->items)
		sort_items(s->items, parts->block_count);
	return s->items ? 0 : -1;
}

/* For one site; for all blocks if none of the site's was measured. */
static double by_site_ratio(const struct by_site *s, uint32_t site)
{
	struct ratio own = {0};
	size_t low = SEARCH(s->parts->block_count, i, s->items[i].key < site);

	for (; low < s->parts->block_count && s->items[low].key == site; low++)
		ratio_add(&own, &s->parts->blocks[s->items[low].value]);
	return ratio_of(own.weight > 0 ? &own : &s->all);
}

/* Replaces each site's blocks in use by their resident bytes. Returns the sum. */
static uint64_t resident_by_site(struct snapshot *snapshot, const struct by_site *blocks)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < snapshot->count; i++) {
		struct tally *t = &snapshot->tallies[i];
		bool counts = site_at(t->site)->origin == ORIGIN_MALLOC && t->inuse_bytes > 0;
		double ratio = counts ? by_site_ratio(blocks, t->site) : 0;
		t->inuse_bytes = (int64_t)((double)t->inuse_bytes * ratio);
		sum += (uint64_t)t->inuse_bytes;
	}
	return sum;
}

/*
 * Samples are an estimate, so they are scaled to the account's figure, but upwards only within
 * the sampling error. The rest, which was allocated before sampling started or while it was off,
 * has no stack.
 */
static uint64_t rows_add_live(struct rows *rows, const struct account *a,
			      const struct snapshot *blocks, uint64_t sum)
{
	uint64_t live = a->owners[OWNER_C_LIVE].resident, given = 0;
	if (sum == 0)
		return 0;
	uint64_t error = a->c_live_estimate_error == UNKNOWN ? 0 : 3 * a->c_live_estimate_error;
	uint64_t most = sum + sum / 10 + error, to = live < most ? live : most;
	for (size_t i = 0; i < blocks->count; i++) {
		uint64_t bytes = scaled((uint64_t)blocks->tallies[i].inuse_bytes, to, sum);
		rows_add(rows, (struct row){.bytes = bytes,
					    .site = blocks->tallies[i].site,
					    .owner = OWNER_C_LIVE});
		given += bytes;
	}
	return given;
}

/* ---- what is kept ------------------------------------------------------- */

/*
 * By whom it is pinned is an estimate, so it is scaled down where it is more than the account has.
 * The rest is pinned by blocks that are in no sample, or in a cache.
 */
static uint64_t rows_add_pinned(struct rows *rows, const struct pinned *p, uint64_t pinned)
{
	uint64_t given = 0, sum = p ? (uint64_t)p->sum.bytes : 0, to = sum < pinned ? sum : pinned;
	for (size_t i = 0; p && sum && i < p->count; i++) {
		uint64_t bytes = scaled((uint64_t)p->sites[i].bytes, to, sum);
		if (!p->sites[i].site)
			continue;
		rows_add(rows, (struct row){.bytes = bytes,
					    .site = p->sites[i].site,
					    .owner = OWNER_C_RETAINED,
					    .kept = KEPT_PINNED});
		given += bytes;
	}
	return given;
}

/* Returns the bytes given to rows. */
static uint64_t rows_add_kept(struct rows *rows, const struct account *a,
			      const struct account_parts *parts)
{
	const struct kept_bytes *k = &a->kept;
	uint64_t bytes[KEPT_COUNT] = {[KEPT_RETURNABLE] = k->returnable,
				      [KEPT_ENDS] = k->arena_ends,
				      [KEPT_CACHED] = k->cached,
				      [KEPT_PINNED] = k->pinned};
	uint64_t given = 0;
	if (k->pinned != UNKNOWN) {
		given = rows_add_pinned(rows, parts->pinned, k->pinned);
		bytes[KEPT_PINNED] -= given;
	}
	for (uint8_t kept = KEPT_WHOLE + 1; kept < KEPT_COUNT; kept++) {
		if (bytes[kept] == UNKNOWN)
			continue;
		rows_add(rows, (struct row){.bytes = bytes[kept],
					    .owner = OWNER_C_RETAINED,
					    .kept = kept});
		given += bytes[kept];
	}
	return given;
}

/* ---- all rows ----------------------------------------------------------- */

static int rows_fill(struct rows *rows, struct scratch *scratch, const struct account *a,
		     const struct account_parts *parts)
{
	struct snapshot live;
	struct by_site blocks;
	if (stacks_snapshot(scratch, 0, &live) != 0 || by_site_init(&blocks, scratch, parts))
		return -1;
	size_t pinned = parts->pinned ? parts->pinned->count : 0;
	*rows = (struct rows){.room = live.count + parts->count + pinned + OWNERS + KEPT_COUNT};
	rows->list = scratch_alloc(scratch, rows->room * sizeof(*rows->list));
	if (!rows->list)
		return -1;
	uint64_t sum = resident_by_site(&live, &blocks);
	for (int owner = 0; owner < OWNER_COUNT; owner++) {
		uint64_t with_stack = 0;
		if (owner == OWNER_C_LIVE)
			with_stack = rows_add_live(rows, a, &live, sum);
		else if (owner == OWNER_C_RETAINED && a->owners[owner].known)
			with_stack = rows_add_kept(rows, a, parts);
		else if (has_stacks(owner) || has_files(owner))
			with_stack = rows_add_parts(rows, scratch, parts, owner);
		rows_add(rows, (struct row){.bytes = a->owners[owner].resident - with_stack,
					    .owner = owner});
	}
	rows_add(rows, (struct row){.bytes = a->unexplained_bytes, .owner = OWNER_UNEXPLAINED});
	return 0;
}

/* For the symbolizer, so each site may occur more than once. */
static bool snapshot_of(struct scratch *scratch, const struct rows *rows, struct snapshot *out)
{
	*out = (struct snapshot){
		.tallies = scratch_alloc(scratch, rows->count * sizeof(*out->tallies))};
	for (size_t i = 0; out->tallies && i < rows->count; i++)
		if (rows->list[i].site)
			out->tallies[out->count++] =
				(struct tally){.site = rows->list[i].site, .inuse_objects = 1};
	return out->tallies != NULL;
}

/* ---- writing ------------------------------------------------------------ */

struct writer {
	struct profile_locations *places;
	uint64_t roots[OWNERS]; /* ids; 0: not written yet */
	uint64_t no_stack;      /* below an owner whose other samples have stacks */
	uint64_t kept[KEPT_COUNT];
	uint64_t *files; /* as parts->files; NULL: no room, so file names are left out */
	const struct account_parts *parts;
	char names[OWNERS][NAME_BYTES];
};

static void write_header(struct writer *w, const struct account *a)
{
	struct pprof_stream *s = &w->places->stream;
	Pprof__ValueType type = PPROF__VALUE_TYPE__INIT;
	Pprof__ValueType *types[] = {&type};
	Pprof__Profile header = PPROF__PROFILE__INIT;
	type.type = pprof_string(s, "memory_space");
	type.unit = pprof_string(s, "bytes");
	header.n_sample_type = 1;
	header.sample_type = types;
	header.time_nanos = (int64_t)a->time_ns;
	pprof_write(s, PPROF_TOP, &header);
}

static void write_comments(struct writer *w, const struct account *a, const char *const *comments)
{
	struct pprof_stream *s = &w->places->stream;
	for (; *comments; comments++)
		pprof_comment(s, *comments);
	for (size_t i = 0; i < ACCOUNT_WARNINGS && a->warnings[i]; i++)
		pprof_comment(s, a->warnings[i]);
}

static uint64_t root_of(struct writer *w, uint8_t owner)
{
	const char *name = owner == OWNER_UNEXPLAINED ? "unexplained" : account_owner_name(owner);
	if (w->roots[owner])
		return w->roots[owner];
	snprintf(w->names[owner], NAME_BYTES, "[%s]", name);
	w->roots[owner] = profile_locations_named(w->places, w->names[owner]);
	return w->roots[owner];
}

static uint64_t file_of(struct writer *w, uint16_t file)
{
	if (!w->files[file])
		w->files[file] = profile_locations_named(w->places, w->parts->files[file]);
	return w->files[file];
}

static uint64_t kept_of(struct writer *w, uint8_t kept)
{
	if (!w->kept[kept])
		w->kept[kept] = profile_locations_named(w->places, kept_names[kept]);
	return w->kept[kept];
}

/* Blocks, mappings and threads created before cgoheap was recording. */
static uint64_t no_stack_of(struct writer *w)
{
	if (!w->no_stack)
		w->no_stack = profile_locations_named(w->places, "[stack not known]");
	return w->no_stack;
}

/* When time has run out, it is written directly below its owner. */
static void write_sample(struct writer *w, const struct row *row, bool is_late)
{
	uint64_t ids[PROFILE_MAX_FRAMES + 3];
	int64_t value = (int64_t)row->bytes;
	Pprof__Sample p = PPROF__SAMPLE__INIT;
	struct profile_labels labels;
	size_t n = 0;
	labels.count = 0;
	if (row->site && !is_late) {
		const struct stack *stack = stack_at(site_at(row->site)->stack);
		n = profile_locations_stack(w->places, stack, ids);
		profile_labels_add_set(&labels, &w->places->stream, stack->labels);
	} else if (has_stacks(row->owner) || row->kept == KEPT_PINNED)
		ids[n++] = no_stack_of(w);
	if (row->file && w->files)
		ids[n++] = file_of(w, row->file);
	if (row->kept)
		ids[n++] = kept_of(w, row->kept);
	ids[n++] = root_of(w, row->owner);
	p.n_location_id = n;
	p.location_id = ids;
	p.n_value = 1;
	p.value = &value;
	p.n_label = labels.count;
	p.label = labels.pointers;
	pprof_write(&w->places->stream, PPROF_SAMPLE, &p);
}

int profile_memory_write(struct scratch *scratch, const struct account *a,
			 const struct account_parts *parts, const struct go_heap *go,
			 const char *const *comments, struct sink *sink)
{
	static const struct profile_options options = {.symbols = true};
	struct writer *w = scratch_alloc(scratch, sizeof(*w));
	struct snapshot snapshot;
	struct rows rows;
	if (!w || rows_fill(&rows, scratch, a, parts) || !snapshot_of(scratch, &rows, &snapshot))
		return -1;
	w->parts = parts;
	w->files = scratch_alloc(scratch, parts->file_count * sizeof(*w->files));
	w->places = profile_locations_open(scratch, sink);
	if (!w->places)
		return -1;
	profile_job_prepare(&w->places->job, scratch, &snapshot, &options);
	write_header(w, a);
	write_comments(w, a, comments);
	profile_locations_write(w->places);
	for (size_t i = 0; i < rows.count; i++)
		if (!go || rows.list[i].owner != OWNER_GO_HEAP)
			write_sample(w, &rows.list[i], !work_may_go_on(5000));
	if (go && a->owners[OWNER_GO_HEAP].resident)
		profile_go_write_memory(w->places, root_of(w, OWNER_GO_HEAP), go, &a->go,
					a->owners[OWNER_GO_HEAP].resident);
	return profile_locations_close(w->places);
}
