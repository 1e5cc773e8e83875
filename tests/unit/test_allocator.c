/* glibc's figures against what was allocated; trim; the limit on reading statistics. */
#include "child.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/dynsym.h"
#include "hook/real.h"
#include "account/allocator.h"
#include "account/worker.h"

/* As in glibc before 2.33. */
static bool has_no_mallinfo2;

void *__real_dynsym_find_in_module(const struct dynsym_module *m, const char *name);
void *__wrap_dynsym_find_in_module(const struct dynsym_module *m, const char *name);
void *__wrap_dynsym_find_in_module(const struct dynsym_module *m, const char *name)
{
	if (has_no_mallinfo2 && strcmp(name, "mallinfo2") == 0)
		return NULL;
	return __real_dynsym_find_in_module(m, name);
}

static struct allocator_stats read_now(void)
{
	struct allocator_stats s;
	CHECK(allocator_read(&s) == ALLOCATOR_OK);
	CHECK(strcmp(s.name, "glibc") == 0);
	return s;
}

static void no_allocator_to_ask(void)
{
	struct allocator_stats s;
	const char *what;
	real_resolve();
	CHECK(allocator_read(&s) == ALLOCATOR_UNANSWERED);
	CHECK(s.in_use_bytes == UNKNOWN && s.system_bytes == UNKNOWN && s.nanoseconds == UNKNOWN);
	CHECK(allocator_trim() == -1 && allocator_trimmed(&what) == ALLOCATOR_UNANSWERED);
}
CASE(no_allocator_to_ask)

static const char *trim_now(void)
{
	const char *what = NULL;
	CHECK(allocator_trim() == 0);
	while (allocator_trimmed(&what) == ALLOCATOR_UNANSWERED || worker_is_busy())
		usleep(100);
	return what;
}

static bool within(uint64_t a, uint64_t b, uint64_t most)
{
	return a > b ? a - b <= most : b - a <= most;
}

static void figures(void)
{
	static char *blocks[20000];
	real_resolve();
	CHECK(worker_start() == 0);
	struct allocator_stats before = read_now();
	for (size_t i = 0; i < COUNT_OF(blocks); i++) {
		blocks[i] = malloc(1000);
		CHECK(blocks[i]);
		memset(blocks[i], 1, 1000);
	}
	char *big = malloc(100 * MIB);
	CHECK(big);
	struct allocator_stats full = read_now();
	CHECK(within(full.in_use_bytes - before.in_use_bytes, 20000 * 1008 + 100 * MIB, 64 * KIB));
	CHECK(within(full.mapped_bytes - before.mapped_bytes, 100 * MIB, 64 * KIB));
	for (size_t i = 0; i < COUNT_OF(blocks) - 1; i++)
		free(blocks[i]);
	free(big);
	struct allocator_stats freed = read_now();
	CHECK(within(freed.in_use_bytes, before.in_use_bytes, 64 * KIB));
	CHECK(within(freed.free_bytes - before.free_bytes, 20000 * 1008, 256 * KIB));
	CHECK(freed.system_bytes >= freed.free_bytes + freed.in_use_bytes);
	CHECK(strcmp(trim_now(), "malloc_trim") == 0);
	free(blocks[COUNT_OF(blocks) - 1]);
}
CASE_WITHOUT_ASAN(figures)

static void figures_of_old_glibc(void)
{
	has_no_mallinfo2 = true;
	figures();
}
CASE_WITHOUT_ASAN(figures_of_old_glibc)

/* It counts in 32 bits. */
static void old_glibc_in_a_large_process(void)
{
	has_no_mallinfo2 = true;
	real_resolve();
	CHECK(worker_start() == 0 && read_now().in_use_bytes != UNKNOWN);
	void *large = mmap(NULL, 5 * 1024 * MIB, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(large != MAP_FAILED);
	struct allocator_stats s = read_now();
	CHECK(s.in_use_bytes == UNKNOWN && s.free_bytes == UNKNOWN && s.mapped_bytes == UNKNOWN);
	munmap(large, 5 * 1024 * MIB);
	CHECK(read_now().in_use_bytes != UNKNOWN);
}
CASE_WITHOUT_ASAN(old_glibc_in_a_large_process)

/* Many free chunks to walk: the result is reused for a while. */
static void not_too_often(void)
{
	enum { COUNT = 3000000 };
	struct allocator_stats s, again;
	void **blocks = malloc(COUNT * sizeof(*blocks));
	real_resolve();
	CHECK(worker_start() == 0 && blocks);
	for (size_t i = 0; i < COUNT; i++)
		blocks[i] = malloc(200);
	for (size_t i = 0; i < COUNT; i += 2)
		free(blocks[i]);
	CHECK(allocator_read(&s) == ALLOCATOR_OK);
	if (s.nanoseconds <= 5000000) {
		fprintf(stderr, "too fast a machine to see it: %llu ns\n",
			(unsigned long long)s.nanoseconds);
		_exit(77);
	}
	free(blocks[1]);
	CHECK(allocator_read(&again) == ALLOCATOR_OLD);
	CHECK(memcmp(&s, &again, sizeof(s)) == 0);
	/* A trim invalidates the previous figures. */
	CHECK(trim_now());
	CHECK(allocator_read(&again) == ALLOCATOR_OK);
}

static void test_not_too_often(void **state)
{
	int status;
	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip();
#endif
	pid_t pid = fork();
	if (pid == 0) {
		not_too_often();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_allocator_to_ask),
		cmocka_unit_test(test_figures),
		cmocka_unit_test(test_figures_of_old_glibc),
		cmocka_unit_test(test_old_glibc_in_a_large_process),
		cmocka_unit_test(test_not_too_often),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
