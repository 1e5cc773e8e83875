/*
 * A host that changes its surroundings after its start: it changes directory (and removes it),
 * calls chroot, and drops its user. Sampling continues, and clients that were there before are
 * answered.
 */
#include <grp.h>
#include <pthread.h>

#include "life.h"

#define NOBODY 65534

static void allocate(struct hooks_figures *want, void **block)
{
	*block = malloc(7919);
	want->allocs++;
	want->live++;
}

static void compare(const struct life_client *client, const struct hooks_figures *want)
{
	struct hooks_figures f = life_client_ask(client, 7919);
	if (f.live != want->live || f.allocs != want->allocs) {
		dprintf(2, "%lld live of %lld, want %lld of %lld\n", f.live, f.allocs, want->live,
			want->allocs);
		_exit(1);
	}
}

/* glibc's setuid makes every thread change, and waits for it. */
static void *idle(void *stop)
{
	while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED))
		free(realloc(malloc(64), 128));
	return NULL;
}

int main(int argc, char **argv)
{
	struct hooks_figures want = {0};
	void *blocks[4];
	int stop = 0;
	pthread_t thread;
	bool is_root = getuid() == 0;

	if (argc > 1 && strcmp(argv[1], "root") == 0 && !is_root) {
		dprintf(2, "only root may chroot and become another user\n");
		return 77;
	}
	struct life_client client = life_client_start();
	CHECK(pthread_create(&thread, NULL, idle, &stop) == 0);
	allocate(&want, &blocks[0]);
	compare(&client, &want);

	char dir[] = "/tmp/cgoheap-life-XXXXXX";
	CHECK(mkdtemp(dir) && chdir(dir) == 0);
	if (argc > 1 && strcmp(argv[1], "root") == 0)
		CHECK(chroot(".") == 0);
	else
		CHECK(rmdir(dir) == 0);
	allocate(&want, &blocks[1]);
	compare(&client, &want);

	if (argc > 1 && strcmp(argv[1], "root") == 0) {
		CHECK(setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
		CHECK(getuid() == NOBODY);
		allocate(&want, &blocks[2]);
		compare(&client, &want);
		free(blocks[2]);
		want.live--;
	}
	free(blocks[0]), free(blocks[1]);
	want.live -= 2;
	compare(&client, &want);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	CHECK(pthread_join(thread, NULL) == 0);
	life_client_end(&client);
	return 0; /* the name is outside the new root: run.sh removes it */
}
