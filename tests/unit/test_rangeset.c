/* Layers of claims, compared with a model that has an owner for each byte. */
#include "child.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "proc/rangeset.h"

#define SPACE  2000
#define LAYERS 3

struct seen {
	uint64_t at; /* pieces must be ascending and without gaps */
	uint8_t layer[SPACE], what[SPACE];
	const struct rangeset *layers;
};

static void visit(void *arg, uint64_t start, uint64_t end, const struct rangeset_range *claim)
{
	struct seen *s = arg;
	CHECK(start == s->at && end > start);
	s->at = end;
	for (uint64_t i = start; i < end; i++)
		s->what[i] = claim ? claim->what : 0;
}

/* rangeset_sort gives an overlap to the range with the lower start, or to either if equal. */
static void fill_layer(struct scratch *s, struct rangeset *c, uint8_t model[SPACE])
{
	size_t count = (size_t)random() % 40;
	uint64_t at = (uint64_t)random() % 50;
	struct {
		uint64_t start, end;
	} list[40];
	memset(model, 0, SPACE);
	for (size_t i = 0; i < count; i++) {
		list[i].start = at;
		list[i].end = at + 1 + (uint64_t)random() % 60;
		at += 1 + (uint64_t)random() % 80;
		if (list[i].end > SPACE)
			list[i].end = SPACE;
		for (uint64_t k = list[i].start; k < list[i].end; k++)
			if (!model[k])
				model[k] = (uint8_t)(i + 1);
		if (at >= SPACE) {
			count = i + 1;
			break;
		}
	}
	/* Added in any order. */
	for (size_t left = count; left > 0; left--) {
		size_t pick = (size_t)random() % count;
		while (list[pick].start == UINT64_MAX)
			pick = (pick + 1) % count;
		CHECK(rangeset_add(s, c, list[pick].start, list[pick].end, (uint8_t)(pick + 1),
				   7) == 0);
		list[pick].start = UINT64_MAX;
	}
	CHECK(rangeset_add(s, c, 5, 5, 99, 0) == 0); /* empty */
	CHECK(rangeset_sort(s, c) == 0);
}

static void as_the_model(void)
{
	static uint8_t model[LAYERS][SPACE];
	srandom(3);
	for (int round = 0; round < 500; round++) {
		struct scratch s = SCRATCH_INIT(4 * MIB);
		struct rangeset claims[LAYERS] = {0};
		const struct rangeset *layers[LAYERS];
		struct seen seen = {0};
		for (int l = 0; l < LAYERS; l++) {
			fill_layer(&s, &claims[l], model[l]);
			layers[l] = &claims[l];
		}
		uint64_t from = (uint64_t)random() % SPACE;
		uint64_t to = from + (uint64_t)random() % (SPACE - from + 1);
		seen.at = from;
		rangeset_cut(layers, LAYERS, from, to, visit, &seen);
		CHECK(seen.at == to);
		for (uint64_t i = from; i < to; i++) {
			uint8_t want = 0;
			for (int l = 0; l < LAYERS && !want; l++)
				want = model[l][i];
			CHECK(seen.what[i] == want);
			const struct rangeset_range *c = rangeset_find(&claims[0], i);
			CHECK((c ? c->what : 0) == model[0][i]);
		}
		scratch_release(&s);
	}
}
CASE(as_the_model)

static void out_of_scratch(void)
{
	struct scratch s = SCRATCH_INIT(8 * KIB);
	struct rangeset c = {0};
	uint64_t at = 1 << 20;
	while (rangeset_add(&s, &c, at, at + 1, 1, 0) == 0)
		at -= 10; /* descending: sorting needs memory, which is used up */
	CHECK(c.count >= 64);
	CHECK(rangeset_sort(&s, &c) && c.count == 0);
	scratch_release(&s);
}
CASE(out_of_scratch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_the_model),
		cmocka_unit_test(test_out_of_scratch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
