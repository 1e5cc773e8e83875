/* The order of unloadings, and what a stamp means later. */
#include "record/unloads.h"

#include <dlfcn.h>
#include <errno.h>

#include "child.h"

#define AT(place) (UINT64_C(0x10000) * (uint64_t)(place))

static uint32_t stamp_of(uint64_t pc)
{
	return unloads_stamp(&pc, 1);
}

static void add(uint64_t place)
{
	unloads_add(AT(place), AT(place + 1));
}

static void nothing_unloaded(void)
{
	CHECK(stamp_of(AT(3)) == 0);
	CHECK(!unloads_since(0, AT(3)));
}

/* A return address may be the first byte after its library, and then belongs to that library
 * only. */
static void borders(void)
{
	add(3);
	CHECK(!unloads_since(0, AT(3)));
	CHECK(unloads_since(0, AT(3) + 1));
	CHECK(unloads_since(0, AT(4)));
	CHECK(!unloads_since(0, AT(4) + 1));
}

static void before_and_after(void)
{
	uint32_t before = stamp_of(AT(3) + 8), after;

	add(3);
	after = stamp_of(AT(3) + 8);
	CHECK(unloads_since(before, AT(3) + 8));
	CHECK(!unloads_since(after, AT(3) + 8));
	add(5);
	CHECK(stamp_of(AT(3) + 8) == after); /* elsewhere: still the same stack */
	CHECK(!unloads_since(after, AT(3) + 8));
	add(3);
	CHECK(unloads_since(after, AT(3) + 8));
	CHECK(!unloads_since(stamp_of(AT(3) + 8), AT(3) + 8));
}

/* One stamp for all frames: the latest that concerns any of them. */
static void many_frames(void)
{
	uint64_t pcs[] = {AT(3) + 8, AT(9) + 8, AT(5) + 8};
	uint32_t stamp;

	add(3), add(5), add(3);
	stamp = unloads_stamp(pcs, 3);
	for (int i = 0; i < 3; i++)
		CHECK(!unloads_since(stamp, pcs[i]));
	add(9);
	CHECK(unloads_since(stamp, pcs[1]));
	CHECK(!unloads_since(stamp, pcs[0]) && !unloads_since(stamp, pcs[2]));
	CHECK(unloads_stamp(pcs, 3) > stamp);
}

/* More places than entries: unloaded code is still known as unloaded. */
static void more_places_than_entries(void)
{
	uint32_t stamps[1000];

	for (uint64_t i = 0; i < 1000; i++) {
		stamps[i] = stamp_of(AT(3 * i + 1) + 8);
		add(3 * i + 1);
	}
	for (uint64_t i = 0; i < 1000; i++)
		CHECK(unloads_since(stamps[i], AT(3 * i + 1) + 8));
	/* And newly loaded code is not. */
	for (uint64_t i = 0; i < 1000; i++)
		CHECK(!unloads_since(stamp_of(AT(3 * i + 1) + 8), AT(3 * i + 1) + 8));
}

static void the_same_place_for_ever(void)
{
	for (int i = 0; i < 1000; i++) {
		uint32_t stamp = stamp_of(AT(7) + 8);
		add(7);
		CHECK(unloads_since(stamp, AT(7) + 8));
	}
	CHECK(!unloads_since(0, AT(6) + 8));
	CHECK(!unloads_since(0, AT(8) + 8));
}

static int refuse(void *handle)
{
	(void)handle;
	errno = ENOTTY;
	return -7;
}

static void watching_keeps_the_result(void)
{
	errno = 0;
	CHECK(unloads_watch(refuse, NULL) == -7);
	CHECK(errno == ENOTTY);
	CHECK(!unloads_since(0, (uint64_t)(uintptr_t)watching_keeps_the_result));
}

/* A library with one function, which nothing else needs. */
static void library_goes(void)
{
	void *library = dlopen("libcrypt.so.1", RTLD_NOW | RTLD_LOCAL);
	void *again = library ? dlopen("libcrypt.so.1", RTLD_NOW | RTLD_LOCAL) : NULL;

	if (!library)
		library = dlopen("libz.so.1", RTLD_NOW), again = dlopen("libz.so.1", RTLD_NOW);
	CHECK(library && again);
	void *f = dlsym(library, "crypt");
	uint64_t pc = (uint64_t)(uintptr_t)(f ? f : dlsym(library, "zlibVersion")) + 1;
	CHECK(pc > 1);
	CHECK(unloads_watch(dlclose, again) == 0);
	CHECK(!unloads_since(0, pc)); /* still open once */
	CHECK(unloads_watch(dlclose, library) == 0);
	CHECK(unloads_since(0, pc));
	CHECK(!unloads_since(0, (uint64_t)(uintptr_t)library_goes));
	CHECK(!unloads_since(0, (uint64_t)(uintptr_t)dlsym(RTLD_DEFAULT, "printf") + 1));
}

CASE(nothing_unloaded)
CASE(borders)
CASE(before_and_after)
CASE(many_frames)
CASE(more_places_than_entries)
CASE(the_same_place_for_ever)
CASE(watching_keeps_the_result)
CASE(library_goes)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_unloaded),
		cmocka_unit_test(test_borders),
		cmocka_unit_test(test_before_and_after),
		cmocka_unit_test(test_many_frames),
		cmocka_unit_test(test_more_places_than_entries),
		cmocka_unit_test(test_the_same_place_for_ever),
		cmocka_unit_test(test_watching_keeps_the_result),
		cmocka_unit_test(test_library_goes),
	};
	return cmocka_run_group_tests_name("unloads", tests, NULL, NULL);
}
