// A C++ program under the shim: exceptions cross frames that allocated, and the
// unwinder is still libgcc_s's, not the shim's.
#include <dlfcn.h>
#include <stdexcept>
#include <string>
#include <vector>

#include <cstdio>
#include <cstring>
#include <unistd.h>

static int depth(int n)
{
	std::vector<std::string> held(3, std::string(1000, 'x'));
	if (n == 0)
		throw std::runtime_error(std::string(500, 'y'));
	return depth(n - 1) + static_cast<int>(held.size());
}

static bool is_libgcc(const char *name)
{
	Dl_info info;
	void *p = dlsym(RTLD_DEFAULT, name);
	if (p && dladdr(p, &info) && strstr(info.dli_fname, "libgcc_s"))
		return true;
	dprintf(2, "%s comes from %s\n", name, p ? info.dli_fname : "nowhere");
	return false;
}

int main()
{
	for (int i = 0; i < 200; i++) {
		try {
			depth(i % 30);
			return 1;
		} catch (const std::runtime_error &e) {
			if (strlen(e.what()) != 500)
				return 1;
		}
	}
	try {
		std::vector<char> v;
		v.reserve(static_cast<size_t>(-1));
		return 1;
	} catch (const std::exception &) {
	}
	for (const char *name : {"_Unwind_RaiseException", "_Unwind_Resume", "_Unwind_Backtrace"})
		if (!is_libgcc(name))
			return 1;
	return 0;
}
