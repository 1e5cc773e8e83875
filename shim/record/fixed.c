/* See fixed.h. "n.m" means n bits before the point and m after it. */
#include "record/fixed.h"

typedef unsigned __int128 wide;

#define ONE_63   (UINT64_C(1) << 63) /* 1 as 1.63 */
#define LN2_64   UINT64_C(0xb17217f7d1cf79ac)
#define SQRT2_63 UINT64_C(0xb504f333f9de6484)

/* The upper half of the 64.64 product. */
static uint64_t high(uint64_t a, uint64_t b)
{
	return (uint64_t)((wide)a * b >> 64);
}

/* 1/n as 0.64 */
#define PART(n) (UINT64_MAX / (n))

/*
 * 2 atanh(s) = ln((1 + s) / (1 - s)) as 1.63, s as 0.64 and below 0.172 (3 - 2 sqrt 2): s^25
 * is below 2^-63.
 */
static uint64_t twice_atanh(uint64_t s)
{
	uint64_t t = high(s, s), sum = PART(23);

	sum = PART(21) + high(t, sum);
	sum = PART(19) + high(t, sum);
	sum = PART(17) + high(t, sum);
	sum = PART(15) + high(t, sum);
	sum = PART(13) + high(t, sum);
	sum = PART(11) + high(t, sum);
	sum = PART(9) + high(t, sum);
	sum = PART(7) + high(t, sum);
	sum = PART(5) + high(t, sum);
	sum = PART(3) + high(t, sum);
	return s + high(s, high(t, sum));
}

/* -ln(n / 2^64) as 7.57 (at most 44.4), n not 0. */
static uint64_t minus_log(uint64_t n)
{
	unsigned shift = (unsigned)__builtin_clzl(n);
	uint64_t x = n << shift; /* in [1, 2) as 1.63 */
	/* n / 2^64 = x / 2^(shift + 1), x a little above 1; or (x / 2) / 2^shift, that below. */
	bool is_above = x < SQRT2_63;
	uint64_t part = is_above ? x - ONE_63 : -x;
	uint64_t whole = (x >> 1) + (is_above ? ONE_63 >> 1 : ONE_63);
	uint64_t rest = twice_atanh((uint64_t)(((wide)part << 63) / whole)) >> 6;
	uint64_t twos = (uint64_t)((wide)LN2_64 * (shift + is_above) >> 7);

	return is_above ? twos - rest : twos + rest;
}

uint64_t fixed_exponential(uint64_t random, uint32_t interval)
{
	wide bytes;

	if (random == UINT64_MAX) /* -ln(1) */
		return 1;
	bytes = (wide)minus_log(random + 1) * interval;
	bytes = (bytes + ((UINT64_C(1) << 57) - 1)) >> 57;
	return bytes ? (uint64_t)bytes : 1;
}

/*
 * (1 - e^-r) / r = 1 - r/2! + r^2/3! - ... as 1.63, r as 0.64 and below ln 2: the
 * term in r^15 is below 2^-52.
 */
#define TERM(product) (ONE_63 / (product))
static uint64_t rise_per_r(uint64_t r)
{
	uint64_t sum = TERM(UINT64_C(1307674368000)); /* 15! */

	sum = TERM(UINT64_C(87178291200)) - high(r, sum);
	sum = TERM(UINT64_C(6227020800)) - high(r, sum);
	sum = TERM(UINT64_C(479001600)) - high(r, sum);
	sum = TERM(UINT64_C(39916800)) - high(r, sum);
	sum = TERM(UINT64_C(3628800)) - high(r, sum);
	sum = TERM(UINT64_C(362880)) - high(r, sum);
	sum = TERM(UINT64_C(40320)) - high(r, sum);
	sum = TERM(UINT64_C(5040)) - high(r, sum);
	sum = TERM(UINT64_C(720)) - high(r, sum);
	sum = TERM(UINT64_C(120)) - high(r, sum);
	sum = TERM(UINT64_C(24)) - high(r, sum);
	sum = TERM(UINT64_C(6)) - high(r, sum);
	sum = TERM(UINT64_C(2)) - high(r, sum);
	return ONE_63 - high(r, sum);
}

/*
 * x / (1 - e^-x) as 7.57, x = size / interval as 7.57: how many intervals' worth of
 * bytes a sampled block stands for.  x = k ln 2 + r, so that e^-x = 2^-k e^-r; where
 * k is 0 the x cancels, and nothing is lost however small it is.
 */
static uint64_t intervals_worth(uint64_t x)
{
	uint64_t k = x / (LN2_64 >> 7);
	uint64_t r = (uint64_t)(((wide)x << 7) - (wide)LN2_64 * k);
	uint64_t per_r = rise_per_r(r), fallen;

	if (k == 0)
		return (uint64_t)(((wide)1 << 120) / per_r);
	fallen = (ONE_63 - high(r, per_r)) >> k; /* e^-x as 1.63 */
	return (uint64_t)(((wide)x << 63) / (ONE_63 - fallen));
}

struct weight fixed_weight(uint64_t size, uint32_t interval)
{
	uint64_t worth = intervals_worth((uint64_t)(((wide)size << 57) / interval));
	wide bytes = (wide)worth * interval; /* with 57 bits behind the point */

	return (struct weight){
		.objects_fx = (uint64_t)(((bytes >> (56 - WEIGHT_OBJECT_BITS)) / size + 1) >> 1),
		.bytes_fx = (uint64_t)(((bytes >> (56 - WEIGHT_BYTE_BITS)) + 1) >> 1),
	};
}
