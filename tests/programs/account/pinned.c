/*
 * Who pins what glibc keeps: the account's answer, compared with what this program finds behind its
 * own blocks by reading its own heap, one shape per run.
 *
 * What is by samples must be as far from the truth as its true standard error allows: that follows
 * from the truth and the interval. So many standard errors are as good as never.
 */
#include "account.h"

#include <malloc.h>
#include <math.h>

#define MOST_ERRORS 6

enum { HOLDERS = 3, MOST = 400000 };
static const char *const names[HOLDERS] = {"hold_most", "hold_rest", "hold_none"};

struct held {
	char *block[MOST];
	int count;
	double pinned, variance; /* found here */
};
static struct held held[HOLDERS];
static double interval;

/* ---- the truth ------------------------------------------------------------------ */

static size_t size_at(const char *chunk, int *in_use_before)
{
	size_t size = ((const size_t *)chunk)[1];
	*in_use_before = size & 1;
	return size & ~(size_t)7;
}

static double resident(uintptr_t from, uintptr_t to)
{
	double sum = 0;
	for (uintptr_t next; from < to; from = next) {
		unsigned char is;
		next = (from | (PAGE - 1)) + 1 < to ? (from | (PAGE - 1)) + 1 : to;
		CHECK(mincore((void *)(from & -(uintptr_t)PAGE), PAGE, &is) == 0);
		sum += is & 1 ? (double)(next - from) : 0;
	}
	return sum;
}

/* Resident bytes of the free chunk that malloc_trim leaves: it keeps 48 bytes and whole pages. */
static double stuck_in(const char *chunk, size_t bytes)
{
	uintptr_t at = (uintptr_t)chunk, end = at + bytes;
	uintptr_t first = (at + 48 + PAGE - 1) & -(uintptr_t)PAGE, last = end & -(uintptr_t)PAGE;
	if (first >= last)
		return resident(at, end);
	return resident(at, first) + resident(last, end);
}

/* 0: the chunk behind the block is in use, or the arena's top, which reaches to end. */
static double pinned_by(const char *block, const char *end)
{
	int ignored, used;
	const char *next = block - 16 + size_at(block - 16, &ignored);
	size_t bytes = size_at(next, &ignored);
	if (bytes < 32 || next + bytes >= end)
		return 0;
	size_at(next + bytes, &used);
	return used ? 0 : stuck_in(next, bytes);
}

/* Of its arena's memory: the brk heap, or a heap of 64 MiB. */
static const char *end_of(const char *block)
{
	if (!(((const size_t *)block)[-1] & 4))
		return sbrk(0);
	const size_t *heap = (const size_t *)((uintptr_t)block & -(uintptr_t)(64 << 20));
	return (const char *)heap + heap[2];
}

static void find_truth(void)
{
	for (int h = 0; h < HOLDERS; h++)
		for (int i = 0; i < held[h].count; i++) {
			const char *block = held[h].block[i];
			if (((const size_t *)block)[-1] & 2)
				continue;
			double size = (double)malloc_usable_size((void *)block);
			double stuck = pinned_by(block, end_of(block));
			double p = interval > 1 ? 1 - exp(-size / interval) : 1;
			held[h].pinned += stuck;
			held[h].variance += stuck * stuck * (1 - p) / p;
		}
}

/* ---- shapes --------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void remember(int h, char *block)
{
	pthread_mutex_lock(&lock);
	CHECK(block && held[h].count < MOST);
	held[h].block[held[h].count++] = block;
	pthread_mutex_unlock(&lock);
}

#define NOINLINE __attribute__((noinline))
/* Public, so that their names are found; what follows malloc keeps the frame. */
void NOINLINE hold_most(size_t size)
{
	remember(0, memset(malloc(size), 1, size));
}
void NOINLINE hold_rest(size_t size)
{
	remember(1, memset(malloc(size), 1, size));
}
void NOINLINE hold_none(size_t size)
{
	remember(2, memset(malloc(size), 1, size));
}
void NOINLINE hold_most_aligned(size_t size)
{
	void *p = NULL;
	CHECK(posix_memalign(&p, 64, size) == 0);
	remember(0, memset(p, 1, size));
}

static char *fill(size_t size)
{
	return memset(malloc(size), 1, size);
}

static void free_all(char **blocks, int count)
{
	for (int i = 0; i < count; i++)
		free(blocks[i]);
}

/* One of eight blocks of equal size stays; others of that size lie side by side. */
static void nth(void)
{
	enum { COUNT = 60000 };
	static __thread char *blocks[COUNT];
	for (int i = 0; i < COUNT; i++)
		hold_none(800);
	for (int i = 0, kept = 0; i < COUNT; i++) {
		blocks[i] = NULL;
		if (i % 8)
			blocks[i] = fill(800);
		else if (kept++ % 4)
			hold_most(800);
		else
			hold_rest(800);
	}
	free_all(blocks, COUNT);
}

/* A small block stays behind each large one that is freed. */
static void after(void)
{
	enum { COUNT = 20000 };
	static __thread char *blocks[COUNT];
	for (int i = 0; i < COUNT; i++) {
		blocks[i] = fill(5000);
		if (i % 2)
			hold_most(200);
		else
			hold_rest(160);
	}
	free_all(blocks, COUNT);
}

static void aligned(void)
{
	enum { COUNT = 20000 };
	static __thread char *blocks[COUNT];
	for (int i = 0; i < COUNT; i++) {
		blocks[i] = fill(2000);
		hold_most_aligned(150);
	}
	free_all(blocks, COUNT);
}

/* Each arena keeps few blocks. */
static void few(void)
{
	enum { COUNT = 1000 };
	static __thread char *blocks[COUNT];
	for (int i = 0; i < COUNT; i++) {
		blocks[i] = fill(6000);
		if (i % 2)
			hold_most(300);
		else
			hold_rest(300);
	}
	free_all(blocks, COUNT);
}

/* Near misses: all in use; whole pages that trim returns; all free, below an arena's end. */
static void whole(void)
{
	enum { COUNT = 60 };
	static __thread char *blocks[COUNT];
	for (int i = 0; i < COUNT; i++) {
		blocks[i] = fill(1 << 20);
		hold_none(1000);
	}
	free_all(blocks, COUNT);
}
static void none(void)
{
	for (int i = 0; i < 100000; i++)
		hold_none(500);
}
static void end(void)
{
	enum { COUNT = 500 };
	static __thread char *blocks[COUNT];
	hold_none(500);
	for (int i = 0; i < COUNT; i++)
		blocks[i] = fill(100 << 10);
	for (int i = COUNT; i-- > 0;)
		free(blocks[i]);
}

static const struct shape {
	const char *name;
	void (*work)(void);
	int threads; /* 0: the main one */
	bool is_none;
} shapes[] = {
	{"nth", nth, 0, false},         {"nth_threads", nth, 4, false}, {"after", after, 0, false},
	{"aligned", aligned, 1, false}, {"few", few, 16, false},        {"whole", whole, 0, true},
	{"none", none, 0, true},        {"end", end, 4, true},
};

static pthread_barrier_t taken, worked;

static void *thread(void *work)
{
	pthread_barrier_wait(&taken);
	((void (*)(void))work)();
	pthread_barrier_wait(&worked);
	pause();
	return NULL;
}

static void work(const struct shape *s)
{
	pthread_t id;
	CHECK(mallopt(M_MMAP_THRESHOLD, 32 << 20) && mallopt(M_TRIM_THRESHOLD, 64 << 20));
	if (s->threads == 0) {
		s->work();
		return;
	}
	pthread_barrier_init(&taken, NULL, (unsigned)s->threads);
	pthread_barrier_init(&worked, NULL, (unsigned)s->threads + 1);
	for (int i = 0; i < s->threads; i++)
		CHECK(pthread_create(&id, NULL, thread, (void *)s->work) == 0);
	pthread_barrier_wait(&worked);
}

/* ---- the answer ----------------------------------------------------------------- */

struct said {
	double bytes, error, blocks, block_bytes;
};

/* The sum over the stacks in which the function is. */
static struct said said_of(const char *by, const char *function)
{
	struct said sum = {0};
	const char *at = strstr(by, "\"stacks\":["), *stop = strstr(by, "]}]");
	for (; at && stop && (at = strstr(at, "{\"bytes\":")) && at < stop; at++) {
		const char *frames = strstr(at, "\"frames\":["), *end_ = strchr(frames, ']');
		const char *found = strstr(frames, function);
		if (!found || found > end_)
			continue;
		double error = (double)number_after(at, "standard_error_bytes");
		sum.bytes += (double)number_after(at, "bytes");
		sum.error = sqrt(sum.error * sum.error + error * error);
		sum.blocks += (double)number_after(at, "blocks");
		sum.block_bytes += (double)number_after(at, "block_bytes");
	}
	return sum;
}

static int is_near(double said, double truth, double error)
{
	return fabs(said - truth) <= MOST_ERRORS * error + 0.02 * truth + 64 * 1024;
}

static void compare(const char *json, const struct shape *shape, const char *method)
{
	const char *kept = strstr(json, "\"c_retained_kept\":");
	const char *by = strstr(kept, "\"pinned_by\":") + strlen("\"pinned_by\":");
	int bad = 0;
	double all = 0;
	if (shape->is_none) {
		CHECK(strncmp(by, "null", 4) == 0);
		return;
	}
	CHECK(strncmp(by, "null", 4) != 0);
	bad |= !strstr(by, method) || strstr(by, method) > strstr(by, "stacks");
	for (int h = 0; h < HOLDERS; h++) {
		struct said s = said_of(by, names[h]);
		double error = sqrt(held[h].variance);
		all += held[h].pinned;
		if (strcmp(method, "sizes") == 0)
			error = fmin(error, s.error); /* not worse than samples, and it says so */
		bad |= !is_near(s.bytes, held[h].pinned, error);
		if (interval == 1)
			bad |= s.error != 0;
		if (bad || getenv("ACCOUNT_PRINT"))
			dprintf(bad ? 2 : 1,
				"%s: pins %.0f by samples' error %.0f; said %.0f, error %.0f\n",
				names[h], held[h].pinned, sqrt(held[h].variance), s.bytes, s.error);
	}
	double pinned = (double)number_after(kept, "pinned_bytes");
	bad |= fabs(all - pinned) > 0.05 * pinned + 512 * 1024;
	if (bad || getenv("ACCOUNT_PRINT"))
		dprintf(bad ? 2 : 1, "pinned %.0f of %.0f; %.1500s\n", all, pinned, kept);
	if (bad)
		_exit(1);
}

/* The profile shows the same: in front, blocks that pin and what they pin. */
static void compare_view(void)
{
	long long blocks, bytes;
	static char json[sizeof(hooks_answer)];
	strcpy(json, fresh_account());
	const char *view = hooks_get("/debug/pprof/cgoheap?view=pinned&debug=1");
	const char *by = strstr(json, "\"pinned_by\":");
	CHECK(sscanf(view, "heap profile: %lld: %lld [", &blocks, &bytes) == 2);
	if (strncmp(by, "\"pinned_by\":null", 16) == 0) {
		CHECK(bytes == 0 && strstr(view, "# pinned: less than 8 MiB"));
		return;
	}
	CHECK(llabs(bytes - number_after(by, "bytes")) <= bytes / 50);
	CHECK(llabs(blocks - number_after(by, "blocks")) <= blocks / 50 + 1);
	CHECK(strstr(view, "hold_most") && !strstr(view, "hold_none"));
}

int main(int argc, char **argv)
{
	CHECK(argc == 3);
	interval = atof(getenv("CGOHEAP_SAMPLE_BYTES"));
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
		if (strcmp(shapes[i].name, argv[1]) == 0) {
			work(&shapes[i]);
			find_truth();
			compare(fresh_account(), &shapes[i], argv[2]);
			compare_view();
			return 0;
		}
	return 2;
}
