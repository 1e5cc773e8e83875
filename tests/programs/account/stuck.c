/*
 * A thread holds an arena's lock and is stopped (here, the lock is taken by hand). The account
 * is still answered, without the allocator's figures, and includes them again once the lock is
 * free.
 */
#include "account.h"

static void *own_arena(void *unused)
{
	void *p = malloc(100);
	CHECK(p);
	return p;
	(void)unused;
}

/* malloc/arena.c: a heap starts with its arena's address, an arena with its lock. */
static int *arena_lock(void *block)
{
	uintptr_t heap = (uintptr_t)block & ~((64UL << 20) - 1);
	return *(int **)heap;
}

int main(void)
{
	pthread_t thread;
	void *block;
	CHECK(pthread_create(&thread, NULL, own_arena, NULL) == 0);
	CHECK(pthread_join(thread, &block) == 0);
	int *lock = arena_lock(block);
	CHECK(__atomic_load_n(lock, __ATOMIC_SEQ_CST) == 0);
	CHECK(number_after(hooks_get("/v1/account"), "in_use_bytes") > 0);

	__atomic_store_n(lock, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 2; i++) {
		const char *account = hooks_get("/v1/account");
		CHECK(strstr(account, "\"in_use_bytes\":null"));
		CHECK(strstr(account, "the C allocator did not answer"));
		parse_account(account);
	}
	CHECK(hooks_status_says("\"pid\":"));

	__atomic_store_n(lock, 0, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, lock, 1 /* FUTEX_WAKE */ | 128 /* private */, 1, NULL, NULL, 0);
	while (number_after(hooks_get("/v1/account"), "in_use_bytes") < 0)
		usleep(1000);
	return 0;
}
