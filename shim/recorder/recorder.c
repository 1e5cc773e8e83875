/*
 * What is written for a later reader, and when.  Readers see this file at any
 * moment, torn: an entry is whole before its count includes it.
 */
#include "recorder/recorder.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/clock.h"
#include "base/sys.h"
#include "base/work.h"
#include "region/region.h"
#include "config/log.h"
#include "proc/modules.h"
#include "proc/procinfo.h"
#include "go/gomodules.h"
#include "go/gostats.h"
#include "go/gosym.h"
#include "go/gotables.h"
#include "record/control.h"
#include "record/mappings.h"
#include "record/stacks.h"
#include "hook/malloc_slow.h"
#include "account/allocator.h"
#include "recorder/recorder_account.h"
#include "recorder/recorder_disk.h"
#include "recorder/recorder_file.h"

#define EVERY_NS      UINT64_C(1000000000)
#define SCRATCH_BYTES (4 * MIB)

#define LOOK_AT_STACKS_EVERY 10

/* An account again after so many times the processor time of the last: 0.5 % of a core. */
#define ACCOUNT_REST 200

static_assert(ELFFILE_BUILD_ID_BYTES <= sizeof((struct recording_module *)0)->build_id, "build_id");

static struct {
	struct recording *recording; /* NULL: off */
	uint64_t next_ns;
	uint32_t stacks_seen;
	uint64_t thread_stack_bytes;
	uint64_t account_next_ns, account_sequence;
	struct account account; /* the last; time_ns 0: none yet */
} recorder;

bool recorder_is_on(void)
{
	return recorder.recording != NULL;
}

/* ---- modules ------------------------------------------------------------ */

static bool is_known(const struct recording *recording, const struct module *m)
{
	for (uint32_t i = 0; i < recording->module_count; i++) {
		const struct recording_module *known = &recording->modules[i];
		if (known->start == m->start && known->end == m->end &&
		    known->file_offset == m->file_offset &&
		    strcmp(known->build_id, m->build_id) == 0 &&
		    strncmp(known->path, m->path, sizeof(known->path) - 1) == 0)
			return true;
	}
	return false;
}

/* A module that has gone stays: stacks may still lead through it. */
static void add_module(struct recording *recording, const struct module *m)
{
	struct recording_module *out = &recording->modules[recording->module_count];

	if (recording->module_count == RECORDING_MODULES || is_known(recording, m))
		return;
	out->start = m->start;
	out->end = m->end;
	out->file_offset = m->file_offset;
	out->load_bias = m->load_bias;
	out->flags = (m->is_main ? RECORDING_MODULE_MAIN : 0) |
		     (m->is_shim ? RECORDING_MODULE_SHIM : 0) |
		     (m->elf_ok ? RECORDING_MODULE_HAS_ELF : 0);
	ascii_copy(out->build_id, sizeof(out->build_id), m->build_id);
	ascii_copy(out->path, sizeof(out->path), m->path);
	STORE_REL(&recording->module_count, recording->module_count + 1);
}

/* Only a stack that was not there before can lead through a module that was not. */
static void write_modules(struct recording *recording)
{
	struct scratch scratch = SCRATCH_INIT(SCRATCH_BYTES);
	struct modules modules = {0};
	uint32_t stacks = stacks_count();

	if (recording->module_count && stacks == recorder.stacks_seen)
		return;
	recorder.stacks_seen = stacks;
	modules_read(&scratch, &modules);
	for (size_t i = 0; i < modules.count; i++)
		add_module(recording, &modules.list[i]);
	scratch_release(&scratch);
}

/* ---- the start ---------------------------------------------------------- */

static void write_go_tables(struct recording *recording)
{
	const struct gotables *go = &gomodules_get(0)->tables;
	const struct gotable *tables[RECORDING_GO_TABLES] = {&go->names, &go->cutab, &go->filetab,
							     &go->pctab, &go->funcs, &go->ftab,
							     &go->gofunc};

	recording->go_text = go->text;
	recording->go_etext = go->etext;
	recording->go_is_1_20 = go->is_1_20;
	for (size_t i = 0; i < RECORDING_GO_TABLES; i++) {
		recording->go_tables[i].address = (uint64_t)tables[i]->bytes;
		recording->go_tables[i].len = tables[i]->len;
	}
}

/* One that is too long is no limit that anybody set. */
static void copy_setting(char *out, size_t bytes, const char *name)
{
	const char *value = environ ? config_find(environ, name) : NULL;
	if (value && strlen(value) < bytes)
		ascii_copy(out, bytes, value ? value : "");
}

static void describe(struct recording *recording, const char *executable)
{
	recording->account_bytes = sizeof(recording->accounts[0]);
	recording->module_room = COUNT_OF(recording->modules);
	recording->second_room = COUNT_OF(recording->seconds);
	copy_setting(recording->go_memory_limit, sizeof(recording->go_memory_limit), "GOMEMLIMIT");
	copy_setting(recording->malloc_arena_max, sizeof(recording->malloc_arena_max),
		     "MALLOC_ARENA_MAX");
	write_go_tables(recording);
	ascii_copy(recording->program, sizeof(recording->program), executable);
	ascii_copy(recording->go_version, sizeof(recording->go_version), gosym_version());
	ascii_copy(recording->shim_version, sizeof(recording->shim_version), CGOHEAP_VERSION);
}

static int complain(const struct config *config, const char *what, long error)
{
	char number[LOG_ERROR_BYTES], quoted[LOG_QUOTE_BYTES];

	log_complain("CGOHEAP_BLACKBOX=%s: cannot %s: %s; the program runs on without its "
		     "recorder",
		     log_quote(quoted, config->recorder_dir), what, log_error_text(error, number));
	return -1;
}

int recorder_open(const struct config *config)
{
	char name[RECORDER_NAME_BYTES];
	char executable[RECORDING_PATH_BYTES];
	size_t extra = ALIGN_UP(sizeof(struct recording), PAGE_BYTES);
	size_t bytes = region_bytes_of(config->max_memory_bytes) + extra;
	struct recorder_file file;
	const char *what;
	void *memory;
	long error;

	if (!*config->recorder_dir)
		return -1;
	procinfo_executable(executable, sizeof(executable));
	recorder_file_name(name, executable, sys_getpid());
	memory = recorder_file_map(&(struct recorder_place){.dir = config->recorder_dir,
							    .name = name,
							    .is_final = config->leak_check},
				   bytes, &file, &what, &error);
	if (!memory)
		return complain(config, what, error);
	if (region_init_at(memory, config->max_memory_bytes, extra)) {
		own_fd_close(&file.own);
		sys_unmap(memory, bytes);
		return -1;
	}
	recorder.recording = region_at(region_layout.recording.offset);
	describe(recorder.recording, executable);
	write_modules(recorder.recording); /* for a process that ends before the first second */
	if (file.own.fd >= 0 && recorder_disk_open(&file))
		complain(config, "get memory", ENOMEM);
	return 0;
}

int recorder_start(void)
{
	return recorder_disk_start();
}

/* ---- seconds ------------------------------------------------------------ */

/* A look at every thread's pages: not each second. */
static uint64_t read_thread_stacks(struct scratch *scratch)
{
	struct snapshot s;
	uint64_t sum = 0;

	if (stacks_snapshot(scratch, 0, &s))
		return UNKNOWN;
	for (size_t i = 0; i < s.count; i++)
		if (site_at(s.tallies[i].site)->origin == ORIGIN_THREAD_STACK)
			sum += (uint64_t)s.tallies[i].inuse_bytes;
	return sum;
}

static void read_c(struct scratch *scratch, struct recording_second *out)
{
	struct stacks_totals totals = stacks_totals();

	out->c_live_bytes = totals.bytes[ORIGIN_MALLOC];
	out->c_live_objects = totals.objects[ORIGIN_MALLOC];
	out->c_mapped_bytes = totals.bytes[ORIGIN_MMAP];
	if (recorder.recording->second_count % LOOK_AT_STACKS_EVERY == 0)
		recorder.thread_stack_bytes = read_thread_stacks(scratch);
	out->thread_stacks = recorder.thread_stack_bytes;
}

static void read_kernel(struct scratch *scratch, struct recording_second *out)
{
	struct process_stats p;
	struct cgroup_stats g;

	procinfo_read_status(scratch, NULL, &p);
	procinfo_read_cgroup(scratch, "", &g);
	out->rss = p.vm_rss;
	out->anon = p.rss_anon;
	out->file = p.rss_file;
	out->shmem = p.rss_shmem;
	out->swap = p.vm_swap;
	out->cgroup_current = g.current;
	out->cgroup_limit = g.limit;
}

/* Of the runtime's arenas, without reservations.  -1: scratch exhausted. */
static int read_go_heap_usable(struct scratch *scratch, uint64_t *bytes)
{
	struct mappings_range *ranges;
	long count = mappings_copy(scratch, &ranges);

	*bytes = 0;
	for (long i = 0; i < count; i++)
		if (ranges[i].kind == MAPPINGS_GO_HEAP && ranges[i].flags & MAPPINGS_USABLE)
			*bytes += ranges[i].end - ranges[i].start;
	return count >= 0 ? 0 : -1;
}

static void set_go(struct recording_second *out, const struct go_stats *g)
{
	out->go_heap_in_use = g->heap_in_use_bytes;
	out->go_heap_free = g->heap_free_bytes;
	out->go_heap_released = g->heap_released_bytes;
	out->go_stacks = g->stacks_bytes;
}

static void set_allocator(struct recording_second *out, const struct allocator_stats *s)
{
	out->allocator_in_use = s->in_use_bytes;
	out->allocator_free = s->free_bytes;
	out->allocator_system = s->system_bytes;
}

/* What an account that was taken just now has need not be asked for again. */
static void read_allocator_and_go(struct scratch *scratch, bool has_account,
				  struct recording_second *out)
{
	struct allocator_stats s;
	struct go_stats g = {.heap_in_use_bytes = UNKNOWN,
			     .heap_free_bytes = UNKNOWN,
			     .heap_released_bytes = UNKNOWN,
			     .stacks_bytes = UNKNOWN};
	uint64_t usable;

	if (has_account) {
		set_allocator(out, &recorder.account.allocator);
		set_go(out, &recorder.account.go);
		return;
	}
	allocator_read(&s);
	if (read_go_heap_usable(scratch, &usable) == 0)
		gostats_read(scratch, usable, &g);
	set_allocator(out, &s);
	set_go(out, &g);
}

static uint64_t dropped(void)
{
	return LOAD(&slow_drops.live_full) + LOAD(&slow_drops.reentered) +
	       LOAD(&slow_drops.no_stack);
}

static uint64_t realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

static void write_second(struct recording *recording, bool has_account)
{
	struct scratch scratch = SCRATCH_INIT(SCRATCH_BYTES);
	struct control_state c = control_get();
	struct recording_second m = {.realtime_ns = realtime_ns(),
				     .samples = slow_samples_taken(),
				     .dropped = dropped(),
				     .sample_bytes = c.on ? c.sample_bytes : 0,
				     .configured_sample_bytes = c.configured_sample_bytes};

	read_kernel(&scratch, &m);
	read_c(&scratch, &m);
	read_allocator_and_go(&scratch, has_account, &m);
	recorder_account_remember(&m, &recorder.account);
	scratch_release(&scratch);
	recording->seconds[recording->second_count % RECORDING_SECONDS] = m;
	STORE_REL(&recording->second_count, recording->second_count + 1);
}

/* ---- accounts ----------------------------------------------------------- */

static int take_account(struct recording *recording)
{
	struct scratch scratch = SCRATCH_INIT(region_scratch_max_bytes());
	struct account_parts parts;
	struct account a;
	bool taken = account_take(&scratch, &a, &parts) == 0;

	if (taken) {
		recorder.account = a;
		if (recorder_account_write(recording, recorder.account_sequence + 1, &scratch, &a,
					   &parts) == 0)
			recorder.account_sequence++;
	}
	scratch_release(&scratch);
	return taken ? 0 : -1;
}

/* -1: not due, or not to be had. */
static int write_account(struct recording *recording, uint64_t now)
{
	bool is_first = recorder.account_next_ns == 0;
	uint64_t begin_ns = work_cpu_ns();

	if (now < recorder.account_next_ns)
		return -1;
	int result = take_account(recording);
	/* The first one looks symbols up, and is no measure for the next. */
	recorder.account_next_ns = is_first ? now : now + ACCOUNT_REST * (work_cpu_ns() - begin_ns);
	return result;
}

/* ---- each second -------------------------------------------------------- */

uint64_t recorder_tick(void)
{
	bool has_account;
	uint64_t now = clock_monotonic_ns();

	if (!recorder.recording)
		return UINT64_MAX;
	if (now < recorder.next_ns)
		return recorder.next_ns - now;
	work_begin(WORK_NS);
	write_modules(recorder.recording);
	has_account = write_account(recorder.recording, clock_monotonic_ns()) == 0;
	write_second(recorder.recording, has_account);
	work_end();
	recorder.next_ns = now + EVERY_NS;
	return EVERY_NS;
}

/* ---- fork --------------------------------------------------------------- */

static bool is_zero(const uint64_t *page)
{
	for (size_t i = 0; i < PAGE_BYTES / sizeof(*page); i++)
		if (page[i])
			return false;
	return true;
}

/* Of a child that is passive only the header and what new threads are to do are read. */
void recorder_after_fork_in_child(bool goes_on)
{
	const struct region_table *starts = &region_layout.thread_starts;
	uint64_t keep = goes_on ? region_layout.recording.offset : starts->offset + starts->bytes;
	size_t bytes = region_layout.region_bytes;
	char *copy;

	if (!recorder.recording)
		return;
	recorder.recording = NULL;
	if (recorder_disk_forget())
		return; /* no mapping of a file: the child has a copy already */
	copy = sys_map_anonymous(bytes);
	if (!copy)
		return;
	for (uint64_t at = 0; at < keep; at += PAGE_BYTES)
		if (!is_zero(region_at(at)))
			memcpy(copy + at, region_at(at), PAGE_BYTES);
	sys_call(mremap, copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, region);
}
