/*
 * The table of modules, for a glibc that does not say what is loaded; this one's answer is the
 * truth.
 */
#include "child.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/dynsym.h"
#include "base/loaded.h"

static bool has_find_object;

void *__real_dynsym_libc(const char *name);
void *__wrap_dynsym_libc(const char *name);
void *__wrap_dynsym_libc(const char *name)
{
	if (!has_find_object && strcmp(name, "_dl_find_object") == 0)
		return NULL;
	return __real_dynsym_libc(name);
}

/* What this program is not linked to, and has a function of its name. */
#define LIBRARY  "libcrypt.so.1"
#define FUNCTION "crypt_r"

static uint64_t added;

static void note_added(uint64_t start)
{
	added = start;
}

static void same_as_the_loader(uint64_t address)
{
	struct dl_find_object truth;
	struct code_module m;
	bool is_loaded = _dl_find_object((void *)address, &truth) == 0;

	CHECK(loaded_find(address, &m) == is_loaded);
	if (!is_loaded)
		return;
	CHECK(m.bias == truth.dlfo_link_map->l_addr && m.table == (uint64_t)truth.dlfo_eh_frame);
	CHECK(m.count && m.headers);
}

static void what_was_there_is_found(void)
{
	loaded_init();
	same_as_the_loader((uint64_t)what_was_there_is_found);
	same_as_the_loader((uint64_t)malloc);
	same_as_the_loader((uint64_t)dlopen);
	same_as_the_loader(16);
	CHECK(loaded_is_watched() && loaded_is_doubtful() && !loaded_is_old());
}
CASE(what_was_there_is_found)

static void loading_is_seen_by_an_update(void)
{
	struct code_module m;

	loaded_init();
	loaded_on_added(note_added);
	for (int round = 0; round < 3; round++) {
		loaded_will_change();
		void *library = dlopen(LIBRARY, RTLD_NOW);
		CHECK(library);
		uint64_t function = (uint64_t)dlsym(library, FUNCTION);
		CHECK(function && !loaded_find(function, &m) && loaded_is_old());
		added = 0;
		CHECK(loaded_update() && !loaded_is_old() && !loaded_is_doubtful());
		same_as_the_loader(function);
		CHECK(loaded_find(added, &m) && m.bias == added);
		CHECK(!loaded_update());
		CHECK(dlclose(library) == 0);
		loaded_forget();
		same_as_the_loader(function);
		CHECK(!loaded_find(function, &m));
		same_as_the_loader((uint64_t)malloc);
	}
}
CASE(loading_is_seen_by_an_update)

/* Its dlopen may be in the middle, so that it may yet fail. */
static void forgetting_adds_nothing(void)
{
	struct code_module m;

	loaded_init();
	void *library = dlopen(LIBRARY, RTLD_NOW);
	uint64_t function = (uint64_t)dlsym(library, FUNCTION);
	loaded_forget();
	CHECK(!loaded_find(function, &m) && loaded_is_old());
	same_as_the_loader((uint64_t)malloc);
	CHECK(loaded_update());
	same_as_the_loader(function);
}
CASE(forgetting_adds_nothing)

/* What it loads and closes is not seen, so what is not of the start may be gone. */
static void after_an_unseen_change_those_of_the_start_are_found(void)
{
	struct code_module m;

	loaded_init();
	void *library = dlopen(LIBRARY, RTLD_NOW);
	uint64_t function = (uint64_t)dlsym(library, FUNCTION);
	CHECK(loaded_update() && loaded_find(function, &m));
	loaded_will_change_unseen();
	CHECK(!loaded_find(function, &m));
	loaded_update();
	CHECK(!loaded_find(function, &m));
	same_as_the_loader((uint64_t)malloc);
	same_as_the_loader((uint64_t)what_was_there_is_found);
}
CASE(after_an_unseen_change_those_of_the_start_are_found)

static bool ended;

static void *reload(void *arg)
{
	for (int i = 0; i < 300; i++) {
		void *library = dlopen(LIBRARY, RTLD_NOW);
		CHECK(library);
		loaded_update();
		dlclose(library);
		loaded_forget();
	}
	STORE(&ended, true);
	return arg;
}

static void readers_are_right_while_it_changes(void)
{
	uint64_t always = (uint64_t)malloc;
	struct dl_find_object truth;
	struct code_module m;
	pthread_t threads[2];

	loaded_init();
	CHECK(_dl_find_object((void *)always, &truth) == 0);
	CHECK(pthread_create(&threads[0], NULL, reload, NULL) == 0);
	CHECK(pthread_create(&threads[1], NULL, reload, NULL) == 0);
	while (!LOAD(&ended))
		if (loaded_find(always, &m))
			CHECK(m.table == (uint64_t)truth.dlfo_eh_frame);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	same_as_the_loader(always);
}
CASE(readers_are_right_while_it_changes)

/* Without the table: hooks are then as right as the loader. */
static void this_libc_answers_itself(void)
{
	has_find_object = true;
	loaded_init();
	CHECK(!loaded_is_watched());
	same_as_the_loader((uint64_t)malloc);
	same_as_the_loader(16);
	loaded_will_change();
	CHECK(!loaded_is_old() && !loaded_is_doubtful() && !loaded_update());
	void *library = dlopen(LIBRARY, RTLD_NOW);
	same_as_the_loader((uint64_t)dlsym(library, FUNCTION));
}
CASE(this_libc_answers_itself)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_there_is_found),
		cmocka_unit_test(test_loading_is_seen_by_an_update),
		cmocka_unit_test(test_forgetting_adds_nothing),
		cmocka_unit_test(test_after_an_unseen_change_those_of_the_start_are_found),
		cmocka_unit_test(test_this_libc_answers_itself),
		cmocka_unit_test(test_readers_are_right_while_it_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
