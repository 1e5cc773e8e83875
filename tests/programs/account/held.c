/*
 * A trim that the allocator does not finish. The client waits while others are answered. It is
 * answered when the allocator is done, or told after 10 s that it is not.
 */
#include "account.h"

#include <dlfcn.h>
#include <poll.h>
#include <sys/un.h>

static int *begun, *may_end;

static bool is_answered(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, 0) == 1;
}

/* Returns the socket once the allocator is trimming. */
static int begin_trim(void)
{
	static const char request[] = "POST /v1/trim HTTP/1.0\r\nHost: x\r\n\r\n";
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), so_far = *begun;
	strncpy(a.sun_path, getenv("CGOHEAP_SOCKET"), sizeof(a.sun_path) - 1);
	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(write(fd, request, sizeof(request) - 1) == sizeof(request) - 1);
	while (__atomic_load_n(begun, __ATOMIC_SEQ_CST) == so_far && !is_answered(fd))
		usleep(1000);
	return fd;
}

static const char *answer(int fd)
{
	static char text[1 << 20];
	size_t used = 0;
	ssize_t n;
	while ((n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)n;
	CHECK(n == 0);
	close(fd);
	text[used] = 0;
	return text;
}

static bool says(const char *text, const char *status, const char *what)
{
	return strncmp(text + strlen("HTTP/1.1"), status, strlen(status)) == 0 &&
	       strstr(text, what);
}

static void others_are_answered(void)
{
	CHECK(hooks_status_says("\"pid\":"));
	CHECK(strstr(hooks_get("/metrics"), "cgoheap_rss_bytes"));
	take_account();
	CHECK(strstr(hooks_get("/debug/pprof/cgoheap?debug=1"), "heap profile"));
	/* Another client is told at once to retry. */
	const char *other = answer(begin_trim());
	CHECK(says(other, " 503", "still busy with an earlier call") &&
	      strstr(other, "Retry-After"));
}

static void end_trim(void)
{
	__atomic_store_n(may_end, 1, __ATOMIC_SEQ_CST);
}

/* Also if the client has ended its sending. */
static void answered_when_done(bool ends_sending)
{
	int trim = begin_trim();
	CHECK(!ends_sending || shutdown(trim, SHUT_WR) == 0);
	others_are_answered();
	CHECK(!is_answered(trim));
	end_trim();
	const char *text = answer(trim);
	CHECK(says(text, " 200", "\"what\":\"mi_collect\"}\n"));
	parse_account(strstr(text, "\"before\":{"));
	parse_account(strstr(text, "\"after\":{"));
	CHECK(number_after(text, "released_bytes") ==
	      number_after(strstr(text, "\"before\":{"), "rss_bytes") -
		      number_after(strstr(text, "\"after\":{"), "rss_bytes"));
	*may_end = 0;
}

static void answer_not_awaited(void)
{
	close(begin_trim());
	others_are_answered();
	end_trim();
	const char *text;
	do
		text = answer(begin_trim());
	while (says(text, " 503", "still busy with an earlier call"));
	CHECK(says(text, " 200", "\"what\":"));
	*may_end = 0;
}

static void given_up(void)
{
	CHECK(says(answer(begin_trim()), " 503", "did not answer in 10 s"));
	others_are_answered();
	end_trim();
}

int main(void)
{
	begun = dlsym(RTLD_DEFAULT, "held_begun");
	may_end = dlsym(RTLD_DEFAULT, "held_may_end");
	CHECK(begun && may_end);
	answered_when_done(false);
	answered_when_done(true);
	answer_not_awaited();
	given_up();
	return 0;
}
