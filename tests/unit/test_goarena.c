/* Which of the Go heap's chunks are remembered, and which are forgotten. */
#include "child.h"

#include "go/goarena.h"

#define CHUNK GOARENA_CHUNK_BYTES
#define BASE  UINT64_C(0xc000000000)

static void whole_chunks_count(void)
{
	goarena_note(BASE, BASE + 2 * CHUNK);
	CHECK(goarena_holds(BASE, 8) && goarena_holds(BASE + 2 * CHUNK - 8, 8));
	CHECK(goarena_holds(BASE, 2 * CHUNK) && goarena_holds(BASE + CHUNK - 4, 8));
	CHECK(!goarena_holds(BASE - 1, 1) && !goarena_holds(BASE - 4, 8));
	CHECK(!goarena_holds(BASE + 2 * CHUNK, 1) && !goarena_holds(BASE + 2 * CHUNK - 4, 8));
	CHECK(!goarena_holds(BASE, 0) && !goarena_holds(BASE, UINT64_MAX));
	CHECK(!goarena_holds(0, 8) && !goarena_holds(UINT64_MAX - 3, 8));
}
CASE(whole_chunks_count)

static void parts_of_chunks_do_not(void)
{
	goarena_note(BASE + 4096, BASE + 3 * CHUNK - 4096);
	CHECK(!goarena_holds(BASE + 4096, 8) && !goarena_holds(BASE + 2 * CHUNK, 8));
	CHECK(goarena_holds(BASE + CHUNK, CHUNK));
	goarena_note(BASE + 8 * CHUNK + 8, BASE + 9 * CHUNK);
	goarena_note(BASE + 8 * CHUNK, BASE + 9 * CHUNK - 8);
	goarena_note(BASE + 9 * CHUNK, BASE + 8 * CHUNK);
	CHECK(!goarena_holds(BASE + 8 * CHUNK, 8));
}
CASE(parts_of_chunks_do_not)

static void what_goes_is_forgotten(void)
{
	goarena_note(BASE, BASE + 8 * CHUNK);
	goarena_forget(BASE + CHUNK + 100, BASE + CHUNK + 200);
	CHECK(goarena_holds(BASE, CHUNK) && !goarena_holds(BASE + CHUNK, 8));
	goarena_forget(BASE + 3 * CHUNK - 1, BASE + 4 * CHUNK + 1);
	for (uint64_t i = 0; i < 8; i++)
		CHECK(goarena_holds(BASE + i * CHUNK, 8) == (i == 0 || i >= 5));
	goarena_forget(BASE, BASE);
	CHECK(goarena_holds(BASE, 8));
	goarena_forget(0, UINT64_MAX);
	for (uint64_t i = 0; i < 8; i++)
		CHECK(!goarena_holds(BASE + i * CHUNK, 8));
	goarena_note(BASE, BASE + CHUNK);
	CHECK(goarena_holds(BASE, CHUNK));
}
CASE(what_goes_is_forgotten)

/* A heap with more chunks than slots: chunks that do not fit are not claimed. */
static void more_than_fits_is_not_known(void)
{
	uint64_t known = 0;

	goarena_note(BASE, BASE + 30000 * CHUNK);
	for (uint64_t i = 0; i < 30000; i++)
		known += goarena_holds(BASE + i * CHUNK, 8);
	CHECK(known > 15000 && known <= 16384);
	CHECK(!goarena_holds(BASE + 30000 * CHUNK, 8));
}
CASE(more_than_fits_is_not_known)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_chunks_count),
		cmocka_unit_test(test_parts_of_chunks_do_not),
		cmocka_unit_test(test_what_goes_is_forgotten),
		cmocka_unit_test(test_more_than_fits_is_not_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
