/* The recorder: what its file is called, what there is not room for, whose are removed; and
 * what is written into it, whole or not at all. */
#include "child.h"
#include "testclock.h"
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define ZLIB_CONST
#include <zlib.h>

#include "region/region.h"
#include "record/control.h"
#include "hook/real.h"
#include "account/worker.h"
#include "profile/account_json.h"
#include "recorder/recorder.h"
#include "recorder/recorder_account.h"
#include "recorder/recorder_disk.h"
#include "recorder/recorder_file.h"

#define BYTES 65536

static const char *name_of(const char *executable)
{
	static char name[RECORDER_NAME_BYTES];
	recorder_file_name(name, executable, 4242);
	return name;
}

static void names_are_plain(void **state)
{
	char long_name[300];
	(void)state;
	assert_string_equal(name_of("/usr/bin/service"), "service.4242");
	assert_string_equal(name_of("/x/a b\n\x1b[31m;rm -rf"), "a_b___31m_rm_-rf.4242");
	assert_string_equal(name_of(""), "unknown.4242");
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = 0;
	assert_int_equal(strlen(name_of(long_name)), 64 + 5);
}

static void *make(const char *name, const char **what, long *error)
{
	struct recorder_file file;
	void *p = recorder_file_map(&(struct recorder_place){.dir = fixture_dir, .name = name},
				    BYTES, &file, what, error);
	assert_int_equal(file.own.fd, -1);
	return p;
}

/* In memory, where the file is mapped. */
static int setup_in_memory(void **state)
{
	(void)state;
	strcpy(fixture_dir, "/dev/shm/cgoheap-test-XXXXXX");
	return mkdtemp(fixture_dir) ? 0 : -1;
}

static int count_files(void)
{
	char command[128];
	FILE *f;
	int n = -1;

	snprintf(command, sizeof(command), "ls '%s' | wc -l", fixture_dir);
	f = popen(command, "r");
	assert_int_equal(fscanf(f, "%d", &n), 1);
	pclose(f);
	return n;
}

static void a_file_is_allocated_private_and_locked_while_mapped(void **state)
{
	const char *what, *path = fixture_path("a.1.cgoheap");
	struct stat s;
	long error;
	char *p = make("a.1", &what, &error);
	int fd = open(path, O_RDONLY);
	(void)state;

	assert_non_null(p);
	assert_int_equal(fstat(fd, &s), 0);
	assert_int_equal(s.st_mode, S_IFREG | 0400);
	assert_int_equal(s.st_size, BYTES);
	assert_true(s.st_blocks * 512 >= BYTES);
	strcpy(p + 5000, "seen");
	char seen[5];
	assert_int_equal(pread(fd, seen, 5, 5000), 5);
	assert_string_equal(seen, "seen");
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	munmap(p, BYTES);
	for (int kept = 200; kept < 210; kept++)
		close(kept); /* on overlayfs one holds the lock */
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
}

/* A name that is taken, by a symbolic link too, is left alone. */
static void a_taken_name_gets_a_number(void **state)
{
	const char *what, *target = fixture_path("target");
	long error;
	(void)state;
	fixture_run("ln -s '%s' '%s'", target, fixture_path("b.1.cgoheap"));
	void *p = make("b.1", &what, &error);
	assert_non_null(p);
	assert_int_equal(access(target, F_OK), -1);
	assert_int_equal(access(fixture_path("b.1.1.cgoheap"), F_OK), 0);
	munmap(p, BYTES);
	fixture_run("rm '%s'", fixture_path("b.1.cgoheap"));
}

/* SIGXFSZ would end the host. */
static void a_limit_on_file_size_is_no_signal(void **state)
{
	struct rlimit before, low;
	const char *what;
	long error;
	int files = count_files();
	(void)state;
	getrlimit(RLIMIT_FSIZE, &before);
	low = before;
	low.rlim_cur = BYTES - 1;
	setrlimit(RLIMIT_FSIZE, &low);
	void *p = make("c.1", &what, &error);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_null(p);
	assert_int_equal(error, EFBIG);
	assert_string_equal(what, "allocate the file's space");
	assert_int_equal(count_files(), files); /* nothing is left behind */
}

/* The oldest go first; not one that a process has, nor what is not a recorder's. */
static void old_files_are_removed(void **state)
{
	const char *what;
	long error;
	(void)state;
	fixture_run("rm -f '%s'/*", fixture_dir);
	void *running = make("running.1", &what, &error);
	fixture_run("touch -d '2001-01-01' '%s'", fixture_path("running.1.cgoheap"));
	for (int i = 0; i < 20; i++)
		fixture_run("f='%s/old.%d.cgoheap'; : >$f; touch -d '2002-01-%02d' $f", fixture_dir,
			    i, i + 1);
	fixture_run("touch -d 2000-01-01 '%s/notes'; mkdir '%s/d.cgoheap'", fixture_dir,
		    fixture_dir);
	void *p = make("new.1", &what, &error);
	assert_non_null(p);
	assert_int_equal(count_files(), RECORDER_FILES + 2);
	assert_int_equal(access(fixture_path("running.1.cgoheap"), F_OK), 0);
	assert_int_equal(access(fixture_path("notes"), F_OK), 0);
	assert_int_equal(access(fixture_path("old.5.cgoheap"), F_OK), -1);
	assert_int_equal(access(fixture_path("old.6.cgoheap"), F_OK), 0);
	munmap(running, BYTES);
	munmap(p, BYTES);
}

/* By size too: what the new one has no room beside is removed, the oldest first. */
static void old_files_are_removed_for_their_size(void **state)
{
	const char *what;
	long error;
	(void)state;
	fixture_run("rm -rf '%s'/*", fixture_dir);
	for (int i = 0; i < 5; i++)
		fixture_run(
			"f='%s/big.%d.cgoheap'; fallocate -l %zu $f && touch -d '2002-01-%02d' $f",
			fixture_dir, i, (size_t)(RECORDER_ALL_BYTES / 4), i + 1);
	void *p = make("new.1", &what, &error);
	assert_non_null(p);
	munmap(p, BYTES);
	assert_int_equal(count_files(), 4); /* a quarter each, and one that is small */
	assert_int_equal(access(fixture_path("big.1.cgoheap"), F_OK), -1);
	assert_int_equal(access(fixture_path("big.2.cgoheap"), F_OK), 0);
	fixture_run("rm -rf '%s'/*", fixture_dir);
}

/* For a leak check: mapped on a disk too, with a link to the program; older files stay. */
static void a_final_file_is_mapped_anywhere(void **state)
{
	const char *what;
	struct recorder_file file;
	long error;
	char program[256], seen[5], in_memory[sizeof(fixture_dir)];
	(void)state;
	strcpy(in_memory, fixture_dir);
	strcpy(fixture_dir, "/tmp/cgoheap-test-XXXXXX"); /* often a disk */
	assert_non_null(mkdtemp(fixture_dir));
	const char *path = fixture_path("final.1.cgoheap");
	for (int i = 0; i < 20; i++)
		fixture_run(": >'%s/old.%d.cgoheap'", fixture_dir, i);
	struct recorder_place place = {.dir = fixture_dir, .name = "final.1", .is_final = true};
	char *p = recorder_file_map(&place, BYTES, &file, &what, &error);
	assert_non_null(p);
	assert_int_equal(file.own.fd, -1);
	assert_in_range(count_files(), 21, 22);
	strcpy(p + 5000, "seen");
	int fd = open(path, O_RDONLY);
	assert_int_equal(pread(fd, seen, 5, 5000), 5);
	assert_string_equal(seen, "seen");
	close(fd);
	munmap(p, BYTES);
	snprintf(program, sizeof(program), "%s" RECORDER_PROGRAM_SUFFIX, path);
	struct stat link, own;
	assert_int_equal(stat("/proc/self/exe", &own), 0);
	if (stat(program, &link) == 0) /* the program is in the same file system */
		assert_int_equal(link.st_ino, own.st_ino);
	fixture_run("rm -rf '%s'", fixture_dir);
	strcpy(fixture_dir, in_memory);
}

static void a_final_file_that_failed_is_empty(void **state)
{
	struct rlimit before, low;
	const char *what;
	struct recorder_file file;
	struct stat s;
	long error;
	(void)state;
	getrlimit(RLIMIT_FSIZE, &before);
	low = before;
	low.rlim_cur = BYTES - 1;
	setrlimit(RLIMIT_FSIZE, &low);
	struct recorder_place place = {.dir = fixture_dir, .name = "failed.1", .is_final = true};
	void *p = recorder_file_map(&place, BYTES, &file, &what, &error);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_null(p);
	assert_int_equal(error, EFBIG);
	assert_int_equal(stat(fixture_path("failed.1.cgoheap"), &s), 0);
	assert_int_equal(s.st_size, 0);
	fixture_run("rm -rf '%s'/*", fixture_dir);
}

/* ---- accounts ----------------------------------------------------------- */

static struct account an_account(void)
{
	struct account a = {.time_ns = 1,
			    .rss_bytes = 3,
			    .unexplained_bytes = 5 * PAGE_BYTES,
			    .c_live_estimate_bytes = UNKNOWN,
			    .allocator = {.name = "an allocator", .in_use_bytes = 10},
			    .go = {.source = "a source"},
			    .kept = {.returnable = 7},
			    .warnings = {"one", "two"}};
	for (unsigned i = 0; i < OWNER_COUNT; i++)
		a.owners[i] = (struct account_bytes){.resident = i * PAGE_BYTES,
						     .known = i != OWNER_GO_STACKS};
	return a;
}

static bool is_whole(const struct recording_account *a)
{
	return a->bytes && a->bytes <= sizeof(a->json) &&
	       a->crc == crc32(0, (const Bytef *)&a->bytes, 12 + a->bytes);
}

static void write_account(struct recording *recording, uint64_t sequence, const struct account *a,
			  const struct account_parts *parts)
{
	struct scratch scratch = SCRATCH_INIT(512 * KIB);
	struct account copy = *a;
	CHECK(recorder_account_write(recording, sequence, &scratch, &copy, parts) == 0);
	scratch_release(&scratch);
}

/* What the reader finds in it. */
static const char *text_of(const struct recording_account *a)
{
	static char text[MIB];
	z_stream z = {.next_in = a->json,
		      .avail_in = a->bytes,
		      .next_out = (Bytef *)text,
		      .avail_out = sizeof(text) - 1};
	CHECK(is_whole(a) && inflateInit2(&z, 15 + 16) == Z_OK);
	CHECK(inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_in == 0);
	text[z.total_out] = 0;
	inflateEnd(&z);
	return text;
}

static int keep(struct sink *sink, const void *bytes, size_t count)
{
	char **end = sink->arg;
	memcpy(*end, bytes, count);
	*end += count;
	**end = 0;
	return 0;
}

/* What /v1/account says, to the letter. */
static void an_account_is_what_the_server_answers(void)
{
	static struct recording recording;
	static char said[64 * KIB];
	struct account_part list[] = {{0x1000, 0x3000, 0x1000, 0, OWNER_C_MMAP, 0},
				      {0x9000, 0xa000, 0x1000, 0, OWNER_FILE_COPIES, 1}};
	const char *files[] = {"", "/a file"};
	struct account_parts parts = {
		.list = list, .count = COUNT_OF(list), .files = files, .file_count = 2};
	struct account a = an_account();
	struct scratch scratch = SCRATCH_INIT(4 * MIB);
	char *end = said;
	struct sink sink = {.write = keep, .arg = &end};
	struct json j;

	CHECK(region_init(32 * MIB) == 0);
	control_init(&(struct control_start){.sample_bytes = 4096});
	write_account(&recording, 1, &a, &parts);
	CHECK(recording.accounts[1].sequence == 1 && recording.accounts[0].bytes == 0);
	json_init(&j, &sink);
	account_json_write(&j, NULL, &scratch, &a, &parts);
	CHECK(json_finish(&j) == 0 && strstr(said, "\"/a file\""));
	CHECK(strcmp(text_of(&recording.accounts[1]), said) == 0);
}
CASE(an_account_is_what_the_server_answers)

/* Parts of that many files whose paths hardly compress. */
static struct account_parts long_paths(size_t count)
{
	enum { MOST = 5 * OWNER_COUNT };
	static char paths[MOST][3000];
	static struct account_part list[MOST];
	static const char *files[MOST + 1] = {""};
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < sizeof(paths[i]) - 1; k++)
			paths[i][k] = (char)('0' + random() % 64);
		list[i] =
			(struct account_part){.start = i << 12,
					      .end = (i + 1) << 12,
					      .resident = 4096,
					      .owner = (OWNER_SHARED_MEMORY + i / 5) % OWNER_COUNT,
					      .file = (uint16_t)(i + 1)};
		files[i + 1] = paths[i];
	}
	return (struct account_parts){
		.list = list, .count = count, .files = files, .file_count = count + 1};
}

/* Paths and names are the host's to make long. */
static void stacks_without_room_are_left_out(void)
{
	static struct recording recording;
	struct account_parts parts = long_paths(5 * OWNER_COUNT);
	struct account a = an_account();

	CHECK(region_init(32 * MIB) == 0);
	control_init(&(struct control_start){.sample_bytes = 4096});
	write_account(&recording, 1, &a, &parts);
	const char *text = text_of(&recording.accounts[1]);
	CHECK(strstr(text, "\"mapped_top\":[]") && strstr(text, "\"two\",\"the stacks that"));
	for (size_t i = 0; i < ACCOUNT_WARNINGS; i++)
		a.warnings[i] = "all";
	write_account(&recording, 2, &a, &parts);
	CHECK(strstr(text_of(&recording.accounts[0]), "\"all\",\"the stacks that"));
}
CASE(stacks_without_room_are_left_out)

static void a_second_has_the_owners(void)
{
	struct account a = an_account();
	struct recording_second m;

	a.owners[OWNER_C_LIVE].resident = UINT64_MAX - 1;
	a.owners[OWNER_C_RETAINED].resident = 5 * PAGE_BYTES + PAGE_BYTES / 2;
	recorder_account_remember(&m, &a);
	CHECK(m.account_ns == 1 && m.unexplained_pages == 5);
	CHECK(m.owner_pages[OWNER_GO_STACKS] == UINT32_MAX &&
	      m.owner_pages[OWNER_C_LIVE] == UINT32_MAX && m.owner_pages[OWNER_C_RETAINED] == 6 &&
	      m.owner_pages[OWNER_SHIM] == OWNER_SHIM && m.owner_pages[OWNER_COUNT] == UINT32_MAX);
}
CASE(a_second_has_the_owners)

/* Writes the nth account over the older one, of which a page cannot be written, and dies of it. */
static void die_writing(struct recording *recording, uint64_t n, bool first_page)
{
	struct account a = an_account();
	const struct account_parts parts = long_paths(5);
	uint64_t slot = (uint64_t)&recording->accounts[n % 2],
		 page = slot / PAGE_BYTES * PAGE_BYTES;
	pid_t child = fork();
	int status;

	if (child == 0) {
		signal(SIGSEGV, SIG_DFL); /* cmocka has a handler */
		page += first_page ? 0 : PAGE_BYTES;
		CHECK(page < slot + sizeof(recording->accounts[0]));
		for (size_t i = 0; i < ACCOUNT_WARNINGS; i++)
			a.warnings[i] = "another";
		CHECK(mprotect((void *)page, PAGE_BYTES, PROT_READ) == 0);
		write_account(recording, n, &a, &parts);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

static void one_of_two_is_whole(void)
{
	struct recording *recording = mmap(NULL, sizeof(*recording), PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const struct account a = an_account();
	const struct account_parts parts = long_paths(5);
	int torn = 0;

	CHECK(region_init(32 * MIB) == 0);
	control_init(&(struct control_start){.sample_bytes = 4096});
	for (uint64_t n = 1; n <= 4; n++)
		write_account(recording, n, &a, &parts);
	for (uint64_t n = 5; n <= 8; n++) {
		const struct recording_account *newer = &recording->accounts[(n - 1) % 2];
		die_writing(recording, n, n <= 6); /* memcpy may begin at either end */
		CHECK(is_whole(newer) && newer->sequence == n - 1);
		torn += !is_whole(&recording->accounts[n % 2]);
		write_account(recording, n, &a, &parts);
	}
	CHECK(torn > 0);
}
CASE(one_of_two_is_whole)

/* ---- what is written each second ----------------------------------------- */

static struct recording *open_here(void)
{
	struct config config = {.max_memory_bytes = 64 * MIB};

	strcpy(config.recorder_dir, fixture_dir);
	real_resolve();
	CHECK(recorder_open(&config) == 0 && recorder_is_on());
	control_init(&(struct control_start){.sample_bytes = 524288, .is_dormant = true});
	CHECK(worker_start() == 0);
	return region_at(region_layout.recording.offset);
}

static void tick(void)
{
	uint64_t wait_ns = recorder_tick();
	CHECK(wait_ns <= 1000000000);
	testclock_advance(wait_ns);
}

/* The number after that text, from where it was found last. */
static uint64_t next_figure(const char **text, const char *before)
{
	uint64_t n = UNKNOWN;
	const char *at = strstr(*text, before);
	CHECK(at);
	*text = at + strlen(before);
	sscanf(*text, "%lu", &n);
	return n;
}

static void each_second_has_figures_and_an_account(void)
{
	setenv("GOMEMLIMIT", "1GiB", 1);
	setenv("MALLOC_ARENA_MAX", "123456789012345678901234567890123", 1); /* too long */
	struct recording *recording = open_here();
	const struct recording_second *m = &recording->seconds[0];
	const struct recording_account *a = &recording->accounts[1];

	CHECK(strcmp(recording->go_memory_limit, "1GiB") == 0 &&
	      recording->malloc_arena_max[0] == 0);
	recorder_tick();
	recorder_tick(); /* not due */
	CHECK(recording->second_count == 1 && a->sequence == 1);
	const char *text = text_of(a);
	CHECK(next_figure(&text, "{\"rss_bytes\":") > 0);
	uint64_t files = next_figure(&text, "\"mapped_files\",\"bytes\":");
	uint64_t shim = next_figure(&text, "\"shim\",\"bytes\":");
	uint64_t shim_mapped = next_figure(&text, "\"mapped_bytes\":");
	uint64_t in_use = next_figure(&text, "\"glibc\",\"in_use_bytes\":");
	uint64_t rss = next_figure(&text, "\"vm_rss_bytes\":");
	CHECK(rss != UNKNOWN && m->rss + MIB > rss);
	CHECK(m->account_ns > 0 && m->account_ns <= m->realtime_ns);
	CHECK(m->allocator_in_use == in_use && in_use != UNKNOWN && m->allocator_free != UNKNOWN &&
	      m->allocator_system >= m->allocator_in_use);
	/* This is no Go program. */
	CHECK(m->go_heap_in_use == UNKNOWN && m->go_heap_free == UNKNOWN &&
	      m->go_heap_released == UNKNOWN && m->go_stacks == UNKNOWN);
	/* The recorder's file is the shim's memory alone. */
	CHECK(m->owner_pages[OWNER_SHIM] * PAGE_BYTES == ALIGN_UP(shim, PAGE_BYTES));
	CHECK(shim > 0 && files < MIB && shim_mapped >= 48 * MIB);
}
CASE_WITHOUT_ASAN(each_second_has_figures_and_an_account)

/* So many mappings that an account takes long: the seconds go on without it, with figures of their
 * own. */
static void a_dear_account_is_taken_seldom(void)
{
	const size_t pages = 30000;
	char *p = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct recording *recording = open_here();

	CHECK(p != MAP_FAILED);
	for (size_t i = 0; i < pages; i += 2)
		CHECK(mprotect(p + i * PAGE_BYTES, PAGE_BYTES, PROT_NONE) == 0);
	for (int i = 0; i < 4; i++)
		tick();
	CHECK(recording->second_count == 4);
	CHECK(recording->accounts[1].sequence == 1 && recording->accounts[0].sequence == 2);
	const struct recording_second *m = &recording->seconds[3];
	CHECK(m->account_ns > recording->seconds[0].account_ns && m->allocator_in_use != UNKNOWN);
	CHECK(m->account_ns < recording->seconds[2].realtime_ns);
}
CASE_WITHOUT_ASAN(a_dear_account_is_taken_seldom)

/* ---- on a disk ---------------------------------------------------------- */

static const char *copy_path;

static int open_copy(void)
{
	struct recorder_file file = {{.fd = -1}, ""};
	int fd = open(copy_path = fixture_path("copy"), O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(region_init(32 * MIB) == 0);
	CHECK(ftruncate(fd, (off_t)region_layout.region_bytes) == 0);
	file.own = own_fd_take(fd);
	strcpy(file.path, copy_path);
	CHECK(recorder_disk_open(&file) == 0);
	return fd;
}

static bool is_same(int fd)
{
	size_t bytes = region_layout.region_bytes;
	const char *copy = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(copy != MAP_FAILED);
	bool same = memcmp(copy, region, bytes) == 0;
	munmap((void *)copy, bytes);
	return same;
}

static uint64_t bytes_written(void)
{
	uint64_t n = 0;
	FILE *f = fopen("/proc/self/io", "re");
	char line[64];
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "wchar: %lu", &n);
	fclose(f);
	return n;
}

/* All of it, and no page that has not. */
static void what_changed_is_written(void)
{
	int fd = open_copy();
	CHECK(is_same(fd) && (region->flags & REGION_IS_COPIED));
	for (size_t round = 1; round < 60; round++) {
		size_t at = region_layout.arena.offset + round * 7919 * 8;
		uint64_t before = bytes_written();
		*(uint64_t *)region_at(at) += round; /* one bit, most often */
		*(char *)region_at(region_layout.region_bytes - round) = 1;
		CHECK(!is_same(fd) && recorder_disk_write() == 0 && is_same(fd));
		CHECK(bytes_written() - before == 2 * PAGE_BYTES);
	}
	uint64_t before = bytes_written();
	CHECK(recorder_disk_write() == 0 && bytes_written() == before);
	/* Back to zeros is a change, too. */
	memset(region_at(region_layout.region_bytes - PAGE_BYTES), 0, PAGE_BYTES);
	CHECK(recorder_disk_write() == 0 && is_same(fd));
}
CASE(what_changed_is_written)

/* The host closes what it does not know, and its own file has the number then. */
static void a_closed_file_is_opened_again(void)
{
	int fd = open_copy(), again = open(copy_path, O_RDONLY);
	int own = open(fixture_path("own"), O_RDWR | O_CREAT, 0600);

	CHECK(dup2(own, fd) == fd);
	*(uint64_t *)region_at(region_layout.arena.offset) = 1;
	CHECK(recorder_disk_write() == 0 && is_same(again));
	CHECK(lseek(own, 0, SEEK_END) == 0);
	/* It is gone: another at its place is not for us. */
	CHECK(dup2(own, fd) == fd && unlink(copy_path) == 0);
	for (int kept = 12; kept < 300; kept++)
		if (kept != own && kept != again && kept != fd)
			close(kept);
	close(open(copy_path, O_RDWR | O_CREAT, 0600));
	*(uint64_t *)region_at(region_layout.arena.offset) = 2;
	CHECK(recorder_disk_write() && lseek(own, 0, SEEK_END) == 0);
}
CASE(a_closed_file_is_opened_again)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_plain),
		cmocka_unit_test(a_file_is_allocated_private_and_locked_while_mapped),
		cmocka_unit_test(a_taken_name_gets_a_number),
		cmocka_unit_test(a_limit_on_file_size_is_no_signal),
		cmocka_unit_test(old_files_are_removed),
		cmocka_unit_test(old_files_are_removed_for_their_size),
		cmocka_unit_test(a_final_file_is_mapped_anywhere),
		cmocka_unit_test(a_final_file_that_failed_is_empty),
		cmocka_unit_test(test_an_account_is_what_the_server_answers),
		cmocka_unit_test(test_stacks_without_room_are_left_out),
		cmocka_unit_test(test_a_second_has_the_owners),
		cmocka_unit_test(test_one_of_two_is_whole),
		cmocka_unit_test(test_each_second_has_figures_and_an_account),
		cmocka_unit_test(test_a_dear_account_is_taken_seldom),
		cmocka_unit_test(test_what_changed_is_written),
		cmocka_unit_test(test_a_closed_file_is_opened_again),
	};
	return cmocka_run_group_tests_name("recorder", tests, setup_in_memory, fixture_teardown);
}
