/*
 * What has changed is found by comparing a hash of each page with that of the page
 * as it was last written: 8 bytes a page instead of a second copy, 2 ms for the
 * 25 MiB of a default region.  Pages that were never touched are not read, which
 * would make them resident.
 */
#include "recorder/recorder_disk.h"

#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>

#include "base/hash.h"
#include "base/sys.h"
#include "base/work.h"
#include "region/region.h"
#include "record/sample.h"
#include "hook/ownthread.h"

#define EVERY_NS UINT64_C(1000000000)
/* After a pass the next waits for so many times its processor time: 0.5 % of a core. */
#define REST 200

#define PAGES_AT_ONCE 512

#define ENTRY_TOUCHED (UINT64_C(3) << 62) /* of /proc/self/pagemap: present, or swapped out */

static struct {
	struct recorder_file file; /* own.fd -1: off */
	struct scratch scratch;
	uint64_t *written; /* by page: its hash as the file has it; 0 of a page of zeros */
} disk = {.file.own = {.fd = -1}};

/* ---- what has changed --------------------------------------------------- */

/* The host's threads write here meanwhile: what changes after this is the next pass's. */
__attribute__((no_sanitize_thread)) static uint64_t hash_of(const uint64_t *page)
{
	uint64_t lanes[4] = {0};
	for (size_t i = 0; i < PAGE_BYTES / sizeof(*page); i += COUNT_OF(lanes))
		for (size_t k = 0; k < COUNT_OF(lanes); k++) {
			uint64_t h = hash_spread(lanes[k] ^ page[i + k]);
			lanes[k] = h ^ h >> 29;
		}
	return lanes[0] ^ lanes[1] * 3 ^ lanes[2] * 5 ^ lanes[3] * 7;
}

/* Of count pages from first on; where it cannot be told, all of them. */
static void find_touched(long pagemap, size_t first, size_t count, uint64_t entries[PAGES_AT_ONCE])
{
	uint64_t at = (uint64_t)region / PAGE_BYTES + first;
	long bytes = sys_pread((int)pagemap, entries, count * 8, at * 8);
	for (size_t i = sys_failed(bytes) ? 0 : (size_t)bytes / 8; i < count; i++)
		entries[i] = ENTRY_TOUCHED;
}

/* ---- writing ------------------------------------------------------------ */

/* Whether the file is open; again, where the host has closed all that it did not know. */
static bool is_open(void)
{
	struct own_fd before = disk.file.own;
	if (own_fd_is_ours(&before))
		return true;
	long fd = sys_move_up(sys_open_at(AT_FDCWD, disk.file.path, O_RDWR | O_NOFOLLOW, 0));
	struct own_fd again = own_fd_take(sys_failed(fd) ? -1 : (int)fd);
	if (again.fd >= 0 && again.device == before.device && again.inode == before.inode) {
		sys_call(flock, again.fd, LOCK_EX | LOCK_NB);
		disk.file.own = again;
		return true;
	}
	if (again.fd >= 0)
		sys_close(again.fd);
	return false;
}

static int write_at(uint64_t offset, uint64_t bytes)
{
	while (bytes > 0) {
		long n = sys_call(pwrite64, disk.file.own.fd, region_at(offset), bytes, offset);
		if (n == -EINTR)
			continue;
		if (sys_failed(n) || n == 0)
			return -1;
		offset += (uint64_t)n;
		bytes -= (uint64_t)n;
	}
	return 0;
}

/* Neighbouring pages that have changed go together. */
static int write_changed(size_t first, size_t count, const uint64_t *hashes)
{
	uint64_t *written = disk.written + first;
	for (size_t from = 0, to; from < count; from = to + 1) {
		for (to = from; to < count && hashes[to] != written[to]; to++)
			;
		if (from < to && write_at((first + from) * PAGE_BYTES, (to - from) * PAGE_BYTES))
			return -1;
		memcpy(written + from, hashes + from, (to - from) * sizeof(*hashes));
	}
	return 0;
}

static int write_pages(long pagemap, size_t first, size_t end)
{
	uint64_t pages[PAGES_AT_ONCE];
	for (size_t n; first < end; first += n) {
		n = end - first < PAGES_AT_ONCE ? end - first : PAGES_AT_ONCE;
		find_touched(pagemap, first, n, pages);
		for (size_t i = 0; i < n; i++)
			pages[i] = pages[i] & ENTRY_TOUCHED
					   ? hash_of(region_at((first + i) * PAGE_BYTES))
					   : 0;
		if (write_changed(first, n, pages))
			return -1;
	}
	return 0;
}

/*
 * Tables lie before what their entries lead to, so that what is reached is written
 * no earlier than what reaches it.  The header, which says how much there is, is last.
 */
int recorder_disk_write(void)
{
	size_t pages = region_layout.region_bytes / PAGE_BYTES;
	if (!disk.written || !is_open())
		return -1;
	long pagemap = sys_open_read("/proc/self/pagemap");
	bool ok = write_pages(pagemap, 1, pages) == 0 && write_pages(pagemap, 0, 1) == 0;
	if (!sys_failed(pagemap))
		sys_close((int)pagemap);
	return ok ? 0 : -1;
}

/* ---- its life ----------------------------------------------------------- */

int recorder_disk_open(const struct recorder_file *file)
{
	size_t pages = region_layout.region_bytes / PAGE_BYTES;
	disk.scratch = SCRATCH_INIT(pages * sizeof(*disk.written) + 2 * PAGE_BYTES);
	disk.written = scratch_alloc(&disk.scratch, pages * sizeof(*disk.written));
	if (!disk.written)
		return -1;
	disk.file = *file;
	region_mark(REGION_IS_COPIED);
	recorder_disk_write(); /* a file that nothing was written to would not be known for one */
	return 0;
}

static void *run(void *unused)
{
	sample_enter_as(BUSY_OWN);
	sys_call(prctl, PR_SET_NAME, "cgoheap-disk");
	for (;;) {
		uint64_t begin_ns = work_cpu_ns();
		recorder_disk_write();
		uint64_t rest_ns = REST * (work_cpu_ns() - begin_ns);
		rest_ns = rest_ns > EVERY_NS ? rest_ns : EVERY_NS;
		struct timespec rest = {.tv_sec = (time_t)(rest_ns / 1000000000u),
					.tv_nsec = (long)(rest_ns % 1000000000u)};
		if (sys_failed(sys_call(nanosleep, &rest, 0)) &&
		    sys_failed(sys_call(ppoll, 0, 0, &rest)))
			return unused; /* a sandbox that lets us not wait: never spin */
	}
}

int recorder_disk_start(void)
{
	return disk.written ? ownthread_create(run) : 0;
}

bool recorder_disk_forget(void)
{
	bool was_on = disk.written != NULL;
	own_fd_close(&disk.file.own);
	disk.written = NULL; /* scratch of the parent's is released as a whole */
	return was_on;
}
