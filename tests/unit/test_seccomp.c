/* What /proc says about filters, and that no rare call is made under one. */
#include "child.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/seccomp.h"
#include "base/sys.h"

static enum seccomp_mode mode_in(const char *text)
{
	return seccomp_mode_in(text, strlen(text));
}

static void status_texts(void)
{
	CHECK(mode_in("Name:\tx\nSeccomp:\t0\nSeccomp_filters:\t0\n") == SECCOMP_IS_NONE);
	CHECK(mode_in("Name:\tx\nSeccomp:\t1\n") == SECCOMP_IS_STRICT);
	CHECK(mode_in("Name:\tx\nSeccomp:\t2\n") == SECCOMP_IS_FILTER);
	CHECK(mode_in("Name:\tx\nSeccomp:\t3\n") == SECCOMP_IS_UNKNOWN);
	CHECK(mode_in("Name:\tx\nSeccomp_filters:\t1\n") == SECCOMP_IS_UNKNOWN);
	CHECK(mode_in("Name:\tSeccomp:\t0\n") == SECCOMP_IS_UNKNOWN);
	CHECK(mode_in("Name:\tx\nSeccomp:") == SECCOMP_IS_UNKNOWN);
	CHECK(mode_in("") == SECCOMP_IS_UNKNOWN);
}
CASE(status_texts)

/* No rare call is made before the first look either. */
static void looks(void)
{
	CHECK(!seccomp_allows_rare());
	CHECK(!strcmp(seccomp_mode_name(), "unknown"));
	CHECK(seccomp_look() == SECCOMP_IS_NONE);
	CHECK(seccomp_allows_rare());
	CHECK(!strcmp(seccomp_mode_name(), "none"));
}
CASE(looks)

/* The filter kills for mincore, so the shim must refuse the call itself. */
static void under_a_filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mincore, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {COUNT_OF(code), code};
	uint8_t page;

	seccomp_look();
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
	CHECK(seccomp_look() == SECCOMP_IS_FILTER);
	CHECK(!strcmp(seccomp_mode_name(), "filter"));
	CHECK(sys_rare(mincore, 0, PAGE_BYTES, &page) == -EPERM);
}
CASE(under_a_filter)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_texts),
		cmocka_unit_test(test_looks),
		cmocka_unit_test(test_under_a_filter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
