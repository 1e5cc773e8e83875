/* See account_json.h. */
#include "profile/account_json.h"

#include <stdio.h>
#include <string.h>

#include "go/gosym.h"
#include "record/control.h"
#include "account/account_top.h"
#include "account/cgowatch.h"
#include "profile/profile_job.h"

static void known(struct json *j, const char *key, uint64_t value)
{
	json_known(j, key, value != UNKNOWN, value);
}

static void write_owner(struct json *j, const struct account *a, enum account_owner owner)
{
	const struct account_bytes *o = &a->owners[owner];
	json_open(j, NULL);
	json_string(j, "name", account_owner_name(owner));
	json_known(j, "bytes", o->known, o->resident);
	json_bool(j, "exact", o->exact);
	json_known(j, "huge_bytes", o->known, o->huge);
	json_known(j, "lazy_free_bytes", o->known, o->lazy_free);
	json_known(j, "swap_bytes", o->known, o->swapped);
	json_known(j, "mapped_bytes", o->known && o->mapped != UNKNOWN, o->mapped);
	json_close(j);
}

static void write_owners(struct json *j, const struct account *a)
{
	char time[JSON_TIME_BYTES];
	json_format_time(a->time_ns, time);
	json_number(j, "rss_bytes", a->rss_bytes);
	json_open_array(j, "owners");
	for (unsigned i = 0; i < OWNER_COUNT; i++)
		write_owner(j, a, (enum account_owner)i);
	json_close_array(j);
	json_number(j, "unexplained_bytes", a->unexplained_bytes);
	json_number(j, "took_ns", a->took_ns);
	json_string(j, "time", time);
}

static void write_private(struct json *j, const struct account *a)
{
	json_open_array(j, "private_allocators");
	for (size_t i = 0; i < a->private_count; i++) {
		const struct privatealloc *p = &a->private_allocators[i];
		json_open(j, NULL);
		json_string(j, "name", "jemalloc");
		json_string(j, "prefix", p->prefix);
		known(j, "in_use_bytes", p->in_use);
		known(j, "active_bytes", p->active);
		known(j, "metadata_bytes", p->metadata);
		known(j, "resident_bytes", p->resident);
		known(j, "mapped_bytes", p->mapped);
		known(j, "retained_bytes", p->retained);
		json_close(j);
	}
	json_close_array(j);
}

static void write_allocator(struct json *j, const struct account *a)
{
	const struct allocator_stats *s = &a->allocator;
	json_open(j, "allocator");
	json_string(j, "name", s->name);
	known(j, "in_use_bytes", s->in_use_bytes);
	known(j, "free_bytes", s->free_bytes);
	known(j, "mapped_bytes", s->mapped_bytes);
	known(j, "system_bytes", s->system_bytes);
	known(j, "cached_bytes", s->cached_bytes);
	known(j, "arenas", s->arenas);
	known(j, "nanoseconds", s->nanoseconds);
	json_close(j);
	write_private(j, a);
	json_open(j, "c_retained_kept");
	known(j, "returnable_bytes", a->kept.returnable);
	known(j, "arena_ends_bytes", a->kept.arena_ends);
	known(j, "arena_ends", a->kept.end_count);
	known(j, "cached_bytes", a->kept.cached);
	known(j, "pinned_bytes", a->kept.pinned);
	json_close(j);
	json_open(j, "c_live_estimate");
	known(j, "bytes", a->c_live_estimate_bytes);
	known(j, "standard_error_bytes", a->c_live_estimate_error);
	json_number(j, "sample_bytes", control_get().sample_bytes);
	json_close(j);
	json_permille(j, "c_blocks_resident_ratio", a->c_blocks_touched_permille != UNKNOWN,
		      a->c_blocks_touched_permille);
}

/* By enum cgoheap_bridge_figure. */
static const char *const runtime_names[CGOHEAP_GO_FIGURES] = {
	[CGOHEAP_GO_HEAP_FREE] = "/memory/classes/heap/free:bytes",
	[CGOHEAP_GO_HEAP_OBJECTS] = "/memory/classes/heap/objects:bytes",
	[CGOHEAP_GO_HEAP_RELEASED] = "/memory/classes/heap/released:bytes",
	[CGOHEAP_GO_HEAP_STACKS] = "/memory/classes/heap/stacks:bytes",
	[CGOHEAP_GO_HEAP_UNUSED] = "/memory/classes/heap/unused:bytes",
	[CGOHEAP_GO_METADATA_MCACHE_FREE] = "/memory/classes/metadata/mcache/free:bytes",
	[CGOHEAP_GO_METADATA_MCACHE_INUSE] = "/memory/classes/metadata/mcache/inuse:bytes",
	[CGOHEAP_GO_METADATA_MSPAN_FREE] = "/memory/classes/metadata/mspan/free:bytes",
	[CGOHEAP_GO_METADATA_MSPAN_INUSE] = "/memory/classes/metadata/mspan/inuse:bytes",
	[CGOHEAP_GO_METADATA_OTHER] = "/memory/classes/metadata/other:bytes",
	[CGOHEAP_GO_OS_STACKS] = "/memory/classes/os-stacks:bytes",
	[CGOHEAP_GO_OTHER] = "/memory/classes/other:bytes",
	[CGOHEAP_GO_PROFILING_BUCKETS] = "/memory/classes/profiling/buckets:bytes",
	[CGOHEAP_GO_TOTAL] = "/memory/classes/total:bytes",
	[CGOHEAP_GO_HEAP_LIVE] = "/gc/heap/live:bytes",
	[CGOHEAP_GO_HEAP_GOAL] = "/gc/heap/goal:bytes",
	[CGOHEAP_GO_ALLOCATED] = "/gc/heap/allocs:bytes",
	[CGOHEAP_GO_MEMORY_LIMIT] = "/gc/gomemlimit:bytes",
	[CGOHEAP_GO_GOROUTINES] = "/sched/goroutines:goroutines",
};

static void write_runtime(struct json *j, const struct go_stats *g)
{
	json_open(j, "runtime_metrics");
	for (size_t i = 0; i < COUNT_OF(runtime_names); i++)
		if (runtime_names[i])
			known(j, runtime_names[i], g->runtime[i]);
	json_close(j);
}

/* Objects are live, as the last collection found, or else dead or newer than that. */
static void write_objects(struct json *j, const struct go_stats *g)
{
	uint64_t objects = g->runtime[CGOHEAP_GO_HEAP_OBJECTS];
	uint64_t live = g->runtime[CGOHEAP_GO_HEAP_LIVE];
	if (live != UNKNOWN && objects != UNKNOWN && live > objects)
		live = objects; /* swept since */
	known(j, "heap_objects_bytes", objects);
	known(j, "heap_live_bytes", live);
	json_known(j, "heap_dead_or_new_bytes", live != UNKNOWN && objects != UNKNOWN,
		   objects - live);
	known(j, "heap_unused_bytes", g->runtime[CGOHEAP_GO_HEAP_UNUSED]);
}

static void write_last_gc(struct json *j, uint64_t unix_ns)
{
	char time[JSON_TIME_BYTES] = "";
	if (unix_ns != UNKNOWN && unix_ns != 0)
		json_format_time(unix_ns, time);
	json_string(j, "last_gc_time", *time ? time : NULL);
}

static void write_go(struct json *j, const struct go_stats *g)
{
	json_open(j, "go");
	json_string(j, "source", g->source);
	known(j, "heap_in_use_bytes", g->heap_in_use_bytes);
	known(j, "heap_free_bytes", g->heap_free_bytes);
	known(j, "heap_released_bytes", g->heap_released_bytes);
	known(j, "stacks_bytes", g->stacks_bytes);
	known(j, "mapped_ready_bytes", g->mapped_ready_bytes);
	known(j, "total_alloc_bytes", g->total_alloc_bytes);
	known(j, "metadata_bytes", g->metadata_bytes);
	write_objects(j, g);
	known(j, "gc_goal_bytes", g->runtime[CGOHEAP_GO_HEAP_GOAL]);
	known(j, "memory_limit_bytes", g->memory_limit);
	known(j, "goroutines", g->runtime[CGOHEAP_GO_GOROUTINES]);
	write_last_gc(j, g->runtime[CGOHEAP_GO_LAST_GC]);
	write_runtime(j, g);
	json_close(j);
}

static void write_process(struct json *j, const struct process_stats *p)
{
	json_open(j, "process");
	known(j, "vm_rss_bytes", p->vm_rss);
	known(j, "rss_anon_bytes", p->rss_anon);
	known(j, "rss_file_bytes", p->rss_file);
	known(j, "rss_shmem_bytes", p->rss_shmem);
	known(j, "vm_data_bytes", p->vm_data);
	known(j, "vm_stk_bytes", p->vm_stk);
	known(j, "vm_size_bytes", p->vm_size);
	known(j, "vm_swap_bytes", p->vm_swap);
	known(j, "vm_hwm_bytes", p->vm_hwm);
	known(j, "threads", p->threads);
	json_close(j);
}

static void write_cgroup(struct json *j, const struct cgroup_stats *c)
{
	json_open(j, "cgroup");
	json_known(j, "version", c->version != 0, (uint64_t)c->version);
	json_string(j, "path", c->path);
	known(j, "current_bytes", c->current);
	known(j, "limit_bytes", c->limit);
	known(j, "anon_bytes", c->anon);
	known(j, "file_bytes", c->file);
	known(j, "kernel_bytes", c->kernel);
	known(j, "swap_bytes", c->swap);
	json_close(j);
}

/* ---- the largest mappings, by who made them ------------------------------ */

/* An allocator of a library's own is a dozen frames deep before its caller shows. */
#define TOP_FRAMES PROFILE_MAX_FRAMES

#define OTHERS     6 /* owners beside c_mmap */
#define OTHERS_TOP 5

/* Code without symbols is named by its file and the place in it: "libfoo.so+0x1234". */
static void write_place(struct json *j, const struct profile_job *job, uint64_t pc)
{
	char text[256];
	const struct module *m = modules_find(&job->modules, pc);
	const char *slash = m ? strrchr(m->path, '/') : NULL;
	if (m)
		snprintf(text, sizeof(text), "%s+0x%llx", slash ? slash + 1 : m->path,
			 (unsigned long long)(pc - m->start + m->file_offset));
	json_string(j, NULL, m ? text : "(unknown)");
}

static void write_frame(struct json *j, const struct profile_job *job,
			const struct profile_frame *f)
{
	char text[SYNTHETIC_NAME_BYTES];
	if (f->synthetic) {
		synthetic_name(f->synthetic, text);
		json_string(j, NULL, text);
	} else if (f->location && f->location->line_count) {
		json_string(j, NULL, f->location->lines[0].function);
	} else {
		write_place(j, job, f->pc - 1);
	}
}

static void write_frames(struct json *j, const struct profile_job *job, uint32_t site)
{
	struct profile_frame frames[PROFILE_MAX_FRAMES];
	size_t count = site ? profile_frames(job, stack_at(site_at(site)->stack), frames) : 0;
	json_open_array(j, "frames");
	for (size_t i = 0; i < count && i < TOP_FRAMES; i++)
		write_frame(j, job, &frames[i]);
	json_close_array(j);
}

/* The largest of some owners, whose stacks are given names together. */
struct tops {
	struct account_top list[ACCOUNT_TOP + OTHERS * OTHERS_TOP];
	uint8_t owners[ACCOUNT_TOP + OTHERS * OTHERS_TOP];
	size_t count;
};

static void tops_add(struct tops *tops, struct scratch *scratch, const struct account_parts *parts,
		     enum account_owner owner, size_t most)
{
	struct account_top found[ACCOUNT_TOP];
	size_t count = account_top_read(scratch, parts, owner, found);
	for (size_t i = 0; i < count && i < most; i++) {
		if (owner != OWNER_C_MMAP && found[i].resident == 0)
			return;
		tops->owners[tops->count] = (uint8_t)owner;
		tops->list[tops->count++] = found[i];
	}
}

static void write_tops(struct json *j, const struct tops *tops, const struct profile_job *job,
		       const struct account_parts *parts, bool mmap)
{
	for (size_t i = 0; i < tops->count; i++) {
		const struct account_top *top = &tops->list[i];
		if ((tops->owners[i] == OWNER_C_MMAP) != mmap)
			continue;
		json_open(j, NULL);
		if (!mmap) {
			json_string(j, "owner", account_owner_name(tops->owners[i]));
			json_string(j, "file", top->file ? parts->files[top->file] : NULL);
		}
		json_number(j, "bytes", top->resident);
		json_number(j, "mapped_bytes", top->mapped);
		write_frames(j, job, top->site);
		json_close(j);
	}
}

static void write_top(struct json *j, struct scratch *scratch, const struct account_parts *parts)
{
	static const enum account_owner others[OTHERS] = {OWNER_C_BRK,         OWNER_FILE_COPIES,
							  OWNER_DEVICE_MAPS,   OWNER_MAPPED_FILES,
							  OWNER_SHARED_MEMORY, OWNER_THREAD_STACKS};
	struct tops tops = {.count = 0};
	struct tally tallies[COUNT_OF(tops.list)];
	struct snapshot snapshot = {.tallies = tallies};
	struct profile_options options = {.symbols = true};
	struct profile_job job;
	tops_add(&tops, scratch, parts, OWNER_C_MMAP, ACCOUNT_TOP);
	for (size_t i = 0; i < COUNT_OF(others); i++)
		tops_add(&tops, scratch, parts, others[i], OTHERS_TOP);
	for (size_t i = 0; i < tops.count; i++)
		if (tops.list[i].site)
			tallies[snapshot.count++] =
				(struct tally){.site = tops.list[i].site, .inuse_objects = 1};
	profile_job_prepare(&job, scratch, &snapshot, &options);
	json_open_array(j, "c_mmap_top");
	write_tops(j, &tops, &job, parts, true);
	json_close_array(j);
	json_open_array(j, "mapped_top");
	write_tops(j, &tops, &job, parts, false);
	json_close_array(j);
}

/* ---- who may have mapped what nobody saw --------------------------------- */

#define CANDIDATES_SHOWN 5

static void write_call(struct json *j, const struct cgowatch_candidate *c)
{
	struct gosym_frame frames[GOSYM_MAX_INLINE];
	json_open(j, NULL);
	json_number(j, "looks", c->looks);
	json_number(j, "faults", c->faults);
	json_open_array(j, "frames");
	for (uint32_t i = 0; i < c->call.count; i++) {
		size_t n = gosym_frames(c->call.frames[i] - 1, frames, COUNT_OF(frames));
		for (size_t k = 0; k < n; k++)
			if (!frames[k].is_wrapper)
				json_string(j, NULL, frames[k].function);
	}
	json_close_array(j);
	json_close(j);
}

static void write_candidates(struct json *j)
{
	struct cgowatch_candidate list[CGOWATCH_CANDIDATES];
	uint32_t looks;
	size_t count = cgowatch_read(list, &looks);
	json_open(j, "untracked_candidates");
	json_number(j, "looks", looks);
	json_open_array(j, "in_cgo_calls");
	for (size_t i = 0; i < count && i < CANDIDATES_SHOWN; i++)
		write_call(j, &list[i]);
	json_close_array(j);
	json_close(j);
}

/* ---- the whole ---------------------------------------------------------- */

void account_json_write(struct json *j, const char *key, struct scratch *scratch,
			const struct account *a, const struct account_parts *parts)
{
	json_open(j, key);
	write_owners(j, a);
	write_allocator(j, a);
	write_go(j, &a->go);
	write_process(j, &a->process);
	write_cgroup(j, &a->cgroup);
	json_number(j, "mappings", a->mappings);
	json_number(j, "split_mappings", a->split_mappings);
	json_number(j, "thread_stacks", a->thread_stacks_count);
	json_number(j, "thread_stacks_ended", a->ended_stacks_count);
	json_number(j, "thread_stacks_ended_bytes", a->ended_stacks_bytes);
	write_top(j, scratch, parts);
	write_candidates(j);
	json_bool(j, "partial", a->is_partial);
	json_open_array(j, "warnings");
	for (size_t i = 0; i < ACCOUNT_WARNINGS && a->warnings[i]; i++)
		json_string(j, NULL, a->warnings[i]);
	json_close_array(j);
	json_close(j);
}
