/* Goroutines in C code: a g and its stack as the runtime leaves them, and random bytes. */
#include "child.h"

#include <stdlib.h>
#include <string.h>

#include "go/gocalls.h"
#include "go/gostats.h"
#include "go/gosym.h"

/* ---- doubles: 16 functions of 256 bytes, and a list of goroutines ------------- */

#define TEXT UINT64_C(0x400000)
static const char *const functions[16] = {"runtime.cgocall", "main._Cfunc_f", "main.f",
					  "main.main",       "runtime.main",  "runtime.mstart"};

bool gosym_in_text(uint64_t pc)
{
	return pc >= TEXT && pc < TEXT + 0x100 * COUNT_OF(functions);
}

bool gosym_find(uint64_t pc, struct gosym_func *out)
{
	*out = (struct gosym_func){0};
	if (gosym_in_text(pc))
		out->name = functions[(pc - TEXT) / 0x100];
	return out->name;
}

enum { CGOCALL, WRAPPER, MAIN_F, MAIN_MAIN, RUNTIME_MAIN };

static uint64_t in(int function)
{
	return TEXT + 0x100 * (uint64_t)function + 0x20;
}

static uint64_t gs[100], g_count;

int gostats_allgs(struct scratch *scratch, uint64_t *list, uint64_t *count)
{
	(void)scratch;
	*list = (uint64_t)gs;
	*count = g_count;
	return g_count != 0 ? 0 : -1;
}

/* ---- a goroutine --------------------------------------------------------------- */

struct goroutine {
	uint64_t g[32], stack[256];
};

static uint64_t at(struct goroutine *r, size_t word)
{
	return (uint64_t)&r->stack[word];
}

static void put_record(struct goroutine *r, size_t word, size_t next, int caller)
{
	r->stack[word] = at(r, next);
	r->stack[word + 1] = in(caller);
}

/* word: the index of syscallsp in g. */
static void in_cgo(struct goroutine *r, size_t word)
{
	*r = (struct goroutine){.g = {at(r, 0), at(r, 255)}};
	r->g[word] = at(r, 100);
	r->g[word + 1] = in(CGOCALL);
	put_record(r, 103, 150, RUNTIME_MAIN); /* stale, from another call: must be ignored */
	put_record(r, 110, 140, WRAPPER);
	put_record(r, 140, 160, MAIN_F);
	put_record(r, 160, 200, MAIN_MAIN);
	put_record(r, 200, 250, RUNTIME_MAIN);
}

static size_t look(struct gocall *out, size_t room)
{
	struct scratch s = SCRATCH_INIT(MIB);
	size_t n = gocalls_now(&s, out, room);
	scratch_release(&s);
	return n;
}

static void one_in_cgo(void)
{
	static struct goroutine r, idle;
	struct gocall c[4];
	gs[0] = (uint64_t)&idle;
	gs[1] = (uint64_t)&r;
	gs[2] = 8; /* an invalid pointer */
	g_count = 3;
	/* m.procid, since Go 1.25 and before. */
	static uint64_t m[12];
	idle.g[0] = at(&idle, 0);
	idle.g[1] = at(&idle, 255);
	idle.g[14] = in(CGOCALL); /* from an earlier call: syscallsp is 0 */
	for (size_t word = 12; word < 16; word++) {
		in_cgo(&r, word);
		m[8] = word % 2 ? 4000 + word : 0;
		m[9] = word % 2 ? 77 : 4000 + word;
		r.g[6] = (uint64_t)m;
		CHECK(look(c, COUNT_OF(c)) == 1 && c[0].count == 3 && c[0].thread == 4000 + word);
		CHECK(c[0].frames[0] == in(WRAPPER) && c[0].frames[1] == in(MAIN_F) &&
		      c[0].frames[2] == in(MAIN_MAIN));
	}
	CHECK(look(c, 0) == 0);
	r.g[15] = at(&r, 255); /* outside the stack */
	CHECK(look(c, COUNT_OF(c)) == 0);
	g_count = 0;
	CHECK(look(c, COUNT_OF(c)) == 0);
}
CASE(one_in_cgo)

/* Memory that changes while it is read: frames that lead back or nowhere end the walk. */
static void any_bytes(void)
{
	static struct goroutine r[COUNT_OF(gs)];
	struct gocall c[COUNT_OF(gs)];
	srandom(5);
	for (int round = 0; round < 200; round++) {
		for (size_t i = 0; i < COUNT_OF(gs); i++) {
			gs[i] = random() % 20 ? (uint64_t)&r[i] : (uint64_t)random() << 20;
			in_cgo(&r[i], 12 + (size_t)random() % 5);
			for (int k = 0; k < 20; k++)
				r[i].stack[random() % 256] =
					random() % 2 ? at(&r[i], (size_t)random() % 256)
						     : TEXT + (uint64_t)random() % 0x1100;
			if (random() % 10 == 0)
				r[i].g[random() % 20] = (uint64_t)random() << (random() % 34);
		}
		g_count = COUNT_OF(gs);
		size_t n = look(c, COUNT_OF(c));
		CHECK(n <= COUNT_OF(c));
		for (size_t i = 0; i < n; i++) {
			CHECK(c[i].count >= 1 && c[i].count <= GOCALLS_FRAMES);
			for (uint32_t k = 0; k < c[i].count; k++)
				CHECK(gosym_in_text(c[i].frames[k] - 1));
		}
	}
}
CASE(any_bytes)

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_in_cgo),
					   cmocka_unit_test(test_any_bytes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
