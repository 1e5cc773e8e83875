package sampling

import "math"

// gammaP is P(a, x), the distribution function of a gamma variable of shape a and scale 1: the
// series below the mean, the continued fraction (Lentz) above (Abramowitz and Stegun 6.5.29 and
// 6.5.31).
func gammaP(a, x float64) float64 {
	if x <= 0 {
		return 0
	}
	if a <= 0 {
		return 1
	}
	lg, _ := math.Lgamma(a)
	front := math.Exp(a*math.Log(x) - x - lg)
	if x < a+1 {
		term := 1 / a
		sum := term
		for n := 1.0; term > sum*1e-15; n++ {
			term *= x / (a + n)
			sum += term
		}
		return sum * front
	}
	const tiny = 1e-300
	b := x + 1 - a
	c, d := 1/tiny, 1/b
	h := d
	for n := 1.0; n < 10000; n++ {
		an := n * (a - n)
		b += 2
		d = an*d + b
		c = b + an/c
		d = 1 / nonzero(d, tiny)
		c = nonzero(c, tiny)
		h *= d * c
		if math.Abs(d*c-1) < 1e-15 {
			break
		}
	}
	return 1 - front*h
}

func nonzero(x, tiny float64) float64 {
	if math.Abs(x) < tiny {
		return tiny
	}
	return x
}

// shifted is a gamma variable that begins at `from`.
type shifted struct{ shape, scale, from float64 }

// withMoments has these cumulants.
func withMoments(mean, variance, third float64) shifted {
	g := shifted{4 * variance * variance * variance / (third * third), third / variance / 2, 0}
	g.from = mean - g.shape*g.scale
	return g
}

func (g shifted) below(x float64) float64 { return gammaP(g.shape, (x-g.from)/g.scale) }

// manyShape: from here on a gamma variable's cube root is normal to more digits than anyone reads
// (Wilson and Hilferty 1931), and the sums above would become long.
const manyShape = 500

func (g shifted) quantile(p float64) float64 {
	c := 1 / (9 * g.shape)
	return g.from + g.scale*g.shape*math.Pow(1-c+normalQuantile(p)*math.Sqrt(c), 3)
}

// midQuantile is where the mean of the distributions of a and b, a below b, reaches p.
func midQuantile(a, b shifted, p float64) float64 {
	if a.shape > manyShape && b.shape > manyShape {
		return (a.quantile(p) + b.quantile(p)) / 2
	}
	at := func(x float64) float64 { return (a.below(x) + b.below(x)) / 2 }
	from, to := min(a.from, b.from), b.from+(b.shape+1)*b.scale
	for at(to) < p {
		to += to - from
	}
	for i := 0; i < 60; i++ {
		if x := (from + to) / 2; at(x) < p {
			from = x
		} else {
			to = x
		}
	}
	return to
}

func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
