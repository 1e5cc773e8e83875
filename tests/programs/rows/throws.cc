// Frames that catch what the last one throws, and go down again.
#include "rows.h"

namespace
{
volatile int destroyed;

struct Guard {
	~Guard()
	{
		destroyed = destroyed + 1;
	}
};

template <typename T> void NOINLINE again(struct plan *p, T at)
{
	const struct step *s = &p->steps[p->at = at];
	ROWS_CALL(p, s);
}

void NOINLINE catches(struct plan *p)
{
	const struct step *s = &p->steps[p->at];
	const uint32_t at = p->at;
	const int outer = p->may_throw;
	sigjmp_buf *landing = p->landing;

	p->may_throw = 1;
	p->landing = nullptr; // a jump would leave out destructors
	try {
		Guard guard;
		ROWS_CALL(p, s);
		p->may_throw = outer;
	} catch (int) {
		p->may_throw = outer;
		p->landing = nullptr; // of a frame that the exception has left
		again<uint32_t>(p, at);
		ROWS_HERE(107);
	}
	p->landing = landing;
}

void NOINLINE guards(struct plan *p)
{
	const struct step *s = &p->steps[p->at];
	sigjmp_buf *landing = p->landing;
	Guard guard;

	p->landing = nullptr;
	ROWS_CALL(p, s);
	p->landing = landing;
}
} // namespace

extern "C" void rows_throw(void)
{
	throw 1;
}

extern "C" const struct rows_build rows_build_throws;
const struct rows_build rows_build_throws = {"throws", 2, {catches, guards}};
