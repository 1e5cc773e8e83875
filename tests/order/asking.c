/*
 * libc.h: no thread is inside the loader, where it holds the loader's lock, while another forks.
 *
 * with shim/base/libc.c 1,/---- the loader's lock, and fork/d
 * with shim/base/libc.c /^int libc_atfork/,$d
 * break shim/base/libc.c /fetch_add(&askers/s/SEQ_CST/ACQ_REL/
 * break shim/base/libc.c /load_n(&forkers/s/SEQ_CST/ACQUIRE/
 * break shim/base/libc.c /load_n(&askers/s/SEQ_CST/ACQUIRE/
 * break shim/base/libc.c /arg);$/,/^}/s/RELEASE/RELAXED/
 * break shim/base/libc.c /fetch_sub(&forkers/s/RELEASE/RELAXED/
 */
#define MODEL_WAITS
#include "model.h"

#include <link.h>

/* Of libc.h, this part needs this. */
static struct {
	int (*dl_iterate_phdr)(int (*call)(struct dl_phdr_info *, size_t, void *), void *arg);
} libc;

#include "base/libc.c"

static uint32_t is_inside, is_copying;

static int iterate(int (*call)(struct dl_phdr_info *, size_t, void *), void *arg)
{
	(void)call, (void)arg;
	STORE(&is_inside, 1);
	bool is_copied = LOAD(&is_copying);
	STORE(&is_inside, 0);
	return is_copied;
}

static void *asks(void *unused)
{
	assert(libc_iterate_phdr(NULL, NULL) == 0);
	return unused;
}

static void *forks(void *unused)
{
	libc_before_fork();
	STORE(&is_copying, 1);
	bool is_copied = LOAD(&is_inside);
	STORE(&is_copying, 0);
	libc_after_fork();
	assert(!is_copied);
	return unused;
}

int main(void)
{
	libc.dl_iterate_phdr = iterate;
	model_run(3, asks, forks, forks);
	return 0;
}
