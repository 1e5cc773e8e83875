/* smaps as kernels write it, damaged, and this process's own. */
#include "fixture.h"

#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "base/base.h"
#include "proc/smaps.h"

static const char *file_of(const char *text)
{
	static const char *path;
	if (!path)
		path = fixture_path("smaps");
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	return path;
}

static size_t read_all(const char *text, struct smaps_mapping *list, size_t max)
{
	struct scratch s = SCRATCH_INIT(MIB);
	struct smaps smaps;
	size_t n = 0;

	assert_int_equal(smaps_open_path(&smaps, &s, file_of(text)), 0);
	while (n < max && smaps_next(&smaps, &list[n])) {
		list[n].path = strdup(list[n].path); /* freed with the process */
		n++;
	}
	smaps_close(&smaps);
	scratch_release(&s);
	return n;
}

static const char two[] = "00400000-00452000 r-xp 00001000 08:02 173521      /usr/bin/a file (x)\n"
			  "Size:                328 kB\n"
			  "KernelPageSize:        4 kB\n"
			  "Rss:                 300 kB\n"
			  "Pss:                 100 kB\n"
			  "ShmemPmdMapped:        0 kB\n"
			  "VmFlags: rd ex mr mw me\n"
			  "7f0000000000-7f0000400000 rw-s 00000000 00:00 0 \n"
			  "Size:               4096 kB\n"
			  "Rss:                2056 kB\n"
			  "LazyFree:              8 kB\n"
			  "AnonHugePages:      2048 kB\n"
			  "Swap:                 12 kB\n"
			  "SwapPss:               6 kB\n"
			  "Locked:                4 kB\n"
			  "VmFlags: rd wr\n";

static void as_kernels_write_it(void **state)
{
	struct smaps_mapping m[4];

	(void)state;
	assert_int_equal(read_all(two, m, 4), 2);
	assert_int_equal(m[0].start, 0x400000);
	assert_int_equal(m[0].end, 0x452000);
	assert_int_equal(m[0].offset, 0x1000);
	assert_int_equal(m[0].device, makedev(8, 2));
	assert_int_equal(m[0].inode, 173521);
	assert_true(m[0].readable && !m[0].writable && m[0].executable && !m[0].shared);
	assert_string_equal(m[0].path, "/usr/bin/a file (x)");
	assert_int_equal(m[0].resident, 300 * KIB);
	assert_int_equal(m[0].huge + m[0].lazy_free + m[0].swapped, 0);
	assert_true(m[1].readable && m[1].writable && !m[1].executable && m[1].shared);
	assert_string_equal(m[1].path, "");
	assert_int_equal(m[1].resident, 2056 * KIB);
	assert_int_equal(m[1].huge, 2048 * KIB);
	assert_int_equal(m[1].lazy_free, 8 * KIB);
	assert_int_equal(m[1].swapped, 12 * KIB); /* not SwapPss */
}

/* A mapping that grew while smaps was read: the second record includes the first. */
static void no_address_twice(void **state)
{
	struct smaps_mapping m[4];

	(void)state;
	assert_int_equal(read_all("1000-3000 rw-p 00000000 00:00 0 \nRss: 8 kB\n"
				  "1000-4000 rw-p 00000000 00:00 0 \nRss: 12 kB\nSwap: 12 kB\n"
				  "2000-3000 rw-p 00000000 00:00 0 \nRss: 4 kB\n"
				  "4000-5000 rw-p 00000000 00:00 0 \nRss: 4 kB\n",
				  m, 4),
			 3);
	assert_int_equal(m[1].start, 0x3000);
	assert_int_equal(m[1].end, 0x4000);
	assert_int_equal(m[1].resident, 4 * KIB);
	assert_int_equal(m[1].swapped, 4 * KIB);
	assert_int_equal(m[2].start, 0x4000);
}

static void procfile_of_maps_have_no_figures(void **state)
{
	struct smaps_mapping m[4];

	(void)state;
	assert_int_equal(
		read_all("1000-3000 rw-p 00000000 00:00 0 \n"
			 "3000-4000 ---p 00000000 00:00 0                          [heap]\n",
			 m, 4),
		2);
	assert_int_equal(m[0].resident, 0);
	assert_string_equal(m[1].path, "[heap]");
	assert_false(m[1].readable || m[1].writable || m[1].executable);
}

/* Wherever the file is cut: no invented mapping, none twice. */
static void cut_at_every_byte(void **state)
{
	struct smaps_mapping m[4];
	char text[sizeof(two)];

	(void)state;
	for (size_t n = 0; n < sizeof(two); n++) {
		memcpy(text, two, n);
		text[n] = 0;
		size_t count = read_all(text, m, 4);
		assert_true(count <= 2);
		assert_true(count == 0 || m[0].start == 0x400000);
		assert_true(count < 2 || m[1].start == 0x7f0000000000);
	}
}

static void headers_that_are_none(void **state)
{
	struct smaps_mapping m[4];

	(void)state;
	assert_int_equal(read_all("Rss: 8 kB\n"
				  "12345\nRss: 4 kB\n"
				  "3000-1000 rw-p 00000000 00:00 0 \nRss: 4 kB\n"
				  "1000-3000 rw\nRss: 4 kB\n"
				  "a000-b000 r--p 00000000 fe:01 12 /x\nRss: 4 kB\n",
				  m, 4),
			 1);
	assert_int_equal(m[0].start, 0xa000);
	assert_int_equal(m[0].resident, 4 * KIB);
}

/* Finds this process's mappings, and how much of them was touched. */
static void this_process(void **state)
{
	struct scratch s = SCRATCH_INIT(MIB);
	struct smaps smaps;
	struct smaps_mapping m;
	uint64_t before = 0, found = 0;
	char *p = mmap(NULL, 64 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);

	(void)state;
	assert_ptr_not_equal(p, MAP_FAILED);
	for (size_t i = 0; i < 10; i++)
		p[i * PAGE_BYTES] = 1;
	assert_int_equal(smaps_open(&smaps, &s), 0);
	while (smaps_next(&smaps, &m)) {
		assert_true(m.start >= before && m.end > m.start);
		assert_true(m.resident <= m.end - m.start);
		before = m.end;
		if (m.start != (uint64_t)p)
			continue;
		found++;
		assert_int_equal(m.end - m.start, 64 * PAGE_BYTES);
		assert_int_equal(m.resident, 10 * PAGE_BYTES);
		assert_true(m.shared);
	}
	assert_int_equal(found, 1);
	smaps_close(&smaps);
	scratch_release(&s);
	munmap(p, 64 * PAGE_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_kernels_write_it),
		cmocka_unit_test(no_address_twice),
		cmocka_unit_test(procfile_of_maps_have_no_figures),
		cmocka_unit_test(headers_that_are_none),
		cmocka_unit_test(this_process),
		cmocka_unit_test(cut_at_every_byte),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
