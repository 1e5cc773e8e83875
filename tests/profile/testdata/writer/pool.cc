#include "chain.h"
#include "taker.h"

namespace ns
{
struct Pool {
	template <class T> int take(size_t size);
};

template <class T> __attribute__((noinline)) int Pool::take(size_t size)
{
	taker_record(size, 1, 0);
	__asm__ volatile("");
	return 1;
}
} // namespace ns

int pool_grab(size_t size)
{
	ns::Pool pool;
	int n = pool.take<int>(size);
	__asm__ volatile("");
	return n;
}
