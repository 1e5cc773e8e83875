/*
 * See atfork.h. A child that keeps profiling needs consistent tables. So the forking thread
 * takes all our locks first, which means that no other thread is in the middle of a change, and
 * releases them afterwards in both processes. The order is the nesting order: control's lock is
 * held while threads are told of a change.
 *
 * The thread counts as inside the shim meanwhile, so allocations by other libraries' fork
 * handlers skip the locks that it holds.
 *
 * Another library's handler may wait for its own lock, whose holder waits for one of ours. After
 * half a second, that holder releases our locks for the forking thread, which then does not
 * touch them; the child is passive.
 */
#include "life/atfork.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/forked.h"
#include "base/libc.h"
#include "base/lock.h"
#include "base/state.h"
#include "base/sys.h"
#include "region/recstack.h"
#include "region/region.h"
#include "unwind/codetables.h"
#include "unwind/lastwalk.h"
#include "record/control.h"
#include "record/eventring.h"
#include "record/live.h"
#include "record/mappings.h"
#include "record/peak.h"
#include "record/pins.h"
#include "record/sample.h"
#include "record/stacks_reclaim.h"
#include "record/unloads.h"
#include "hook/ownthread.h"
#include "recorder/recorder.h"
#include "serve/server.h"

static const struct config *config;
static int followed_into; /* PID of the child that keeps profiling */

/* State of all our locks during a fork. */
enum { NOT_HELD, HELD, ABANDONED };
static uint32_t hold;

/* Of this thread, between the handlers before and after fork. */
static __thread struct {
	bool locked;
	uint8_t before;
} forking __attribute__((tls_model("initial-exec")));

/*
 * A signal handler that interrupted the shim may fork too. The thread would then wait for
 * itself, so its child is passive.
 */
static void before_fork(void)
{
	libc_before_fork();
	forking.locked = !LOAD(&sample_self.busy) && !pins_held() && mappings_before_fork() == 0;
	if (!forking.locked)
		return;
	forking.before = sample_enter_as(BUSY_OWN);
	control_before_fork();
	region_before_fork();
	live_before_fork();
	sample_before_fork();
	unloads_before_fork();
	STORE_REL(&hold, HELD);
}

static void unlock(void)
{
	unloads_after_fork();
	sample_after_fork();
	live_after_fork();
	region_after_fork();
	control_after_fork();
	mappings_after_fork();
}

static bool end_hold(uint32_t as)
{
	uint32_t held = HELD;

	return __atomic_compare_exchange_n(&hold, &held, as, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

static void abandon(void)
{
	if (end_hold(ABANDONED))
		unlock();
}

static void in_parent(void)
{
	libc_after_fork();
	if (!forking.locked)
		return;
	if (end_hold(NOT_HELD))
		unlock();
	else
		mappings_fork_abandoned();
	sample_leave(forking.before);
}

/* The child's socket: the configured path plus the PID, or the default path. */
static void name_socket(struct config *own)
{
	char *path = own->socket_path;
	size_t used = strlen(path);

	own->listen = false; /* the parent listens there */
	if (!used)
		return;
	int n = snprintf(path + used, CONFIG_PATH_BYTES - used, ".%d", sys_getpid());
	if (n >= (int)(CONFIG_PATH_BYTES - used))
		path[0] = 0;
}

static void in_child(void);

static void follow(void)
{
	struct config own = *config;

	recorder_after_fork_in_child(true);
	unlock();
	eventring_after_fork_in_child();
	region_forget_scratch();
	sample_follow_in_child();
	peak_follow_in_child();
	stacks_reclaim_follow_in_child();
	ownthread_forget();
	server_after_fork_in_child();
	name_socket(&own);
	server_bind_again(&own);
	sample_leave(forking.before);
	forking.locked = false;
	followed_into = sys_getpid();
	forked_watch(in_child); /* it may have children too */
}

/* The child keeps what it inherited and records nothing. */
static void become_passive(void)
{
	shim_passive_reason = "child of fork";
	shim_state_set(SHIM_PASSIVE);
	recorder_after_fork_in_child(false);
	eventring_after_fork_in_child();
	live_after_fork_in_child();
	mappings_after_fork_in_child();
	sample_after_fork_in_child();
	server_after_fork_in_child();
}

static void in_child_here(void *unused, const struct regs *host)
{
	(void)unused, (void)host;
	if (forking.locked && end_hold(NOT_HELD))
		follow();
	else
		become_passive();
}

/* The forking thread may have as little stack as one that allocates. */
static void in_child(void)
{
	int error = errno;

	libc_after_fork_in_child();
	codetables_after_fork_in_child();
	recstack_after_fork_in_child();
	lastwalk_after_fork_in_child();
	recstack_run_anyhow(in_child_here, NULL);
	errno = error;
}

/* An earlier handler of another library may have called a hook, which has already noticed the
 * fork. */
static void in_child_of_fork(void)
{
	if (followed_into != sys_getpid())
		forked_noticed();
}

void atfork_init(const struct config *given)
{
	config = given;
	forked_watch(in_child);
	if (!config->follow_fork) {
		libc_atfork(libc_before_fork, libc_after_fork, forked_noticed);
		return;
	}
	lock_on_long_wait(abandon);
	libc_atfork(before_fork, in_parent, in_child_of_fork);
}
