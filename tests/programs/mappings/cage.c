/*
 * A 1 GiB cage, reserved and then committed piece by piece, as V8, wasm runtimes and private
 * allocators do: usable memory counts at the code that made it usable.
 */
#include "mappings.h"

#define CAGE   ((size_t)1 << 30)
#define PIECE  (64 * 1024ul)
#define PIECES 512

static NOINLINE char *reserve(void)
{
	char *p = mmap(NULL, CAGE, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

static NOINLINE void commit_by_protecting(char *p)
{
	CHECK(mprotect(p, PIECE, RW) == 0);
}

static NOINLINE void commit_by_mapping(char *p)
{
	CHECK(mmap(p, PIECE, RW, ANON | MAP_FIXED, -1, 0) == p);
}

static NOINLINE void decommit_by_protecting(char *p)
{
	CHECK(mprotect(p, PIECE, PROT_NONE) == 0);
}

static NOINLINE void decommit_by_mapping(char *p)
{
	CHECK(mmap(p, PIECE, PROT_NONE, ANON | MAP_FIXED | MAP_NORESERVE, -1, 0) == p);
}

int main(void)
{
	char *cage = reserve();

	IN_USE("mmap", NULL, 0, 0);
	for (size_t i = 0; i < PIECES; i++) {
		commit_by_protecting(cage + 4 * i * PIECE);
		commit_by_mapping(cage + (4 * i + 1) * PIECE);
		memset(cage + 4 * i * PIECE, 1, 2 * PIECE);
	}
	IN_USE("mmap", "commit_by_protecting", PIECES, PIECES * PIECE);
	IN_USE("mmap", "commit_by_mapping", PIECES, PIECES * PIECE);
	IN_USE("mmap", "reserve", 0, 0);
	for (size_t i = 0; i < PIECES; i += 2) {
		decommit_by_mapping(cage + 4 * i * PIECE);
		decommit_by_protecting(cage + (4 * i + 1) * PIECE);
	}
	IN_USE("mmap", "commit_by_protecting", PIECES / 2, PIECES / 2 * PIECE);
	IN_USE("mmap", "commit_by_mapping", PIECES / 2, PIECES / 2 * PIECE);
	for (size_t i = 0; i < PIECES; i += 2) {
		commit_by_protecting(cage + 4 * i * PIECE);
		commit_by_mapping(cage + (4 * i + 1) * PIECE);
	}
	IN_USE("mmap", NULL, 2 * PIECES, 2 * PIECES * PIECE);
	/* One call for all of it is one object. */
	CHECK(mprotect(cage, CAGE, RW) == 0);
	IN_USE("mmap", NULL, 2 * PIECES + 1, CAGE);
	CHECK(munmap(cage, CAGE) == 0);
	IN_USE("mmap", NULL, 0, 0);
	return 0;
}
