/* See seccomp.h. */
#include "base/seccomp.h"

#include <string.h>

#include "base/sys.h"

uint8_t seccomp_seen __attribute__((visibility("hidden")));

#define LINE "\nSeccomp:"

/* The file has 1.5 KiB or more, and the main thread's stack may be short, so read it in parts. */
#define PART_BYTES 512
#define KEPT_BYTES 32 /* of the last part, to find a line that spans two */

enum seccomp_mode seccomp_mode_in(const char *text, size_t bytes)
{
	static const uint8_t modes[] = {SECCOMP_IS_NONE, SECCOMP_IS_STRICT, SECCOMP_IS_FILTER};
	const char *at = memmem(text, bytes, LINE, strlen(LINE)), *end = text + bytes;

	if (!at)
		return SECCOMP_IS_UNKNOWN;
	for (at += strlen(LINE); at < end && (*at == ' ' || *at == '\t'); at++)
		;
	if (at == end || *at < '0' || *at > '2')
		return SECCOMP_IS_UNKNOWN;
	return modes[*at - '0'];
}

static enum seccomp_mode look_at(const char *path)
{
	enum seccomp_mode mode = SECCOMP_IS_UNKNOWN;
	char text[PART_BYTES];
	long fd = sys_open_read(path), n;
	size_t used = 0;

	if (sys_failed(fd))
		return SECCOMP_IS_UNKNOWN;
	while (mode == SECCOMP_IS_UNKNOWN &&
	       (n = sys_read((int)fd, text + used, sizeof(text) - used)) > 0) {
		used += (size_t)n;
		mode = seccomp_mode_in(text, used);
		if (used > KEPT_BYTES) {
			memmove(text, text + used - KEPT_BYTES, KEPT_BYTES);
			used = KEPT_BYTES;
		}
	}
	sys_close((int)fd);
	return mode;
}

/* The stricter of the two: a filter on one thread may be meant for all. */
enum seccomp_mode seccomp_look(void)
{
	enum seccomp_mode process = look_at("/proc/self/status");
	enum seccomp_mode thread = look_at("/proc/thread-self/status");
	enum seccomp_mode mode = process;

	if (thread == SECCOMP_IS_UNKNOWN || process == SECCOMP_IS_UNKNOWN)
		mode = SECCOMP_IS_UNKNOWN;
	if (thread > SECCOMP_IS_NONE)
		mode = thread;
	if (process > mode)
		mode = process;
	STORE(&seccomp_seen, (uint8_t)mode);
	return mode;
}

const char *seccomp_mode_name(void)
{
	static const char *const names[SECCOMP_MODES] = {
		[SECCOMP_IS_UNKNOWN] = "unknown",
		[SECCOMP_IS_NONE] = "none",
		[SECCOMP_IS_FILTER] = "filter",
		[SECCOMP_IS_STRICT] = "strict",
	};
	return names[LOAD(&seccomp_seen)];
}
