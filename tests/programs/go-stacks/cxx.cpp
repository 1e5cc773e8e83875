// Ordinary C++: templates, a namespace, new, and exceptions through frames that
// own objects.
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>

#include "oracle.h"

static volatile int sink;

namespace shapes
{
template <typename T> class Holder
{
      public:
	__attribute__((noinline)) T *fill(size_t n)
	{
		oracle_note(n * sizeof(T));
		T *p = new T[n];
		sink = sink + 1;
		return p;
	}
};

struct Guard {
	std::string text = std::string(100, 'g');
	~Guard()
	{
		sink = sink + 1;
	}
};

[[noreturn]] __attribute__((noinline)) static void fail(int depth)
{
	Guard guard;
	if (depth == 0)
		throw std::runtime_error(std::string(200, 'e'));
	fail(depth - 1);
}
} // namespace shapes

extern "C" {

__attribute__((noinline)) void *cxx_template(size_t n)
{
	void *p = shapes::Holder<short>().fill(n / sizeof(short));
	sink = sink + 1;
	return p;
}

__attribute__((noinline)) void *cxx_catch(size_t n)
{
	void *p = nullptr;
	try {
		shapes::fail(5);
	} catch (const std::exception &) {
		p = shapes::Holder<char>().fill(n);
		sink = sink + 1;
	}
	return p;
}

// The exception passes through the frame that allocated.
__attribute__((noinline)) void *cxx_unwound(size_t n)
{
	void *p = nullptr;
	try {
		p = shapes::Holder<int>().fill(n / sizeof(int));
		shapes::fail(3);
	} catch (const std::exception &) {
		sink = sink + 1;
	}
	return p;
}

int cxx_exceptions(int rounds)
{
	int caught = 0;
	for (int i = 0; i < rounds; i++) {
		try {
			shapes::fail(i % 8);
		} catch (const std::runtime_error &e) {
			caught += std::string(e.what()).size() == 200;
		}
	}
	return caught;
}
}
