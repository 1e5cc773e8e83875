/* jemalloc's figures of slabs, from an answer made by hand, also where it has less to say. */
#include "child.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "account/jemallocbins.h"

static unsigned bin_count = 3;
static const char *missing = ""; /* a name that is not known */

static int put(void *to, size_t *bytes, uint64_t value, size_t size)
{
	if (*bytes != size)
		return EINVAL;
	memcpy(to, &value, size);
	return 0;
}

/* Bin i: regions of 16 (i + 1) bytes, 256 a slab, 10 slabs, 2,000 in use. */
static int bin_of(const char *figure, size_t bin, void *to, size_t *bytes)
{
	if (strcmp(figure, "size") == 0)
		return put(to, bytes, 16 * (bin + 1), sizeof(size_t));
	if (strcmp(figure, "nregs") == 0)
		return put(to, bytes, 256, sizeof(uint32_t));
	return put(to, bytes, strcmp(figure, "curregs") == 0 ? 2000 : 10, sizeof(size_t));
}

/* Blocks 1, 2, ...: 6 of 8 regions free in 4 KiB; full; alone; freed; and what cannot be. */
static int query(void *to, size_t *bytes, void **blocks, size_t count)
{
	static const size_t answers[][3] = {{6, 8, 4096}, {0, 8, 4096}, {0, 1, 1 << 20},
					    {0, 0, 0},    {9, 8, 4096}, {8, 8, 4096}};
	if (*bytes != count * sizeof(answers[0]))
		return EINVAL;
	for (size_t i = 0; i < count; i++)
		memcpy((size_t *)to + 3 * i, answers[(size_t)blocks[i] - 1], sizeof(answers[0]));
	return 0;
}

static int ctl(const char *name, void *to, size_t *bytes, void *from, size_t from_bytes)
{
	size_t bin;
	char figure[16];
	if (strcmp(name, missing) == 0)
		return ENOENT;
	if (sscanf(name, "arenas.bin.%zu.%15s", &bin, figure) == 2 ||
	    sscanf(name, "stats.arenas.4096.bins.%zu.%15s", &bin, figure) == 2)
		return bin_of(figure, bin, to, bytes);
	if (strcmp(name, "arenas.nbins") == 0)
		return put(to, bytes, bin_count, sizeof(unsigned));
	if (strcmp(name, "arenas.page") == 0)
		return put(to, bytes, 4096, sizeof(size_t));
	if (strcmp(name, "stats.arenas.4096.pdirty") == 0)
		return put(to, bytes, 7, sizeof(size_t));
	if (strcmp(name, "experimental.utilization.batch_query") == 0)
		return query(to, bytes, from, from_bytes / sizeof(void *));
	return ENOENT;
}

static void figures(void **state)
{
	struct jemallocbins b;
	(void)state;
	jemallocbins_read(ctl, &b);
	assert_int_equal(b.count, 3);
	assert_int_equal(b.dirty_bytes, 7 * 4096);
	for (size_t i = 0; i < b.count; i++) {
		assert_int_equal(b.list[i].in_use, 2000);
		assert_int_equal(b.list[i].free_bytes, 560 * 16 * (i + 1));
	}
	assert_int_equal(jemallocbins_find(&b, 0), 0);
	assert_int_equal(jemallocbins_find(&b, 16), 0);
	assert_int_equal(jemallocbins_find(&b, 17), 1);
	assert_int_equal(jemallocbins_find(&b, 49), 3);
}

/* Without one of them nothing is known, whichever it is. */
static void figures_missing(void **state)
{
	static const char *const names[] = {"arenas.nbins",
					    "arenas.page",
					    "stats.arenas.4096.pdirty",
					    "arenas.bin.1.size",
					    "arenas.bin.2.nregs",
					    "stats.arenas.4096.bins.0.curregs",
					    "stats.arenas.4096.bins.2.curslabs"};
	struct jemallocbins b;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		missing = names[i];
		jemallocbins_read(ctl, &b);
		assert_int_equal(b.count, 0);
	}
	missing = "";
	bin_count = JEMALLOCBINS_MOST + 1;
	jemallocbins_read(ctl, &b);
	assert_int_equal(b.count, 0);
	bin_count = 3;
}

static void queries(void **state)
{
	struct jemallocbins_query q = {.count = 6};
	(void)state;
	for (size_t i = 0; i < q.count; i++)
		q.blocks[i] = (void *)(i + 1);
	jemallocbins_ask(ctl, &q);
	assert_int_equal(q.result, 0);
	assert_int_equal(q.held[0], 6 * 512 / 2);
	for (size_t i = 1; i < q.count; i++)
		assert_int_equal(q.held[i], 0);
	missing = "experimental.utilization.batch_query";
	jemallocbins_ask(ctl, &q);
	assert_int_equal(q.result, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(figures),
		cmocka_unit_test(figures_missing),
		cmocka_unit_test(queries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
