/* jemalloc under a private name, as far as cgoheap calls it: its figures are in the account. */
#include "account.h"

static int answer(const char *name, void *out, size_t *bytes, size_t value)
{
	static const char version[] = "5.3.0-0-g54eaed1d8b56b1aa528be3bdd1877e59c56fa90c";
	const char *text = version;
	if (strcmp(name, "epoch") == 0)
		return out ? EINVAL : 0;
	CHECK(*bytes == 8);
	if (strcmp(name, "version") == 0)
		memcpy(out, &text, 8);
	else if (strcmp(name, "stats.allocated") == 0)
		memcpy(out, &value, 8);
	else if (strcmp(name, "stats.resident") == 0)
		memcpy(out, &(size_t){3 * value}, 8);
	else
		return ENOENT; /* built without the rest */
	return 0;
}

int duck_je_mallctl(const char *, void *, size_t *, void *, size_t);
int duck_je_mallctlnametomib(const char *, size_t *, size_t *);
int odd_mallctl(const char *, void *, size_t *, void *, size_t);
int odd_mallctlnametomib(const char *, size_t *, size_t *);
int no_mallctl(void);
int _cgo_0123_Cfunc_duck_je_mallctl(void *);
int _cgo_0123_Cfunc_duck_je_mallctlnametomib(void *);

int duck_je_mallctl(const char *name, void *out, size_t *bytes, void *in, size_t in_bytes)
{
	(void)in, (void)in_bytes;
	return answer(name, out, bytes, 11 * MIB);
}

int duck_je_mallctlnametomib(const char *name, size_t *mib, size_t *length)
{
	return !(name && mib && length);
}

/* Has the right names, but returns errors. */
int odd_mallctl(const char *name, void *out, size_t *bytes, void *in, size_t in_bytes)
{
	return name && out && bytes && in && in_bytes ? 0 : EINVAL;
}

int odd_mallctlnametomib(const char *name, size_t *mib, size_t *length)
{
	return !(name && mib && length);
}

/* Not in that family: never called. */
int no_mallctl(void)
{
	dprintf(2, "no_mallctl was called\n");
	_exit(1);
}

/* Named as cgo names its wrappers, which take other arguments and end in the names above. */
int _cgo_0123_Cfunc_duck_je_mallctl(void *arguments)
{
	dprintf(2, "cgo's wrapper was called, %p\n", arguments);
	_exit(1);
}

int _cgo_0123_Cfunc_duck_je_mallctlnametomib(void *arguments)
{
	return _cgo_0123_Cfunc_duck_je_mallctl(arguments);
}

int main(void)
{
	const char *json = hooks_get("/v1/account");
	const char *list = strstr(json, "\"private_allocators\":["), *duck, *odd;
	CHECK(list && (duck = strstr(list, "\"prefix\":\"duck_je_\"")) != NULL);
	CHECK((odd = strstr(list, "\"prefix\":\"odd_\"")) != NULL);
	CHECK(number_after(duck, "in_use_bytes") == 11 * MIB);
	CHECK(number_after(duck, "resident_bytes") == 33 * MIB);
	CHECK(number_after(duck, "metadata_bytes") == -1);
	CHECK(number_after(odd, "in_use_bytes") == -1);
	CHECK(!strstr(json, "\"prefix\":\"no_\"") && !strstr(json, "\"prefix\":\"_cgo"));
	return 0;
}
