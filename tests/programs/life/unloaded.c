/*
 * Two libraries, one after the other at the same addresses. The first one's allocations are
 * still held when the second is loaded in its place, and must not appear under the second one's
 * name.
 */
#include <dlfcn.h>

#include "life.h"

static void *(*load(const char *variable, const char *name, void **library))(size_t)
{
	*library = dlopen(getenv(variable), RTLD_NOW);
	CHECK(*library);
	void *(*f)(size_t) = (void *(*)(size_t))dlsym(*library, name);
	CHECK(f);
	return f;
}

/* After the label that says this size; NULL: there is none. */
static const char *after_size(const char *text, size_t size)
{
	char label[64];
	int bytes = snprintf(label, sizeof(label), " bytes=%zu", size);

	while ((text = strstr(text, label)) != NULL) {
		text += bytes;
		if (*text == ' ' || *text == '\n')
			return text;
	}
	return NULL;
}

/* The profile's text for blocks of this size, up to the empty line. */
static bool stack_says(size_t size, const char *text)
{
	char part[16384];
	const char *begin = after_size(hooks_get("/debug/pprof/cgoheap?debug=1"), size);
	CHECK(begin);
	const char *end = strstr(begin, "\n\n");
	CHECK(end && (size_t)(end - begin) < sizeof(part));
	memcpy(part, begin, (size_t)(end - begin));
	part[end - begin] = 0;
	return strstr(part, text);
}

int main(void)
{
	void *library;
	void *(*first)(size_t) = load("LIFE_FIRST", "first__alloc", &library);
	void *a = first(7001);
	CHECK(stack_says(7001, "first__alloc"));
	CHECK(dlclose(library) == 0);
	CHECK(stack_says(7001, "[unloaded library]"));
	CHECK(stack_says(7001, "main"));

	void *(*second)(size_t) = load("LIFE_SECOND", "second_alloc", &library);
	/* One of the shim's threads may have had memory there for a moment. */
	for (int i = 0; (void *)second != (void *)first && i < 100; i++) {
		CHECK(dlclose(library) == 0);
		second = load("LIFE_SECOND", "second_alloc", &library);
	}
	if ((void *)second != (void *)first) {
		dprintf(2, "the second library lies elsewhere\n");
		return 77;
	}
	/* The same addresses, but a different stack. */
	void *b = second(7003), *c = second(7001);
	CHECK(stack_says(7003, "second_alloc"));
	CHECK(!stack_says(7003, "[unloaded library]"));
	CHECK(hooks_figures_of(7001).live == 2);
	const char *text = hooks_get("/debug/pprof/cgoheap?debug=1");
	int named = 0;
	while ((text = after_size(text, 7001)) != NULL) {
		const char *end = strstr(text, "\n\n"), *name = strstr(text, "second_alloc");
		named += name && name < end;
		text = end;
	}
	CHECK(named == 1);

	/* The first again: its earlier block belongs to the earlier loading. */
	CHECK(dlclose(library) == 0);
	first = load("LIFE_FIRST", "first__alloc", &library);
	void *d = first(7007);
	CHECK(stack_says(7007, "first__alloc"));
	CHECK(stack_says(7003, "[unloaded library]"));
	free(a), free(b), free(c), free(d);
	EXPECT(7001, 2, 0);

	/* Repeatedly: the table of unloads does not grow. */
	for (int i = 0; i < 3000; i++) {
		CHECK(dlclose(library) == 0);
		first = load("LIFE_FIRST", "first__alloc", &library);
	}
	free(first(7013));
	CHECK(stack_says(7013, "first__alloc"));
	return 0;
}
