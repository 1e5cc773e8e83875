/*
 * See unloads.h. There is one entry per place: a library that is repeatedly loaded and unloaded
 * at the same addresses updates its entry. If there are more places than entries, the nearest
 * ones are merged. This may mark extra frames unknown, but never misattributes one. An entry
 * that no stack asks about is freed (stacks_reclaim.c).
 *
 * Between dlclose's unmapping and our entry the place is free. If another thread loads code
 * there at once, the first stacks in that code are shown as unknown.
 */
#include "record/unloads.h"

#include <assert.h>
#include <errno.h>
#include <link.h>

#include "base/libc.h"
#include "base/lock.h"
#include "base/sys.h"
#include "region/recstack.h"

#define PLACES        64
#define ADDRESSES_END (UINT64_C(1) << ARCH_ADDRESS_BITS)

static struct {
	struct lock lock; /* taken to add or forget */
	uint32_t last;    /* the order: 1 is the first unloading */
	uint32_t count;
	struct unload {
		uint64_t start, end;
		uint32_t at; /* its latest unloading */
	} list[PLACES];
} unloads;

/* ---- the order -------------------------------------------------------- */

uint32_t unloads_count(void)
{
	return LOAD(&unloads.last);
}

/* At the instruction before the return address. */
uint32_t unloads_latest_at(uint64_t pc)
{
	uint32_t count = LOAD_ACQ(&unloads.count), latest = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct unload *u = &unloads.list[i];
		uint32_t at = LOAD_ACQ(&u->at);
		if (at > latest && pc > LOAD(&u->start) && pc <= LOAD(&u->end))
			latest = at;
	}
	return latest;
}

uint32_t unloads_stamp(const uint64_t *pcs, size_t count)
{
	uint32_t latest = 0;

	if (likely(!LOAD(&unloads.count)))
		return 0;
	for (size_t i = 0; i < count; i++) {
		uint32_t at = unloads_latest_at(pcs[i]);
		if (at > latest)
			latest = at;
	}
	return latest;
}

/* ---- adding ----------------------------------------------------------- */

static uint64_t distance(const struct unload *u, uint64_t start, uint64_t end)
{
	if (start >= u->end)
		return start - u->end;
	return u->start >= end ? u->start - end : 0;
}

/* A free entry has end 0. */
static struct unload *find_free(void)
{
	for (uint32_t i = 0; i < unloads.count; i++)
		if (!unloads.list[i].end)
			return &unloads.list[i];
	return unloads.count < PLACES ? &unloads.list[unloads.count] : NULL;
}

/* Stores the order last, so that a reader that sees it also sees the range. */
static void fill(struct unload *u, uint64_t start, uint64_t end)
{
	STORE(&u->at, 0);
	STORE_REL(&u->start, start);
	STORE_REL(&u->end, end);
	STORE_REL(&u->at, unloads.last);
	if (u == &unloads.list[unloads.count])
		STORE_REL(&unloads.count, unloads.count + 1);
}

/* The entry of exactly this place, or the nearest one. There is always one. */
static struct unload *nearest(uint64_t start, uint64_t end)
{
	struct unload *best = &unloads.list[0];

	for (uint32_t i = 0; i < unloads.count; i++) {
		struct unload *u = &unloads.list[i];
		if (u->start == start && u->end == end)
			return u;
		if (distance(u, start, end) < distance(best, start, end))
			best = u;
	}
	return best;
}

/* Stores the range first, so that a reader that sees the new order also sees the range. */
static void widen(struct unload *u, uint64_t start, uint64_t end)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): nearest never returns NULL */
	if (start < u->start)
		STORE(&u->start, start);
	if (end > u->end)
		STORE(&u->end, end);
	STORE_REL(&u->at, unloads.last);
}

void unloads_add(uint64_t start, uint64_t end)
{
	lock_take(&unloads.lock);
	struct unload *u = unloads.count ? nearest(start, end) : NULL, *none = find_free();

	STORE(&unloads.last, unloads.last + 1);
	if ((u && u->start == start && u->end == end) || !none)
		widen(u, start, end);
	else
		fill(none, start, end);
	lock_release(&unloads.lock);
}

/* ---- forgetting ------------------------------------------------------- */

static_assert(PLACES <= 64, "a bit each");
static uint64_t kept;
static uint32_t kept_since; /* the order when unloads_forget_begin was called */

bool unloads_are_many(void)
{
	uint32_t taken = 0, count = LOAD_ACQ(&unloads.count);

	for (uint32_t i = 0; i < count; i++)
		taken += LOAD(&unloads.list[i].end) != 0;
	return taken > PLACES / 4 * 3;
}

void unloads_forget_begin(void)
{
	lock_take(&unloads.lock);
	kept = 0;
	kept_since = unloads.last;
	lock_release(&unloads.lock);
}

void unloads_keep(uint32_t stamp, const uint64_t *pcs, size_t count)
{
	for (uint32_t i = 0; i < LOAD(&unloads.count); i++) {
		const struct unload *u = &unloads.list[i];
		uint64_t start = LOAD(&u->start), end = LOAD(&u->end);
		if (kept & UINT64_C(1) << i || LOAD(&u->at) <= stamp)
			continue;
		for (size_t f = 0; f < count; f++)
			if (pcs[f] > start && pcs[f] <= end)
				kept |= UINT64_C(1) << i;
	}
}

void unloads_forget_end(void)
{
	lock_take(&unloads.lock);
	for (uint32_t i = 0; i < unloads.count; i++)
		if (!(kept & UINT64_C(1) << i) && unloads.list[i].at <= kept_since)
			STORE_REL(&unloads.list[i].end, 0);
	lock_release(&unloads.lock);
}

/* ---- what is loaded --------------------------------------------------- */

struct range {
	uint64_t start, end;
};

/* In the loader's order, in which libraries keep their place until they are unloaded. */
struct loaded {
	struct range *list;
	size_t count, room, next;
	unsigned long long unloaded; /* the loader's counter, for all kinds of unloading */
};

#define LOADED_MAX 8192

static struct range range_of(const struct dl_phdr_info *info)
{
	struct range r = {UINT64_MAX, 0};

	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + p->p_vaddr;
		if (p->p_type != PT_LOAD)
			continue;
		if (start < r.start)
			r.start = start;
		if (start + p->p_memsz > r.end)
			r.end = start + p->p_memsz;
	}
	return r;
}

static int note_loaded(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct loaded *loaded = arg;

	(void)size;
	loaded->unloaded = info->dlpi_subs;
	if (loaded->count < loaded->room)
		loaded->list[loaded->count] = range_of(info);
	loaded->count++;
	return 0;
}

/* Entries skipped before one that is still loaded have been unloaded. */
static int add_gone(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct loaded *before = arg;
	struct range r = range_of(info);
	size_t at = before->next;

	(void)size;
	while (at < before->count &&
	       (before->list[at].start != r.start || before->list[at].end != r.end))
		at++;
	if (at == before->count)
		return 0; /* loaded meanwhile by another thread */
	for (; before->next < at; before->next++)
		unloads_add(before->list[before->next].start, before->list[before->next].end);
	before->next = at + 1;
	return 0;
}

static int note_count(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	*(unsigned long long *)arg = info->dlpi_subs;
	return 1;
}

/* dlclose takes the loader's lock too, as dl_iterate_phdr does. */
static void add_all_gone_here(void *loaded, const struct regs *host)
{
	struct loaded *before = loaded;
	unsigned long long now = before->unloaded;

	(void)host;
	libc_iterate_phdr(note_count, &now);
	if (now == before->unloaded)
		return;
	if (!before->list || before->count > before->room) {
		unloads_add(0, ADDRESSES_END); /* the list could not be read, so nothing is
						* certain */
		return;
	}
	libc_iterate_phdr(add_gone, before);
	for (; before->next < before->count; before->next++)
		unloads_add(before->list[before->next].start, before->list[before->next].end);
}

static void note_all_loaded_here(void *loaded, const struct regs *host)
{
	(void)host;
	libc_iterate_phdr(note_loaded, loaded);
}

int unloads_watch(int (*close)(void *handle), void *handle)
{
	struct loaded before = {.list = sys_map_anonymous(LOADED_MAX * sizeof(*before.list))};

	before.room = before.list ? LOADED_MAX : 0;
	recstack_run_anyhow(note_all_loaded_here, &before);
	int result = close(handle);
	int error = errno;
	recstack_run_anyhow(add_all_gone_here, &before);
	if (before.list)
		sys_unmap(before.list, LOADED_MAX * sizeof(*before.list));
	errno = error;
	return result;
}

void unloads_before_fork(void)
{
	lock_take(&unloads.lock);
}

void unloads_after_fork(void)
{
	lock_release(&unloads.lock);
}
