/* See gocalls.h. */
#include "go/gocalls.h"

#include <string.h>

#include "base/ascii.h"
#include "base/selfmem.h"
#include "base/work.h"
#include "go/gostats.h"
#include "go/gosym.h"

#define MAX_GOROUTINES     65536
#define MAX_GO_STACK_BYTES (UINT64_C(1) << 31)

/* Words of a g: the stack's bounds are first; syscallsp is at 104 to 112 in Go 1.18 to 1.27. */
#define G_WORDS 20
enum { G_LO = 0, G_HI = 1, G_M = 6, G_FIRST_SP = 12 };

/* m.procid, after m.g0, m.morebuf and a word that is 0 on this processor: at 64 since Go 1.25,
 * where gobuf is a word shorter, else at 72. */
#define M_FIRST_PROCID 64
#define MAX_TID        (1u << 22)

/* The words searched above cgocall's stack pointer for its caller's frame: cgocall's locals. */
#define CGOCALL_WORDS 64

struct copy {
	uint64_t start;
	size_t count; /* words that could be read */
	uint64_t words[CGOCALL_WORDS];
};

static bool is_in(const char *name, uint64_t pc)
{
	struct gosym_func f;
	return gosym_in_text(pc) && gosym_find(pc, &f) && strcmp(f.name, name) == 0;
}

/* cgocall's stack pointer; 0: not in a cgo call. */
static uint64_t cgocall_sp(const uint64_t g[G_WORDS])
{
	uint64_t lo = g[G_LO], hi = g[G_HI];
	if (lo == 0 || hi <= lo || hi - lo > MAX_GO_STACK_BYTES)
		return 0;
	for (size_t i = G_FIRST_SP; i + 1 < G_WORDS; i++)
		if (g[i] > lo && g[i] < hi && is_in("runtime.cgocall", g[i + 1] - 1))
			return g[i];
	return 0;
}

static bool is_users(uint64_t return_pc)
{
	struct gosym_func f;
	return gosym_in_text(return_pc - 1) && gosym_find(return_pc - 1, &f) &&
	       !ascii_begins(f.name, "runtime.");
}

/* Whether this is a frame record {saved frame pointer, return address} pointing above `above`. */
static bool is_record(const uint64_t *record, uint64_t above, uint64_t hi)
{
	return record[0] > above && record[0] < hi && record[0] % 8 == 0 && is_users(record[1]);
}

static bool follow(struct gocall *call, uint64_t sp, uint64_t hi)
{
	struct copy c = {.start = sp};
	size_t bytes = hi - sp < sizeof(c.words) ? (size_t)(hi - sp) : sizeof(c.words);
	uint64_t record[2] = {0, 0}, at = sp;
	c.count = selfmem_copy(sp, c.words, bytes & ~(size_t)7) / 8;
	for (size_t i = 0; i + 1 < c.count && !record[1]; i++, at += 8)
		if (is_record(&c.words[i], at, hi))
			memcpy(record, &c.words[i], sizeof(record));
	call->count = 0;
	while (record[1] && call->count < GOCALLS_FRAMES) {
		call->frames[call->count++] = record[1];
		uint64_t next = record[0];
		if (selfmem_copy(next, record, sizeof(record)) != sizeof(record) ||
		    !is_record(record, next, hi))
			break;
	}
	return call->count > 0;
}

static uint32_t thread_of(uint64_t m)
{
	uint64_t words[2];
	if (selfmem_read(m + M_FIRST_PROCID, words, sizeof(words)))
		return 0;
	uint64_t tid = words[0] ? words[0] : words[1];
	return tid < MAX_TID ? (uint32_t)tid : 0;
}

size_t gocalls_now(struct scratch *scratch, struct gocall *out, size_t room)
{
	uint64_t list, count, pointers[SELFMEM_EACH], g[SELFMEM_EACH][G_WORDS];
	bool ok[SELFMEM_EACH];
	size_t found = 0;
	if (gostats_allgs(scratch, &list, &count))
		return 0;
	count = count < MAX_GOROUTINES ? count : MAX_GOROUTINES;
	for (uint64_t done = 0; done < count && work_may_go_on(50000); done += SELFMEM_EACH) {
		size_t n = count - done < SELFMEM_EACH ? (size_t)(count - done) : SELFMEM_EACH;
		if (selfmem_read(list + done * 8, pointers, n * sizeof(pointers[0])))
			break;
		selfmem_read_each(pointers, n, g, sizeof(g[0]), ok);
		for (size_t i = 0; i < n; i++) {
			uint64_t sp = ok[i] && found < room ? cgocall_sp(g[i]) : 0;
			if (!sp || !follow(&out[found], sp, g[i][G_HI]))
				continue;
			out[found++].thread = thread_of(g[i][G_M]);
		}
	}
	return found;
}
