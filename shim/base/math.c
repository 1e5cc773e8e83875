/*
 * The functions of <math.h> that the library uses and the compiler does not inline, so that it does
 * not need libm, which an image may lack. Relative error below 1e-14 (unit/math); neither errno nor
 * exceptions are as the standard has them. For the library's threads: hooks use no floating point.
 */
#include <math.h>
#include <string.h>

#include "base/base.h"

#define LN2      0.693147180559945309417
#define LN2_HIGH 0x1.62e42fefa38p-1 /* LN2_HIGH * n is exact for n below 2^11 */
#define LN2_LOW  0x1.ef35793c7673p-45
#define WHOLE    0x1p52 /* from here on a double has no digits behind the point */

static double power_of_two(int n)
{
	uint64_t bits = (uint64_t)(n + 1023) << 52;
	double result;

	memcpy(&result, &bits, sizeof(result));
	return result;
}

/* e^x - 1, for |x| below 0.36: x^17 / 17! is below 2^-72. */
static double small_expm1(double x)
{
	double sum = 1;

	for (int i = 16; i > 1; i--)
		sum = 1 + sum * x / i;
	return x * sum;
}

/* e^r * 2^n, r as above. */
static double scale(double r, int n)
{
	double result = 1 + small_expm1(r);

	/* In two steps, because 2^1024 is no double, and neither is 2^-1075. */
	return result * power_of_two(n / 2) * power_of_two(n - n / 2);
}

static int nearest(double x)
{
	return (int)(x < 0 ? x - 0.5 : x + 0.5);
}

double exp2(double x)
{
	if (!(x > -1080 && x < 1030))
		return x < 0 ? 0 : x * HUGE_VAL;
	int n = nearest(x);
	return scale((x - n) * LN2, n);
}

double expm1(double x)
{
	if (fabs(x) < 0.34)
		return small_expm1(x);
	if (!(x > -40 && x < 710))
		return x < 0 ? -1 : x * HUGE_VAL;
	int n = nearest(x / LN2);
	return scale(x - n * LN2_HIGH - n * LN2_LOW, n) - 1;
}

/* x is this times 2^*e; from 1/2 to 1, of positive x. */
static double fraction(double x, int *e)
{
	uint64_t bits;

	*e = 0;
	if (x < 0x1p-1022) { /* has fewer digits, and another exponent */
		x *= WHOLE;
		*e = -52;
	}
	memcpy(&bits, &x, sizeof(bits));
	*e += (int)(bits >> 52 & 2047) - 1022;
	bits = (bits & ~(UINT64_C(2047) << 52)) | UINT64_C(1022) << 52;
	memcpy(&x, &bits, sizeof(x));
	return x;
}

/* ln(x) = ln(m) + e ln 2, with m from sqrt(1/2) to sqrt(2), and ln(m) = 2 atanh(s): s is below
 * 0.172, and s^25 below 2^-63. */
static double log_parts(double x, int *e)
{
	double m = fraction(x, e);

	if (m < M_SQRT1_2) {
		m *= 2;
		(*e)--;
	}
	double s = (m - 1) / (m + 1), sum = 0;
	for (int i = 23; i > 1; i -= 2)
		sum = (sum + 1.0 / i) * s * s;
	return 2 * s * (1 + sum);
}

static bool has_log(double x)
{
	return x > 0 && x < HUGE_VAL;
}

static double no_log(double x)
{
	return x == 0 ? -HUGE_VAL : x > 0 ? x : (double)NAN;
}

double log2(double x)
{
	int e;

	if (!has_log(x))
		return no_log(x);
	double of_m = log_parts(x, &e);
	return e + of_m / LN2;
}

/* What 1 + x loses of x is in the quotient (W. Kahan). */
double log1p(double x)
{
	double y = 1 + x;
	int e;

	if (y == 1)
		return x;
	if (!has_log(y))
		return no_log(y);
	double of_m = log_parts(y, &e);
	return (of_m + e * LN2) * (x / (y - 1));
}

double ceil(double x)
{
	if (!(fabs(x) < WHOLE))
		return x;
	double down = (double)(int64_t)x;
	return down < x ? down + 1 : down;
}

double fmax(double a, double b)
{
	return a > b || b != b ? a : b;
}
