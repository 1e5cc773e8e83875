/*
 * The HTTP parser under any bytes at all.
 *
 * For libFuzzer: tools/fuzz.
 * Without clang, -DFUZZ_ROUNDS=N gives it a main that changes a few requests N times:
 * cc -fsanitize=address,undefined -DFUZZ_ROUNDS=1000000 ...
 */
#include <stdlib.h>
#include <string.h>

#include "text/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void use_text(const char *text)
{
	/* A read past the end is what the sanitizer is to find. */
	if (text != NULL && strlen(text) > HTTP_MAX_HEAD_BYTES)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	struct http_request r;
	const char *problem = NULL;
	char *exact = malloc(count + (count == 0));
	memcpy(exact, bytes, count);
	size_t head = count <= HTTP_MAX_HEAD_BYTES ? http_head_bytes(exact, count) : 0;
	if (head > count)
		abort();
	int status = head > 0 ? http_parse(&r, exact, head, &problem) : -1;
	if (status == 0) {
		if (r.path[0] != '/' || problem != NULL || r.param_count > HTTP_MAX_PARAMS)
			abort();
		for (uint32_t i = 0; i < r.param_count; i++) {
			use_text(r.params[i].name);
			use_text(r.params[i].value);
		}
		use_text(r.origin);
		if (r.host != NULL)
			http_host_is_loopback(r.host);
	} else if (status > 0 && problem == NULL) {
		abort();
	}
	free(exact);
	return 0;
}

#ifdef FUZZ_ROUNDS
static const char *const seeds[] = {
	"GET /debug/pprof/cgoheap?seconds=30&debug=1 HTTP/1.1\r\nHost: localhost:6061\r\n\r\n",
	"POST /v1/sampling?state=on&for=10m HTTP/1.1\r\nHost: [::1]\r\nContent-Length: "
	"3\r\n\r\nabc",
	"GET http://127.0.0.1/%2f?a%20=%41 HTTP/1.0\nOrigin: http://localhost\nHost: 127.0.0.1\n\n",
};

int main(void)
{
	srand(1);
	for (long round = 0; round < FUZZ_ROUNDS; round++) {
		uint8_t bytes[256];
		const char *seed = seeds[(size_t)rand() % COUNT_OF(seeds)];
		size_t count = strlen(seed);
		memcpy(bytes, seed, count);
		for (int changes = rand() % 6; changes > 0; changes--) {
			size_t at = (size_t)rand() % count, from = (size_t)rand() % count;
			if (rand() % 2)
				bytes[at] = (uint8_t) "\r\n \t:%?&=/0aH\0\xff"[rand() % 15];
			else
				memmove(bytes + at, bytes + from,
					(count - (at > from ? at : from)));
		}
		LLVMFuzzerTestOneInput(bytes, (size_t)rand() % 8 ? count : (size_t)rand() % count);
	}
	return 0;
}
#endif
