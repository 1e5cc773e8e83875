/* Inlined from two files, two deep. */
static inline __attribute__((always_inline)) void *take(unsigned long n)
{
	void *p = malloc(n);
	if (!p)
		abort();
	return p;
}

static inline __attribute__((always_inline)) void *take_twice(unsigned long n)
{
	free(take(n));
	return take(n + 1);
}
