/*
 * The shim's life in a process: the constructor that decides whether it takes
 * part.
 *
 * It takes part in Go programs (and where CGOHEAP_ANY=1 asks for it).  In every
 * other process that inherits LD_PRELOAD, a shell or a compiler started by the
 * service, it has no region, no thread and no socket, and says nothing.
 */
#include <errno.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "blackbox.h"
#include "budget.h"
#include "capture.h"
#include "config.h"
#include "control.h"
#include "earlymaps.h"
#include "forks.h"
#include "golabels.h"
#include "gomodules.h"
#include "gosym.h"
#include "interpose.h"
#include "ledger.h"
#include "mapcaller.h"
#include "real.h"
#include "region.h"
#include "sample.h"
#include "seccomp.h"
#include "server.h"
#include "threads.h"
#include "track.h"

#define EARLY_SCRATCH_BYTES (256 * KIB)

/*
 * For good.  Sampling off with a new epoch: threads then never look up again,
 * and free meets an empty filter.
 */
static void become_passive(const char *reason)
{
	shim_passive_reason = reason;
	STORE(&shim_state, SHIM_PASSIVE);
	sample_set_interval(0);
	interpose_follow(false, true);
}

/* NULL, or why there is nothing to do in this process. */
static const char *why_not(struct config *config)
{
	bool is_go;

	if (getauxval(AT_SECURE))
		return "set-user-ID or capabilities";
	is_go = gomodules_init() == 0;
	config_read(config, environ, true);
	if (!is_go && !config->any_program)
		return "not a Go program";
	config_read(config, environ, false);
	return NULL;
}

/* What the loader and earlier constructors have mapped is theirs, in every account. */
static void take_early_maps(void)
{
	struct scratch scratch = SCRATCH_INIT(EARLY_SCRATCH_BYTES);

	earlymaps_take(&scratch);
	scratch_release(&scratch);
}

static const char *start(struct config *config)
{
	seccomp_look();
	if (blackbox_open(config) && region_init(config->max_memory_bytes))
		return "no memory";
	capture_init();
	golabels_init();
	mapcaller_init((uint64_t)real.malloc);
	take_early_maps();
	sample_init();
	threads_init();
	forks_init(config);
	control_follower = interpose_follow;
	budget_init(config->max_cpu_ppm, config->max_cpu_given);
	control_budget = budget_doublings;
	control_room = budget_look_at_room;
	control_init(config->sample_bytes, config->start_dormant);
	server_bind(config);
	STORE(&shim_state, SHIM_ACTIVE);
	return NULL;
}

/* Early among constructors: what others allocate in theirs is the program's too. */
__attribute__((constructor(101))) static void init(void)
{
	static struct config config;
	int error = errno;
	uint8_t before = sample_enter_as(BUSY_OWN);
	const char *reason;

	real_resolve();
	reason = why_not(&config);
	if (!reason)
		reason = start(&config);
	if (reason)
		become_passive(reason);
	sample_leave(before);
	/* A Go program makes a thread soon, in its own time; another may never make one. */
	if (!reason && !gosym_is_go())
		track_thread_created();
	errno = error;
}
