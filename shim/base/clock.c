/* See clock.h. */
#include "base/clock.h"

#include <sys/auxv.h>

#include "base/dynsym.h"
#include "base/sys.h"

static int (*vdso_gettime)(clockid_t clock, struct timespec *t);
static uint64_t kept_ns;

/* Safe if two threads run it at once: it only reads tables, and both find the same. */
static void look_up(void)
{
	static bool done;

	if (LOAD_ACQ(&done))
		return;
	const void *image = (const void *)getauxval(AT_SYSINFO_EHDR);
	STORE(&vdso_gettime,
	      (__typeof__(vdso_gettime))dynsym_find_in_image(image, "__vdso_clock_gettime"));
	STORE_REL(&done, true);
}

static uint64_t ns_of(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
}

uint64_t clock_coarse_ns(void)
{
	int (*gettime)(clockid_t, struct timespec *) = LOAD(&vdso_gettime);
	struct timespec t;

	if (!gettime || gettime(CLOCK_MONOTONIC_COARSE, &t))
		return LOAD(&kept_ns);
	return ns_of(&t);
}

uint64_t clock_ns(clockid_t clock)
{
	int (*gettime)(clockid_t, struct timespec *);
	struct timespec t = {0};

	look_up();
	gettime = LOAD(&vdso_gettime);
	if (!gettime || gettime(clock, &t))
		sys_call(clock_gettime, clock, &t);
	if (clock == CLOCK_MONOTONIC)
		STORE(&kept_ns, ns_of(&t));
	return ns_of(&t);
}
