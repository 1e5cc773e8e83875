/* See eventring.h. */
#include "record/eventring.h"

#include <assert.h>

#include "base/clock.h"
#include "region/region.h"
#include "record/sample.h"
#include "record/stacks.h"

#define MOST_PLACES  8192u
#define LEAST_PLACES 256u
/* Of all scratch: an eighth. */
#define SHARE 8

/* A writer takes less than a microsecond unless it is interrupted. */
#define PATIENCE_NS UINT64_C(100000000)

/* The last word has three figures: a thread id has 22 bits in Linux. */
#define KIND_SHIFT  24
#define THREAD_MASK ((1u << KIND_SHIFT) - 1)

enum { TIME, ADDRESS, SIZE, STACK, BORN, SITE, REST, WORDS };

/* turn: 2 n + 1 while event n is written, then 2 n + 2. */
struct place {
	uint64_t turn;
	uint64_t words[WORDS];
};
static_assert(sizeof(struct place) == 64, "a cache line");

struct eventring {
	uint64_t head; /* number of the next event */
	uint64_t mask; /* number of places - 1 */
	uint64_t padding[6];
	struct place places[];
};

struct eventring *eventring_read_now;

/* The server's thread only. */
static struct {
	struct scratch scratch;
	struct eventring *ring;
	uint32_t readers;
} own;

/* ---- writing ------------------------------------------------------------ */

/* False: an earlier writer is stopped in this place, or a later one has overtaken this. */
static bool claim(struct place *p, uint64_t number)
{
	uint64_t turn = LOAD(&p->turn);

	return !(turn & 1) && turn <= 2 * number &&
	       __atomic_compare_exchange_n(&p->turn, &turn, 2 * number + 1, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

static uint64_t pair(uint32_t high, uint32_t low)
{
	return (uint64_t)high << 32 | low;
}

void eventring_put(struct eventring *ring, enum event_kind kind, const struct live_block *block)
{
	uint64_t number = ADD(&ring->head, 1);
	struct place *p = &ring->places[number & ring->mask];
	const struct site *site = site_at(block->site);
	uint32_t thread = (uint32_t)sample_thread_id() & THREAD_MASK;

	if (!claim(p, number))
		return;
	STORE_REL(&p->words[TIME], clock_coarse_ns());
	STORE_REL(&p->words[ADDRESS], block->address);
	STORE_REL(&p->words[SIZE], block->size);
	STORE_REL(&p->words[STACK], stack_at(site->stack)->hash);
	STORE_REL(&p->words[BORN], site->born);
	STORE_REL(&p->words[SITE], pair(block->site, block->interval));
	STORE_REL(&p->words[REST], pair(block->tick, (uint32_t)kind << KIND_SHIFT | thread));
	STORE_REL(&p->turn, 2 * number + 2);
}

/* ---- reading ------------------------------------------------------------ */

static uint64_t places_that_fit(void)
{
	uint64_t most = region_scratch_max_bytes() / SHARE / sizeof(struct place), n = MOST_PLACES;

	while (n > most)
		n /= 2;
	return n;
}

static struct eventring *ring_new(void)
{
	uint64_t n = places_that_fit();
	size_t bytes = sizeof(struct eventring) + n * sizeof(struct place);

	if (n < LEAST_PLACES)
		return NULL;
	own.scratch = SCRATCH_INIT(ALIGN_UP(bytes, PAGE_BYTES) + PAGE_BYTES);
	struct eventring *ring = scratch_alloc(&own.scratch, bytes);
	if (ring)
		ring->mask = n - 1;
	return ring;
}

int eventring_open(struct eventring_reader *reader)
{
	if (!own.ring)
		own.ring = ring_new();
	if (!own.ring)
		return -1;
	own.readers++;
	*reader = (struct eventring_reader){.next = LOAD_ACQ(&own.ring->head)};
	STORE_REL(&eventring_read_now, own.ring);
	return 0;
}

uint64_t eventring_head(void)
{
	return LOAD_ACQ(&own.ring->head);
}

void eventring_close(void)
{
	if (own.readers > 0 && --own.readers == 0)
		STORE_REL(&eventring_read_now, NULL);
}

static void copy(const struct place *p, struct event *out)
{
	uint64_t site = LOAD_ACQ(&p->words[SITE]), rest = LOAD_ACQ(&p->words[REST]);

	*out = (struct event){
		.kind = (enum event_kind)((uint32_t)rest >> KIND_SHIFT),
		.time_ns = LOAD_ACQ(&p->words[TIME]),
		.address = LOAD_ACQ(&p->words[ADDRESS]),
		.size = LOAD_ACQ(&p->words[SIZE]),
		.stack = LOAD_ACQ(&p->words[STACK]),
		.born = LOAD_ACQ(&p->words[BORN]),
		.site = (uint32_t)(site >> 32),
		.interval = (uint32_t)site,
		.thread = (uint32_t)rest & THREAD_MASK,
		.tick = (uint32_t)(rest >> 32),
	};
}

/* The next event is claimed and not complete: for a moment it may still come. */
static bool may_come(struct eventring_reader *r)
{
	uint64_t now_ns = clock_monotonic_ns();

	if (!r->wait_ns)
		r->wait_ns = now_ns;
	return now_ns - r->wait_ns < PATIENCE_NS;
}

static void skip_overwritten(struct eventring_reader *r, uint64_t head)
{
	uint64_t behind = head - r->next, places = own.ring->mask + 1;

	if (behind <= places)
		return;
	r->lost += behind - places;
	r->next = head - places;
	r->wait_ns = 0;
}

bool eventring_take(struct eventring_reader *r, struct event *out)
{
	uint64_t head = LOAD_ACQ(&own.ring->head);

	skip_overwritten(r, head);
	while (r->next != head) {
		const struct place *p = &own.ring->places[r->next & own.ring->mask];
		uint64_t done = 2 * r->next + 2, turn = LOAD_ACQ(&p->turn);
		if (turn < done && may_come(r))
			return false;
		bool is_there = turn == done;
		if (is_there) {
			copy(p, out);
			is_there = LOAD_ACQ(&p->turn) == done;
		}
		r->next++;
		r->wait_ns = 0;
		if (is_there)
			return true;
		r->lost++;
	}
	return false;
}

void eventring_after_fork_in_child(void)
{
	STORE_REL(&eventring_read_now, NULL);
	own.ring = NULL;
	own.scratch = (struct scratch){0};
	own.readers = 0;
}
