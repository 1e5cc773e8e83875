/* See recorder_account.h. */
#include "recorder/recorder_account.h"

#include <stdio.h>
#include <string.h>
#define ZLIB_CONST /* zlib reads its input only */
#include <zlib.h>

#include "record/control.h"

static_assert((int)CGOHEAP_GO_FIGURES <= RECORDING_GO_FIGURES, "a new figure needs room");
static_assert(OWNER_COUNT <= RECORDING_OWNERS, "a new owner needs room");
static_assert(ACCOUNT_WARNINGS <= RECORDING_WARNINGS, "a new warning needs room");

static void copy_text(char *out, size_t bytes, const char *text)
{
	snprintf(out, bytes, "%s", text ? text : "");
}

static void write_owners(struct recording_account *out, const struct account *a)
{
	out->owner_count = OWNER_COUNT;
	for (unsigned i = 0; i < OWNER_COUNT; i++) {
		const struct account_bytes *from = &a->owners[i];
		struct recording_owner *to = &out->owners[i];

		copy_text(to->name, sizeof to->name, account_owner_name((enum account_owner)i));
		to->resident = from->resident;
		to->huge = from->huge;
		to->lazy_free = from->lazy_free;
		to->swapped = from->swapped;
		to->mapped = from->mapped;
		to->is_known = from->known;
		to->is_exact = from->exact;
	}
}

static void write_allocator(struct recording_account *out, const struct allocator_stats *s)
{
	out->allocator.in_use = s->in_use_bytes;
	out->allocator.free = s->free_bytes;
	out->allocator.mapped = s->mapped_bytes;
	out->allocator.system = s->system_bytes;
	out->allocator.arenas = s->arenas;
	out->allocator.nanoseconds = s->nanoseconds;
	copy_text(out->allocator.name, sizeof out->allocator.name, s->name);
}

static void write_go(struct recording_account *out, const struct go_stats *g)
{
	out->go.heap_in_use = g->heap_in_use_bytes;
	out->go.heap_free = g->heap_free_bytes;
	out->go.heap_released = g->heap_released_bytes;
	out->go.stacks = g->stacks_bytes;
	out->go.mapped_ready = g->mapped_ready_bytes;
	out->go.total_alloc = g->total_alloc_bytes;
	copy_text(out->go.source, sizeof out->go.source, g->source);
	out->go.metadata = g->metadata_bytes;
	out->go.memory_limit = g->memory_limit;
	for (size_t i = 0; i < RECORDING_GO_FIGURES; i++)
		out->go.runtime[i] = i < COUNT_OF(g->runtime) ? g->runtime[i] : UNKNOWN;
}

static void write_kernel(struct recording_account *out, const struct process_stats *p,
			 const struct cgroup_stats *c)
{
	out->process.rss = p->vm_rss;
	out->process.anon = p->rss_anon;
	out->process.file = p->rss_file;
	out->process.shmem = p->rss_shmem;
	out->process.data = p->vm_data;
	out->process.stk = p->vm_stk;
	out->process.size = p->vm_size;
	out->process.swap = p->vm_swap;
	out->process.hwm = p->vm_hwm;
	out->process.threads = p->threads;
	out->cgroup.version = (uint64_t)c->version;
	out->cgroup.current = c->current;
	out->cgroup.limit = c->limit;
	out->cgroup.anon = c->anon;
	out->cgroup.file = c->file;
	out->cgroup.kernel = c->kernel;
	out->cgroup.swap = c->swap;
	copy_text(out->cgroup.path, sizeof out->cgroup.path, c->path);
}

static void write_top(struct recording_account *out, struct scratch *scratch,
		      const struct account_parts *parts)
{
	struct account_top top[ACCOUNT_TOP];

	out->top_count = (uint32_t)account_top_read(scratch, parts, OWNER_C_MMAP, top);
	for (size_t i = 0; i < out->top_count; i++) {
		out->top[i].site = top[i].site;
		out->top[i].resident = top[i].resident;
		out->top[i].mapped = top[i].mapped;
	}
}

static void write_whole(struct recording_account *out, const struct account *a)
{
	out->bytes = sizeof *out;
	out->realtime_ns = a->time_ns;
	out->took_ns = a->took_ns;
	out->rss = a->rss_bytes;
	out->unexplained = a->unexplained_bytes;
	out->c_live_estimate = a->c_live_estimate_bytes;
	out->c_live_estimate_error = a->c_live_estimate_error;
	out->c_resident_permille = a->c_blocks_touched_permille;
	out->sample_bytes = control_get().sample_bytes;
	out->mappings = a->mappings;
	out->split_mappings = a->split_mappings;
	out->thread_stacks = a->thread_stacks_count;
	out->ended_stacks = a->ended_stacks_count;
	out->ended_stacks_bytes = a->ended_stacks_bytes;
	for (size_t i = 0; i < ACCOUNT_WARNINGS && a->warnings[i]; i++)
		copy_text(out->warnings[i], sizeof out->warnings[i], a->warnings[i]);
}

static uint32_t checksum(const struct recording_account *a)
{
	const size_t skip = sizeof a->crc;
	return (uint32_t)crc32(0, (const Bytef *)a + skip, (uInt)(sizeof *a - skip));
}

/* Made beside the file, so that a slot is torn for no longer than a copy takes. */
bool recorder_account_write(struct recording *recording, uint64_t sequence, struct scratch *scratch,
			    const struct account *a, const struct account_parts *parts)
{
	struct recording_account *made = scratch_alloc(scratch, sizeof *made);

	if (!made)
		return false;
	made->sequence = sequence;
	write_whole(made, a);
	write_owners(made, a);
	write_allocator(made, &a->allocator);
	write_go(made, &a->go);
	write_kernel(made, &a->process, &a->cgroup);
	write_top(made, scratch, parts);
	made->crc = checksum(made);
	recording->accounts[sequence % RECORDING_ACCOUNTS] = *made;
	return true;
}

static uint32_t pages(uint64_t bytes)
{
	uint64_t n = bytes / PAGE_BYTES + (bytes % PAGE_BYTES >= PAGE_BYTES / 2);
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

void recorder_account_remember(struct recording_second *out, const struct account *a)
{
	out->account_ns = a->time_ns;
	out->unexplained_pages = pages(a->unexplained_bytes);
	for (size_t i = 0; i < RECORDING_OWNERS; i++)
		out->owner_pages[i] = i < OWNER_COUNT && a->owners[i].known
					      ? pages(a->owners[i].resident)
					      : UINT32_MAX;
}
