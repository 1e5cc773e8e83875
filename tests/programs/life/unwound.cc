// Frames that allocated are left by exceptions, longjmp, pthread_exit and
// cancellation, through the shim's frame in which a thread starts: the frees in
// destructors are recorded.
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include <pthread.h>
#include <unistd.h>

extern "C" {
long long unwound_live(size_t size);
long long unwound_allocs(size_t size);
}

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			dprintf(2, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                 \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

namespace
{

struct held {
	void *p;
	explicit held(size_t n) : p(malloc(n))
	{
	}
	~held()
	{
		free(p);
	}
	held(const held &) = delete;
	held &operator=(const held &) = delete;
};

// C code without destructors: qsort, which calls back into C++.
int throwing_compare(const void *, const void *)
{
	held h(7001);
	throw std::runtime_error("from a callback of C's");
}

int deep(int n, void (*leave)())
{
	held h(7003);
	if (n == 0)
		leave();
	return deep(n - 1, leave) + (h.p != nullptr);
}

jmp_buf back;

void *blocks[64];

int deep_c(int n)
{
	blocks[n] = malloc(7019);
	if (n == 0)
		longjmp(back, 1);
	return deep_c(n - 1) + 1;
}

void exceptions()
{
	for (int i = 0; i < 100; i++) {
		int values[2] = {2, 1};
		try {
			qsort(values, 2, sizeof values[0], throwing_compare);
			CHECK(false);
		} catch (const std::runtime_error &) {
		}
		try {
			deep(i % 40, [] { throw 7; });
			CHECK(false);
		} catch (int seven) {
			CHECK(seven == 7);
		}
	}
}

void jumps()
{
	for (volatile int i = 0; i < 100; i++) {
		if (setjmp(back) == 0)
			deep_c(63);
		for (void *p : blocks)
			free(p);
	}
}

void *exits(void *)
{
	deep(20, [] { pthread_exit(reinterpret_cast<void *>(42)); });
	return nullptr;
}

void *is_cancelled(void *)
{
	deep(20, [] {
		for (;;)
			pause();
	});
	return nullptr;
}

void threads()
{
	for (int i = 0; i < 50; i++) {
		pthread_t thread;
		void *result;
		CHECK(pthread_create(&thread, nullptr, exits, nullptr) == 0);
		CHECK(pthread_join(thread, &result) == 0);
		CHECK(result == reinterpret_cast<void *>(42));
		CHECK(pthread_create(&thread, nullptr, is_cancelled, nullptr) == 0);
		CHECK(pthread_cancel(thread) == 0);
		CHECK(pthread_join(thread, &result) == 0);
		CHECK(result == PTHREAD_CANCELED);
	}
}

} // namespace

int main()
{
	exceptions();
	CHECK(unwound_allocs(7001) >= 100 && unwound_live(7001) == 0);
	jumps();
	CHECK(unwound_allocs(7019) == 6400 && unwound_live(7019) == 0);
	threads();
	CHECK(unwound_allocs(7003) > 50 * 21 && unwound_live(7003) == 0);
	return 0;
}
