/*
 * With jemalloc behind malloc: of equal blocks one in eight stays, spread over all slabs, so that
 * what was freed stays with them; others of that size fill their slabs. By its query, or where few
 * samples are, by sizes.
 */
#include "account.h"

#include <math.h>

enum { COUNT = 120000, EACH = 8, REGION = 896 };
static char *blocks[COUNT], *others[COUNT / EACH];

#define NOINLINE __attribute__((noinline))
/* Public, so that their names are found; what follows malloc keeps the frame. */
char *NOINLINE hold(void)
{
	return memset(malloc(800), 1, 800);
}
char *NOINLINE hold_full_slabs(void)
{
	return memset(malloc(800), 1, 800);
}
static char *fill(void)
{
	return memset(malloc(800), 1, 800);
}

/* "bytes" of the stack that has the function; 0: there is none. */
static double bytes_of(const char *by, const char *quoted)
{
	const char *found = strstr(by, quoted);
	if (!found)
		return 0;
	while (strncmp(found, "{\"bytes\":", 9) != 0)
		found--;
	return atof(found + 9);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	for (int i = 0; i < COUNT / EACH; i++)
		others[i] = hold_full_slabs();
	for (int i = 0; i < COUNT; i++)
		blocks[i] = i % EACH ? fill() : hold();
	for (int i = 0; i < COUNT; i++)
		if (i % EACH)
			free(blocks[i]);
	const char *kept = strstr(fresh_account(), "\"c_retained_kept\":");
	const char *by = strstr(kept, "\"pinned_by\":{\"method\":");
	double truth = (double)REGION * (COUNT - COUNT / EACH);
	double pinned = (double)number_after(kept, "pinned_bytes");
	bool is_right = by && fabs(pinned - truth) < truth / 20;
	if (is_right) {
		double error = (double)number_after(by, "standard_error_bytes");
		double said = bytes_of(by, "\"hold\""), other = bytes_of(by, "\"hold_full_slabs\"");
		is_right = strncmp(strchr(by, '{') + 11, argv[1], strlen(argv[1])) == 0 &&
			   fabs(said - truth) < truth / 20 + 6 * error && other < truth / 20;
	}
	if (is_right)
		return 0;
	dprintf(2, "true are %.0f; %.1500s\n", truth, kept);
	return 1;
}
