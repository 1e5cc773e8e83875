#include "chain.h"

#include "taker.h"

#define NOINLINE __attribute__((noinline))
/* What follows the call keeps it from being a jump, and its frame from vanishing. */
#define NOT_A_TAIL_CALL __asm__ volatile("")

static NOINLINE void grab_deep(size_t size)
{
	taker_record(size, 3, 1);
	NOT_A_TAIL_CALL;
}

int grab(size_t size, int unused)
{
	grab_deep(size);
	NOT_A_TAIL_CALL;
	return unused;
}

/* Inlined below and called through a pointer too: in DWARF such a function has no
 * name of its own, but an abstract origin. */
static int both(size_t size)
{
	taker_record(size, 1, 0);
	NOT_A_TAIL_CALL;
	return (int)size;
}

int (*volatile both_pointer)(size_t) = both;

int both_ways(size_t size)
{
	int sum = both(size + 1) + both_pointer(size);
	NOT_A_TAIL_CALL;
	return sum;
}

int marks(void)
{
	taker_record_marks();
	NOT_A_TAIL_CALL;
	return 0;
}

int grow(size_t size, int count, int freed)
{
	taker_record(size, count, freed);
	NOT_A_TAIL_CALL;
	return 0;
}

/* Code under no symbol, as in a stripped library. */
__asm__(".pushsection .text.nameless, \"ax\", @progbits\n"
	".p2align 4\n"
	".Lnameless: nop\n"
	"ret\n"
	".popsection\n");

int nameless(size_t size)
{
	char *code;
	__asm__("lea .Lnameless(%%rip), %0" : "=r"(code));
	taker_record_address(code + 1, size);
	return 0;
}
