/* The library of test_dynsym.c: definitions of each kind. Linked to an address that wraps, as the
 * vDSO was until Linux 3.15. */
#define EXPORTED __attribute__((visibility("default")))

#define FUNCTION(n)                                                                                \
	EXPORTED int found_##n(void);                                                              \
	int found_##n(void)                                                                        \
	{                                                                                          \
		return n;                                                                          \
	}
#define TEN(n)                                                                                     \
	FUNCTION(n##0)                                                                             \
	FUNCTION(n##1)                                                                             \
	FUNCTION(n##2)                                                                             \
	FUNCTION(n##3)                                                                             \
	FUNCTION(n##4)                                                                             \
	FUNCTION(n##5)                                                                             \
	FUNCTION(n##6)                                                                             \
	FUNCTION(n##7)                                                                             \
	FUNCTION(n##8)                                                                             \
	FUNCTION(n##9)
TEN(1)
TEN(2)
TEN(3)
TEN(4)

EXPORTED int found_data = 1;

/* Without a type, as in assembly. */
__asm__(".text\n.globl found_untyped\nfound_untyped: ret");

static int chosen(void)
{
	return 43;
}
static int (*choose(void))(void)
{
	return chosen;
}
EXPORTED int found_chosen(void) __attribute__((ifunc("choose")));
