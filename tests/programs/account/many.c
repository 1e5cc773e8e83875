/*
 * More mappings than a small shim memory can describe: the account is complete, says that it is
 * not, or is refused with the remedy, and the program keeps running.
 */
#include "account.h"

#define COUNT 30000

static bool is_refused(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	static const char request[] = "GET /v1/account HTTP/1.0\r\nHost: x\r\n\r\n";
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[4096];
	size_t used = 0;
	ssize_t n;

	strncpy(a.sun_path, getenv("CGOHEAP_SOCKET"), sizeof(a.sun_path) - 1);
	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(write(fd, request, sizeof(request) - 1) == sizeof(request) - 1);
	while ((n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)n;
	close(fd);
	text[used] = 0;
	if (strncmp(text + 8, " 503", 4) != 0)
		return false;
	CHECK(strstr(text, "raise CGOHEAP_MAX_MEMORY"));
	return true;
}

int main(void)
{
	char *p = mmap(NULL, 2L * COUNT * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	CHECK(p != MAP_FAILED);
	for (long i = 0; i < COUNT; i++) {
		p[2 * i * PAGE] = 1;
		CHECK(mprotect(p + (2 * i + 1) * PAGE, PAGE, PROT_READ) == 0);
	}
	if (!is_refused()) {
		const char *json = hooks_get("/v1/account");
		struct seen s = parse_account(json);
		long long seen = s.owner[C_MMAP] + s.owner[UNTRACKED_MMAP];
		CHECK(number_after(json, "mappings") > 2 * COUNT);
		CHECK(llabs(seen - COUNT * (long long)PAGE) < MIB);
		CHECK(s.owner[C_MMAP] > COUNT * (long long)PAGE / 100 * 98 ||
		      strstr(json, "ran out") || strstr(json, "the table of mappings was full"));
	}
	CHECK(hooks_status_says("\"pid\":"));
	return 0;
}
