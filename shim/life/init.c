/*
 * The shim's life in a process: the constructor decides whether it becomes active.
 *
 * It becomes active in Go programs, where CGOHEAP_ANY=1 is set, and in other programs once they
 * contain Go: a C or Python program that loads a library built with -buildmode=c-shared. In
 * every other process that inherits LD_PRELOAD, such as a shell or a compiler started by the
 * service, it has no region, no thread and no socket, and prints nothing.
 */

#include <errno.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/arch.h"
#include "base/libc.h"
#include "base/loaded.h"
#include "base/seccomp.h"
#include "base/state.h"
#include "base/sys.h"
#include "region/recstack.h"
#include "region/region.h"
#include "config/config.h"
#include "config/log.h"
#include "go/gomodules.h"
#include "go/gosym.h"
#include "proc/procinfo.h"
#include "unwind/capture.h"
#include "unwind/golabels.h"
#include "unwind/codetables.h"
#include "record/budget.h"
#include "record/control.h"
#include "record/labelsets.h"
#include "record/mappings.h"
#include "record/sample.h"
#include "record/stacks.h"
#include "hook/earlymaps.h"
#include "hook/interpose.h"
#include "hook/malloc_slow.h"
#include "hook/mapcaller.h"
#include "hook/muslfamily.h"
#include "hook/real.h"
#include "hook/threads.h"
#include "recorder/recorder.h"
#include "serve/server.h"
#include "life/atfork.h"

#define EARLY_SCRATCH_BYTES (256 * KIB)

/* Of this process, even while it is not used. */
static struct config config;

/* Passive only because there is no Go. */
static bool waits_for_go;

static void say_passive(const char *reason)
{
	shim_passive_reason = reason;
	if (config.verbose)
		log_complain("passive in process %d: %s", sys_getpid(), reason);
}

/*
 * Passive unless Go comes later. Turns sampling off with a new epoch: threads then never ask
 * again, and free meets an empty filter.
 */
static void become_passive(const char *reason)
{
	say_passive(reason);
	shim_state_set(SHIM_PASSIVE);
	region_mark(REGION_LOST);
	/* A thread that has been told would never ask again, so tell threads only if that is
	 * final. */
	if (!waits_for_go)
		sample_set_interval(0);
	interpose_follow(false, true);
}

/* NULL, or the reason why there is nothing to do in this process. */
static const char *why_not(void)
{
	if (getauxval(AT_SECURE))
		return "set-user-ID or capabilities";
	config_read(&config, environ, true);
	if (libc_kind() == LIBC_OTHER)
		return "the C library is neither glibc nor musl";
	if (libc_kind() == LIBC_MUSL && !ARCH_KNOWS_MUSL)
		return "the C library is musl, which is known on amd64 only";
	waits_for_go = gomodules_init() != 0;
	if (waits_for_go && !config.any_program)
		return "not a Go program";
	waits_for_go = false;
	config_read(&config, environ, false);
	return NULL;
}

/*
 * What the loader and earlier constructors mapped is attributed to them in every account. A
 * later start would find more than that, with unknown origin.
 */
static void take_early_maps(void)
{
	struct scratch scratch = SCRATCH_INIT(EARLY_SCRATCH_BYTES);

	earlymaps_take(&scratch);
	scratch_release(&scratch);
}

static const char *start(void)
{
	bool was_passive = shim_state_now() == SHIM_PASSIVE;

	if (!libc_has_threads())
		return "no library with thread functions (libpthread) is loaded";
	seccomp_look();
	if ((recorder_open(&config) && region_init(config.max_memory_bytes)) || stacks_init() ||
	    recstack_init())
		return "no memory";
	capture_init(labelsets_keep);
	golabels_init();
	mapcaller_init((uint64_t)real.malloc);
	if (!was_passive)
		take_early_maps();
	sample_init();
	threads_init();
	atfork_init(&config);
	budget_init(config.max_cpu_ppm, config.max_cpu_given);
	control_init(&(struct control_start){.sample_bytes = config.sample_bytes,
					     .is_dormant = config.start_dormant,
					     .follow = interpose_follow,
					     .doublings = budget_doublings,
					     .look_at_room = budget_look_at_room});
	procinfo_open_resident();
	server_bind(&config);
	shim_state_set(SHIM_ACTIVE);
	return NULL;
}

static void start_server_here(void *unused, const struct regs *host)
{
	/* What glibc allocates for our thread is not the host's. */
	uint8_t before = sample_enter_as(BUSY_OWN);

	(void)unused;
	(void)host;
	server_start();
	sample_leave(before);
}

static void start_server_once(void)
{
	static bool started;
	int error = errno;

	if (LOAD(&started) || shim_state_now() != SHIM_ACTIVE ||
	    __atomic_exchange_n(&started, true, __ATOMIC_RELAXED))
		return;
	recstack_run_anyhow(start_server_here, NULL);
	errno = error;
}

static void look_at_added(uint64_t start);

/* Early among constructors, because allocations of other constructors belong to the program too. */
__attribute__((constructor(101))) static void init(void)
{
	static bool begun;
	int error = errno;

	if (__atomic_exchange_n(&begun, true, __ATOMIC_RELAXED))
		return;
	uint8_t before = sample_enter_as(BUSY_OWN);
	real_resolve();
	muslfamily_init();
	loaded_on_added(look_at_added);
	const char *reason = why_not();
	if (!reason)
		reason = start();
	if (reason)
		become_passive(reason);
	sample_leave(before);
	/* A Go program will create a thread soon; another program may have created its last one. */
	if (!reason && !gomodules_are_program())
		start_server_once();
	errno = error;
}

/* ---- Go that comes later ------------------------------------------------ */

static void start_here(void *unused, const struct regs *host)
{
	(void)unused, (void)host;
	const char *reason = start();

	if (reason)
		say_passive(reason);
	else
		shim_passive_reason = NULL;
}

/* Usually called in the constructor of the library, before its Go code first runs, on any stack. */
static __attribute__((noinline)) void start_late(void)
{
	int error = errno;
	uint8_t before = sample_enter_as(BUSY_OWN);

	if (recstack_init() == 0)
		recstack_run(start_here, NULL);
	sample_leave(before);
	errno = error;
}

static void go_was_added(void)
{
	codetables_changed();
	if (shim_state_now() == SHIM_PASSIVE &&
	    __atomic_exchange_n(&waits_for_go, false, __ATOMIC_ACQ_REL))
		start_late();
}

static void look_here(void *caller, const struct regs *host)
{
	(void)host;
	/* A library's constructor may run before ours. */
	if (shim_state_now() == SHIM_LOADING)
		init();
	if (gomodules_look((uint64_t)caller))
		go_was_added();
}

/* Another thread may close it meanwhile; if it is Go, it stays, and creates a thread soon. */
static void look_at_added(uint64_t start)
{
	if ((shim_state_now() == SHIM_PASSIVE && !LOAD(&waits_for_go)) ||
	    codetables_begin_reading())
		return;
	bool is_go = gomodules_look(start);
	codetables_end_reading();
	if (is_go)
		go_was_added();
}

static void update_here(void *unused, const struct regs *host)
{
	uint8_t before = sample_enter_as(BUSY_OWN);

	(void)unused, (void)host;
	codetables_update();
	sample_leave(before);
}

void interpose_loaded(void)
{
	int error = errno;

	recstack_run_anyhow(update_here, NULL);
	start_server_once();
	errno = error;
}

/* A process that waits for Go has no recording stacks yet. */
void interpose_thread_created(uint64_t caller)
{
	if (shim_state_now() != SHIM_PASSIVE || LOAD(&waits_for_go))
		recstack_run_anyhow(look_here, (void *)caller);
	start_server_once();
}
