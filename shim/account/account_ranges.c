/*
 * Collects the claims on addresses.
 *
 * /proc/self/maps is read once before smaps, for what must be known about the whole address
 * space first: which mappings the table of mappings may forget, and where to look for the
 * allocator's structures.
 */
#include <string.h>

#include "base/work.h"
#include "base/ascii.h"
#include "record/live.h"
#include "record/mappings.h"
#include "hook/earlymaps.h"
#include "hook/ownthread.h"
#include "account/account_job.h"

#define MAX_OWN_RANGES 256

/* Pages that may be checked one by one for the header of a big block. */
#define MAX_SEARCH_PAGES 65536

/* ---- kinds of mappings -------------------------------------------------- */

bool account_ranges_divide(const struct smaps_mapping *m)
{
	return !m->shared &&
	       (!m->path[0] || strcmp(m->path, "[heap]") == 0 || ascii_begins(m->path, "[anon:"));
}

/* Kernels with CONFIG_ANON_VMA_NAME: Go 1.25 and glibc 2.38 (if enabled) name their mappings. */
static enum account_owner owner_by_label(const char *label)
{
	static const struct {
		const char *prefix;
		enum account_owner owner;
	} labels[] = {
		{"[anon: Go: heap", OWNER_GO_HEAP},
		{"[anon: Go: ", OWNER_GO_METADATA},
		{"[anon: glibc: malloc", OWNER_C_RETAINED},
		{"[anon: glibc: loader", OWNER_LIBRARIES},
		{"[anon: glibc: pthread stack", OWNER_THREAD_STACKS},
	};
	for (size_t i = 0; i < COUNT_OF(labels); i++)
		if (ascii_begins(label, labels[i].prefix))
			return labels[i].owner;
	return OWNER_UNTRACKED_MMAP;
}

static bool is_shared_memory(const struct smaps_mapping *m)
{
	return ascii_begins(m->path, "/memfd:") || ascii_begins(m->path, "/secretmem") ||
	       ascii_begins(m->path, "/SYSV") || ascii_begins(m->path, "/dev/shm/") ||
	       (m->shared && ascii_begins(m->path, "/dev/zero"));
}

/* Buffers of drivers and sockets, and what the kernel creates for a descriptor:
 * "socket:[123]", "anon_inode:[io_uring]", "/[aio]", "/dmabuf:", "/drm mm object", PCI's
 * resource files. */
static bool is_device(const struct smaps_mapping *m)
{
	static const char *const prefixes[] = {"/[",    "/dev/", "/dmabuf:", "/drm mm object",
					       "/i915", "/sys/", "/proc/"};
	if (m->path[0] != '/')
		return m->path[0] != '[' && m->path[0] != 0;
	for (size_t i = 0; i < COUNT_OF(prefixes); i++)
		if (ascii_begins(m->path, prefixes[i]))
			return !ascii_begins(m->path, "/dev/zero");
	return false;
}

static const struct module *module_of(const struct account_job *job, const struct smaps_mapping *m)
{
	for (size_t i = 0; m->inode && i < job->modules.count; i++) {
		const struct module *module = &job->modules.list[i];
		if (module->inode == m->inode && module->device == m->device)
			return module;
	}
	return NULL;
}

/* A module's file that C code maps to read it counts like any other file. */
static enum account_owner owner_of_file(const struct account_job *job,
					const struct smaps_mapping *m)
{
	const struct module *module = module_of(job, m);
	if (!module || (!m->executable && rangeset_find(&job->files, m->start)))
		return OWNER_MAPPED_FILES;
	if (module->is_shim)
		return OWNER_SHIM;
	return module->is_main ? OWNER_PROGRAM : OWNER_LIBRARIES;
}

/* The recorder's file, if the region is in one. */
static bool is_region(const struct smaps_mapping *m)
{
	uint64_t start = (uint64_t)region;
	return m->start >= start && m->end <= start + region_layout.region_bytes;
}

enum account_owner account_ranges_owner(const struct account_job *job,
					const struct smaps_mapping *m)
{
	if (is_region(m))
		return OWNER_SHIM;
	if (m->path[0] == 0)
		return m->shared ? OWNER_SHARED_MEMORY : OWNER_UNTRACKED_MMAP;
	if (strcmp(m->path, "[heap]") == 0)
		return OWNER_C_RETAINED;
	if (ascii_begins(m->path, "[stack"))
		return OWNER_THREAD_STACKS;
	if (ascii_begins(m->path, "[anon_shmem:"))
		return OWNER_SHARED_MEMORY;
	if (ascii_begins(m->path, "[anon:"))
		return owner_by_label(m->path);
	if (is_shared_memory(m))
		return OWNER_SHARED_MEMORY;
	if (is_device(m))
		return OWNER_DEVICE_MAPS;
	return m->path[0] == '[' ? OWNER_KERNEL : owner_of_file(job, m);
}

/* Private mappings of /dev/zero are anonymous memory from the start. */
enum account_owner account_ranges_copies_owner(const struct smaps_mapping *m)
{
	return ascii_begins(m->path, "/dev/zero") ? OWNER_C_MMAP : OWNER_FILE_COPIES;
}

uint32_t account_ranges_site(const struct account_job *job, const struct smaps_mapping *m)
{
	const struct rangeset_range *c = rangeset_find(&job->files, m->start);
	if (!c && m->shared)
		c = rangeset_find(&job->mappings, m->start);
	return c ? c->site : 0;
}

/* ---- the table of mappings --------------------------------------------------------- */

static const uint8_t owner_of_kind[MAPPINGS_KIND_COUNT] = {
	[MAPPINGS_C] = OWNER_C_MMAP,
	[MAPPINGS_ALLOCATOR] = OWNER_C_RETAINED,
	[MAPPINGS_GO_HEAP] = OWNER_GO_HEAP,
	[MAPPINGS_GO_METADATA] = OWNER_GO_METADATA,
	[MAPPINGS_THREAD_STACK] = OWNER_THREAD_STACKS,
	[MAPPINGS_CACHED_STACK] = OWNER_THREAD_STACKS,
};

static struct rangeset *claims_for(struct account_job *job, const struct mappings_range *r)
{
	if (r->flags & MAPPINGS_FILE)
		return &job->files;
	return r->kind == MAPPINGS_CACHED_STACK ? &job->cached : &job->mappings;
}

static int take_range(struct account_job *job, const struct mappings_range *r)
{
	if (rangeset_add(job->scratch, claims_for(job, r), r->start, r->end, owner_of_kind[r->kind],
			 r->site))
		return -1;
	if (r->kind == MAPPINGS_THREAD_STACK)
		job->out->thread_stacks_count++;
	if (r->kind == MAPPINGS_CACHED_STACK) {
		job->out->ended_stacks_count++;
		job->out->ended_stacks_bytes += r->end - r->start;
	}
	if (r->kind != MAPPINGS_GO_HEAP)
		return 0;
	if (r->flags & MAPPINGS_USABLE)
		job->go_heap_usable += r->end - r->start;
	return rangeset_add(job->scratch, &job->go_heap, r->start, r->end, OWNER_GO_HEAP, 0);
}

static bool is_believed(const struct mappings_range *r)
{
	/* The stack of an ended thread may have been replaced by an unseen mapping. */
	return r->kind < MAPPINGS_KIND_COUNT &&
	       (r->kind != MAPPINGS_CACHED_STACK || account_stacks_is_one(r->start, r->end));
}

static int read_ledger(struct account_job *job)
{
	struct mappings_range *ranges;
	long count = mappings_copy(job->scratch, &ranges);
	for (long i = 0; i < count; i++)
		if (is_believed(&ranges[i]) && take_range(job, &ranges[i]))
			return -1;
	return count < 0 ? -1 : 0;
}

/* ---- /proc/self/maps ---------------------------------------------------- */

struct spans {
	struct mappings_span *list;
	size_t count, room;
};

/* Merges adjacent spans, because only the gaps matter. */
static int spans_add(struct scratch *scratch, struct spans *s, uint64_t start, uint64_t end)
{
	if (s->count && s->list[s->count - 1].end == start) {
		s->list[s->count - 1].end = end;
		return 0;
	}
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 256;
		struct mappings_span *list = scratch_alloc(scratch, room * sizeof(*list));
		if (!list)
			return -1;
		if (s->count)
			memcpy(list, s->list, s->count * sizeof(*list));
		s->list = list;
		s->room = room;
	}
	s->list[s->count++] = (struct mappings_span){start, end};
	return 0;
}

static int read_maps(struct account_job *job)
{
	struct smaps maps;
	struct smaps_mapping m;
	struct spans spans = {0};
	uint32_t tick = live_tick_now();
	bool ok = smaps_open_path(&maps, job->scratch, "/proc/self/maps") == 0;
	while (ok && work_may_go_on(1000) && smaps_next(&maps, &m)) {
		ok = spans_add(job->scratch, &spans, m.start, m.end) == 0;
		if (account_ranges_divide(&m) && m.writable && m.path[0] != '[')
			ok = ok &&
			     rangeset_add(job->scratch, &job->anonymous, m.start, m.end, 0, 0) == 0;
	}
	smaps_close(&maps);
	if (!ok || spans.count == 0)
		return -1;
	if (!work_was_cut()) /* otherwise it would forget what was not read */
		mappings_reconcile(spans.list, spans.count, tick);
	return 0;
}

/* ---- modules' .bss ------------------------------------------------------ */

static uint64_t page_up(uint64_t address)
{
	return ALIGN_UP(address, (uint64_t)PAGE_BYTES);
}

/* The memory of a segment beyond its file's pages. */
static int take_segment(struct account_job *job, const Elf64_Phdr *s, uint64_t bias, uint8_t owner)
{
	if (s->p_type != PT_LOAD || s->p_memsz <= s->p_filesz || s->p_memsz > UINT64_C(1) << 40)
		return 0;
	uint64_t start = page_up(bias + s->p_vaddr + s->p_filesz);
	uint64_t end = page_up(bias + s->p_vaddr + s->p_memsz);
	return rangeset_add(job->scratch, &job->data, start, end, owner, 0);
}

/* The value to add to the file's addresses. Its program headers are read from memory, because
 * the file may have been replaced. */
static bool module_bias(const struct module *m, struct elffile *f, uint64_t *bias)
{
	Elf64_Phdr s;
	if (!m->image || elffile_init_image(f, m->image, m->image_end))
		return false;
	for (uint32_t i = 0; elffile_segment(f, i, &s); i++)
		if (s.p_type == PT_LOAD && s.p_offset < PAGE_BYTES) {
			*bias = m->image - (s.p_vaddr - s.p_offset);
			return true;
		}
	return false;
}

bool account_ranges_data(const struct account_job *job, uint64_t address, uint64_t *start,
			 uint64_t *end)
{
	const struct module *m = modules_find(&job->modules, address);
	struct elffile f;
	Elf64_Phdr s;
	uint64_t bias;
	if (!m || !module_bias(m, &f, &bias))
		return false;
	for (uint32_t i = 0; elffile_segment(&f, i, &s); i++)
		if (s.p_type == PT_LOAD && (s.p_flags & PF_W)) {
			*start = bias + s.p_vaddr;
			*end = *start + s.p_memsz;
			return true;
		}
	return false;
}

static int take_module(struct account_job *job, const struct module *m, uint8_t owner)
{
	struct elffile f;
	Elf64_Phdr s;
	uint64_t bias;
	if (!module_bias(m, &f, &bias))
		return 0;
	for (uint32_t i = 0; elffile_segment(&f, i, &s); i++)
		if (take_segment(job, &s, bias, owner))
			return -1;
	return 0;
}

static int read_modules(struct account_job *job)
{
	if (modules_read(job->scratch, &job->modules) != 0)
		return -1;
	for (size_t i = 0; i < job->modules.count; i++) {
		const struct module *m = &job->modules.list[i];
		uint8_t owner = m->is_shim   ? OWNER_SHIM
				: m->is_main ? OWNER_PROGRAM
					     : OWNER_LIBRARIES;
		if (take_module(job, m, owner))
			return -1;
	}
	return 0;
}

/* ---- glibc's memory ----------------------------------------------------- */

static void look(void *arg, uint64_t start, uint64_t end, const struct rangeset_range *claim)
{
	if (!claim)
		glibcheap_look(arg, start, end);
}

static void to_owners(struct rangeset *found)
{
	for (size_t i = 0; i < found->count; i++)
		found->list[i].what =
			found->list[i].what == GLIBCHEAP_BIG ? OWNER_C_LIVE : OWNER_C_RETAINED;
}

static int read_glibc(struct account_job *job)
{
	struct glibcheap *g = &job->glibc;
	struct glibcheap_hints hints = {.big_bytes = job->out->allocator.mapped_bytes,
					.block_count = job->live.count,
					.max_pages = MAX_SEARCH_PAGES};
	uint64_t *blocks = scratch_alloc(job->scratch, job->live.count * sizeof(*blocks));
	if (!blocks)
		return -1;
	for (size_t i = 0; i < job->live.count; i++)
		blocks[i] = job->live.items[i].key;
	hints.blocks = blocks;
	for (size_t i = 0; i < job->anonymous.count; i++)
		account_ranges_cut(job, job->anonymous.list[i].start, job->anonymous.list[i].end,
				   look, g);
	glibcheap_finish(g, &hints);
	to_owners(&g->found);
	return g->failed ? -1 : 0;
}

/* ---- the shim's memory -------------------------------------------------- */

/* Insertion sort: few ranges, in nearly the same order each time. */
static void own_insert(struct rangeset *own, uint64_t start, uint64_t end)
{
	size_t at = own->count;
	if (own->count == MAX_OWN_RANGES)
		return;
	for (; at > 0 && own->list[at - 1].start > start; at--)
		own->list[at] = own->list[at - 1];
	own->list[at] = (struct rangeset_range){.start = start, .end = end, .what = OWNER_SHIM};
	own->count++;
}

/* Read again for every mapping, because scratch grows while the account is taken. */
static void read_own(struct rangeset *own)
{
	struct region_range ranges[MAX_OWN_RANGES];
	struct ownthread_stack stacks[OWNTHREAD_MAX];
	size_t count = region_ranges(ranges, COUNT_OF(ranges)), threads = ownthread_stacks(stacks);
	own->count = 0;
	for (size_t i = 0; i < count; i++)
		own_insert(own, ranges[i].start, ranges[i].end);
	for (size_t i = 0; i < threads; i++)
		own_insert(own, stacks[i].start, stacks[i].end);
}

/* ---- all claims --------------------------------------------------------- */

void account_ranges_cut(struct account_job *job, uint64_t start, uint64_t end,
			rangeset_visit *visit, void *arg)
{
	const struct rangeset *layers[] = {&job->own,  &job->mappings, &job->go_heap,
					   &job->data, &job->stacks,   &job->glibc.found,
					   &job->musl, &job->cached,   &job->early};
	read_own(&job->own);
	rangeset_cut(layers, COUNT_OF(layers), start, end, visit, arg);
}

int account_ranges_collect(struct account_job *job)
{
	struct scratch *s = job->scratch;
	job->own.list = scratch_alloc(s, MAX_OWN_RANGES * sizeof(*job->own.list));
	glibcheap_init(&job->glibc, s);
	if (!job->own.list || read_maps(job) != 0 || read_ledger(job) != 0 ||
	    read_modules(job) != 0 || account_arenas_find(job) != 0 ||
	    earlymaps_claim(s, &job->early, OWNER_LIBRARIES) || rangeset_sort(s, &job->files) ||
	    rangeset_sort(s, &job->mappings) || rangeset_sort(s, &job->go_heap) ||
	    rangeset_sort(s, &job->cached) || rangeset_sort(s, &job->data) ||
	    rangeset_sort(s, &job->early) || account_stacks_find(job) != 0)
		return -1;
	/* Last, because it searches unclaimed memory. */
	if (allocator_is_musl())
		return account_musl_find(job);
	return allocator_is_glibc() ? read_glibc(job) : 0;
}
