/* See profile_frees.h. */
#include "profile/profile_frees.h"

#include <string.h>

#include "record/frees.h"

struct filling {
	struct snapshot *out;
	size_t room;
};

static int64_t whole(uint64_t fixed, int bits)
{
	return (int64_t)((fixed >> bits) + (fixed >> (bits - 1) & 1));
}

/* n * part / sum, in figures that pprof can hold. */
static int64_t share(int64_t n, uint64_t part, unsigned __int128 sum)
{
	return n > 0 && sum ? (int64_t)((unsigned __int128)n * part / sum) : 0;
}

static struct tally tally_of(const struct tally *site, const struct frees_part *p,
			     unsigned __int128 sum)
{
	struct tally t = *site;

	t.stack = p->stack;
	t.freed_by = (uint8_t)p->kind;
	t.alloc_objects = share(site->inuse_objects, p->bytes_fx, sum);
	t.alloc_bytes = share(site->inuse_bytes, p->bytes_fx, sum);
	t.inuse_objects = whole(p->objects_fx, WEIGHT_OBJECT_BITS);
	t.inuse_bytes = whole(p->bytes_fx, WEIGHT_BYTE_BITS);
	return t;
}

static size_t count_of(const struct snapshot *sites)
{
	struct frees_part parts[FREES_PARTS];
	size_t count = 0;

	for (size_t i = 0; i < sites->count; i++)
		count += frees_parts(sites->tallies[i].site, parts);
	return count;
}

static void add_site(struct filling *f, const struct tally *site)
{
	struct frees_part parts[FREES_PARTS];
	size_t count = frees_parts(site->site, parts);
	unsigned __int128 sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += parts[i].bytes_fx;
	for (size_t i = 0; i < count && f->out->count < f->room; i++)
		f->out->tallies[f->out->count++] = tally_of(site, &parts[i], sum);
}

int profile_frees_snapshot(struct scratch *scratch, struct snapshot *out)
{
	struct snapshot sites;

	if (stacks_snapshot(scratch, 0, &sites))
		return -1;
	/* A hook may add parts meanwhile. */
	struct filling f = {out, count_of(&sites) + FREES_PARTS};
	*out = (struct snapshot){.time_ns = sites.time_ns};
	out->tallies = scratch_alloc(scratch, f.room * sizeof(*out->tallies));
	if (!out->tallies)
		return -1;
	for (size_t i = 0; i < sites.count; i++)
		add_site(&f, &sites.tallies[i]);
	return 0;
}

/* Where Go calls C: not cgo's wrapper of C.malloc, nor the runtime that calls it. Functions may be
 * inlined into it, innermost first. NULL: not there. */
static const char *go_caller(const struct location *l)
{
	for (uint32_t i = 0; l->is_go && i < l->line_count; i++) {
		const char *name = l->lines[i].function;
		if (strncmp(name, "runtime.", 8) != 0 && !strstr(name, "._Cfunc_"))
			return name;
	}
	return NULL;
}

const char *profile_frees_allocated_by(const struct profile_job *job, uint32_t site)
{
	const struct stack *stack = stack_at(site_at(site)->stack);
	struct profile_frame frames[PROFILE_MAX_FRAMES];
	size_t count = profile_frames(job, stack, frames), named = 0;
	const char *caller = NULL, *go;

	for (size_t i = 0; i < count; i++) {
		const struct location *l = frames[i].location;
		if (!l || !l->line_count)
			continue;
		if ((go = go_caller(l)))
			return go;
		if (named++ < 2) /* the allocator, then who calls it */
			caller = l->lines[0].function;
	}
	return caller;
}
