/* For C++ programs, which cannot include hooks.h. */
#include "../hooks/hooks.h"

long long unwound_live(size_t size);
long long unwound_allocs(size_t size);

long long unwound_live(size_t size)
{
	return hooks_figures_of(size).live;
}

long long unwound_allocs(size_t size)
{
	return hooks_figures_of(size).allocs;
}
