/* What glibc keeps, one shape per run: malloc_trim must then do what the account says. */
#include "account.h"

#include <malloc.h>

enum { THREADS = 8 };
static __thread void *volatile result;
static pthread_barrier_t taken, worked;

/* ---- shapes: each thread takes about 50 MiB and, when all have, frees it ---------- */

/* Threads may share an arena: one that freed sooner would leave its memory to another. */
static void wait_for_all(void)
{
	pthread_barrier_wait(&taken);
}

/* All of it, in blocks of 100 KiB. */
static void ends(void)
{
	enum { COUNT = 500 };
	static __thread void *blocks[COUNT];
	for (int i = 0; i < COUNT; i++)
		blocks[i] = memset(malloc(100 << 10), 1, 100 << 10);
	wait_for_all();
	for (int i = COUNT - 1; i >= 0; i--)
		free(blocks[i]);
}

/*
 * All but the result, which lies above the rest.  It is as large as the rest: a smaller one may fit
 * where an arena's heap ended, and of the next heap nothing stays then.
 */
static void below(void)
{
	enum { COUNT = 12000 };
	static __thread void *blocks[COUNT];
	for (int i = 0; i < COUNT; i++)
		blocks[i] = memset(malloc(4080), 1, 4080);
	result = memset(malloc(4080), 1, 4080);
	wait_for_all();
	for (int i = 0; i < COUNT; i++)
		free(blocks[i]);
}

/* Small nodes: freed ones stay in the fast bins until they are merged. */
static void nodes(void)
{
	enum { COUNT = 400000 };
	void **blocks = malloc(COUNT * sizeof(*blocks));
	for (int i = 0; i < COUNT; i++)
		blocks[i] = memset(malloc(100), 1, 100);
	result = memset(malloc(1000), 1, 1000);
	wait_for_all();
	for (int i = 0; i < COUNT; i++)
		free(blocks[i]);
	free(blocks);
}

/* All but one small block in 8, so no page is entirely free. */
static void pinned(void)
{
	enum { COUNT = 64000 };
	static __thread void *blocks[COUNT];
	for (int i = 0; i < COUNT; i++)
		blocks[i] = memset(malloc(800), 1, 800);
	wait_for_all();
	for (int i = 0; i < COUNT; i++)
		if (i % 8)
			free(blocks[i]);
}

/* ---- one run ------------------------------------------------------------------ */

/* In percent of 50 MiB per thread: how much must be kept, and how much of that is the one part. */
static const struct shape {
	const char *name;
	void (*work)(void);
	const char *remedy; /* NULL: none; otherwise the variable that must be in the environment */
	int least_kept, most_kept;
	const char *part;
	int least_part;
} shapes[] = {
	{"ends", ends, NULL, 90, 105, "arena_ends_bytes", 95},
	{"ends", ends, "MALLOC_TRIM_THRESHOLD_", 0, 2, NULL, 0},
	{"below", below, NULL, 85, 105, "returnable_bytes", 95},
	{"below", below, "MALLOC_TRIM_THRESHOLD_", 85, 105, "returnable_bytes", 95},
	{"below", below, "MALLOC_ARENA_MAX", 85, 105, NULL, 0},
	{"nodes", nodes, NULL, 80, 105, NULL, 0},
	{"pinned", pinned, NULL, 80, 105, "pinned_bytes", 50},
};

static void *thread(void *work)
{
	((void (*)(void))work)();
	pthread_barrier_wait(&worked);
	pause();
	return NULL;
}

static void work(const struct shape *shape)
{
	pthread_t id;
	/* Freeing a block of 30 MiB raises the trim threshold to 60 MiB. */
	void *volatile big = malloc(30 << 20);
	free(big);
	CHECK(pthread_barrier_init(&taken, NULL, THREADS) == 0);
	CHECK(pthread_barrier_init(&worked, NULL, THREADS + 1) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&id, NULL, thread, (void *)shape->work) == 0);
	pthread_barrier_wait(&worked);
}

static const char *kept_of(const char *json)
{
	return strstr(json, "\"c_retained_kept\":");
}

static bool fits(const struct shape *s, long long retained, const char *kept, long long returned)
{
	const long long all = THREADS * 50 * MIB;
	long long returnable = number_after(kept, "returnable_bytes");
	if (retained < all * s->least_kept / 100 || retained > all * s->most_kept / 100)
		return false;
	if (s->part && number_after(kept, s->part) < retained * s->least_part / 100)
		return false;
	/* malloc_trim returned what the account called returnable. */
	if (returnable < 0)
		return retained < 8 * MIB;
	return llabs(returnable + number_after(kept, "cached_bytes") - returned) <=
	       retained / 20 + MIB;
}

static void run(const struct shape *shape)
{
	static char before[sizeof(hooks_answer)];
	take_account();
	work(shape);
	strcpy(before, hooks_get("/v1/account"));
	struct seen seen = parse_account(before);
	long long rss = rollup_rss();
	malloc_trim(0);
	long long returned = rss - rollup_rss();
	if (getenv("ACCOUNT_PRINT"))
		printf("%s: retained %lld, trim returned %lld, %.250s\n", shape->name,
		       seen.owner[C_RETAINED] / MIB, returned / MIB, kept_of(before));
	if (fits(shape, seen.owner[C_RETAINED], kept_of(before), returned))
		return;
	dprintf(2, "retained %lld, trim returned %lld, %.250s\n", seen.owner[C_RETAINED], returned,
		kept_of(before));
	_exit(1);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		const char *remedy = shapes[i].remedy;
		bool has = getenv("MALLOC_TRIM_THRESHOLD_") || getenv("MALLOC_ARENA_MAX");
		if (strcmp(shapes[i].name, argv[1]) == 0 &&
		    (remedy ? getenv(remedy) != NULL : !has)) {
			run(&shapes[i]);
			return 0;
		}
	}
	return 2;
}
