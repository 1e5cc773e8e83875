/* /proc/self/status and cgroups of both versions, inside and outside containers. */
#include "fixture.h"

#include <sys/stat.h>

#include "base/base.h"
#include "proc/procinfo.h"

static void put(const char *path, const char *text)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", fixture_dir, path);
	fixture_run("mkdir -p \"$(dirname '%s')\"", full);
	FILE *f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static struct cgroup_stats read_cgroup(void)
{
	struct scratch s = SCRATCH_INIT(MIB);
	struct cgroup_stats c;

	procinfo_read_cgroup(&s, fixture_dir, &c);
	scratch_release(&s);
	return c;
}

static int clean(void **state)
{
	(void)state;
	fixture_run("rm -rf '%s'/*", fixture_dir);
	return 0;
}

static void v2(void **state)
{
	(void)state;
	put("proc/self/cgroup", "0::/system.slice/a.service\n");
	put("proc/self/mountinfo", "22 1 0:20 / /proc rw - proc proc rw\n"
				   "30 22 0:26 / /cg rw,nosuid shared:4 - cgroup2 cgroup2 rw\n");
	put("cg/system.slice/a.service/memory.current", "1000\n");
	put("cg/system.slice/a.service/memory.max", "max\n");
	put("cg/system.slice/a.service/memory.stat",
	    "anon 700\nfile 200\nkernel 90\nkernel_stack 5\nanon_thp 3\n");
	put("cg/system.slice/a.service/memory.swap.current", "7\n");
	put("cg/system.slice/memory.max", "5000\n");
	put("cg/memory.max", "9000\n"); /* higher, so irrelevant */
	struct cgroup_stats c = read_cgroup();
	assert_int_equal(c.version, 2);
	assert_string_equal(c.path, "/system.slice/a.service");
	assert_int_equal(c.current, 1000);
	assert_int_equal(c.limit, 5000);
	assert_int_equal(c.anon, 700);
	assert_int_equal(c.file, 200);
	assert_int_equal(c.kernel, 90);
	assert_int_equal(c.swap, 7);
}

/* A container with a cgroup namespace: its cgroup is the top of what it sees. */
static void v2_namespace(void **state)
{
	(void)state;
	put("proc/self/cgroup", "0::/\n");
	put("proc/self/mountinfo", "30 22 0:26 / /cg ro - cgroup2 cgroup ro\n");
	put("cg/memory.current", "123\n");
	put("cg/memory.max", "456\n");
	struct cgroup_stats c = read_cgroup();
	assert_int_equal(c.version, 2);
	assert_int_equal(c.current, 123);
	assert_int_equal(c.limit, 456);
	assert_int_equal(c.anon, UNKNOWN);
	assert_int_equal(c.swap, UNKNOWN);
}

/* Both versions mounted, memory in v1; in a container without a cgroup namespace. */
static void v1_container(void **state)
{
	(void)state;
	put("proc/self/cgroup", "5:cpu,cpuacct:/docker/x\n4:memory:/docker/x/sub\n0::/other\n");
	put("proc/self/mountinfo",
	    "32 31 0:28 / /cg/unified rw - cgroup2 cgroup2 rw\n"
	    "33 31 0:29 /docker/x /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
	    "34 31 0:30 /docker/x /cg/memory rw master:9 - cgroup cgroup rw,memory\n");
	put("cg/memory/sub/memory.usage_in_bytes", "800\n");
	put("cg/memory/sub/memory.limit_in_bytes", "9223372036854771712\n");
	put("cg/memory/sub/memory.kmem.usage_in_bytes", "40\n");
	put("cg/memory/sub/memory.stat",
	    "cache 100\nrss 600\nrss_huge 5\nswap 20\ntotal_rss 9999\n");
	put("cg/memory/memory.limit_in_bytes", "4000\n");
	struct cgroup_stats c = read_cgroup();
	assert_int_equal(c.version, 1);
	assert_string_equal(c.path, "/docker/x/sub");
	assert_int_equal(c.current, 800);
	assert_int_equal(c.limit, 4000);
	assert_int_equal(c.anon, 600);
	assert_int_equal(c.file, 100);
	assert_int_equal(c.kernel, 40);
	assert_int_equal(c.swap, 20);
}

/* The mount shows a subtree that this process is not in: use its top. */
static void elsewhere(void **state)
{
	(void)state;
	put("proc/self/cgroup", "0::/../sibling\n");
	put("proc/self/mountinfo", "30 22 0:26 /docker/abc /cg rw - cgroup2 cgroup rw\n");
	put("cg/memory.current", "11\n");
	assert_int_equal(read_cgroup().current, 11);
	put("proc/self/cgroup", "0::/docker/abcdef\n"); /* not below /docker/abc */
	assert_int_equal(read_cgroup().current, 11);
}

static void nothing_known(void **state)
{
	(void)state;
	struct cgroup_stats c = read_cgroup();
	assert_int_equal(c.version, 0);
	assert_int_equal(c.current, UNKNOWN);
	put("proc/self/cgroup", "0::/x\n");
	c = read_cgroup(); /* not mounted */
	assert_int_equal(c.version, 2);
	assert_string_equal(c.path, "/x");
	assert_int_equal(c.limit, UNKNOWN);
	put("proc/self/mountinfo", "30 22 0:26 / /cg rw cgroup2 cgroup rw\nshort - cgroup2\n- \n");
	assert_int_equal(read_cgroup().current, UNKNOWN);
}

static void paths_too_long(void **state)
{
	char *text = malloc(9000);

	(void)state;
	strcpy(text, "0::/");
	memset(text + 4, 'a', 8000);
	strcpy(text + 8004, "\n0::/b\n");
	put("proc/self/cgroup", text);
	put("proc/self/mountinfo", "30 22 0:26 / /cg rw - cgroup2 cgroup rw\n");
	put("cg/b/memory.current", "3\n");
	assert_int_equal(read_cgroup().current, 3);
	free(text);
}

static void status(void **state)
{
	struct scratch s = SCRATCH_INIT(MIB);
	struct process_stats p;
	char path[128];

	(void)state;
	put("status", "Name:\tVmRSS: 5 kB\nVmPeak:\t 9 kB\nVmSize:\t    3000 kB\nVmHWM:\t 12 kB\n"
		      "VmRSS:\t     110 kB\nRssAnon:\t      60 kB\nRssFile:\t      40 kB\n"
		      "RssShmem:\t      10 kB\nVmStk:\t     132 kB\nThreads:\t17\n");
	snprintf(path, sizeof(path), "%s/status", fixture_dir);
	procinfo_read_status(&s, path, &p);
	assert_int_equal(p.vm_rss, 110 * KIB);
	assert_int_equal(p.vm_size, 3000 * KIB);
	assert_int_equal(p.vm_hwm, 12 * KIB);
	assert_int_equal(p.rss_anon, 60 * KIB);
	assert_int_equal(p.rss_file, 40 * KIB);
	assert_int_equal(p.rss_shmem, 10 * KIB);
	assert_int_equal(p.vm_stk, 132 * KIB);
	assert_int_equal(p.threads, 17);
	assert_int_equal(p.vm_swap, UNKNOWN); /* a kernel without swap has no such line */
	assert_int_equal(p.vm_data, UNKNOWN);
	procinfo_read_status(&s, NULL, &p);
	assert_true(p.vm_rss > 0 && p.vm_rss < p.vm_size && p.threads == 1);
	scratch_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(v2, clean),
		cmocka_unit_test_setup(v2_namespace, clean),
		cmocka_unit_test_setup(v1_container, clean),
		cmocka_unit_test_setup(elsewhere, clean),
		cmocka_unit_test_setup(nothing_known, clean),
		cmocka_unit_test_setup(paths_too_long, clean),
		cmocka_unit_test_setup(status, clean),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
