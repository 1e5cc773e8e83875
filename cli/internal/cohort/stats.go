package cohort

import "math"

// binomial is k of n.
type binomial struct{ k, n float64 }

func (b binomial) share() float64 {
	if b.n <= 0 {
		return 0
	}
	return min(1, b.k/b.n)
}

// atMost is the share's upper limit with 95 % confidence, of Poisson counts (Wilson and Hilferty
// 1931).
func (b binomial) atMost() float64 {
	k := b.k + 1
	return min(1, k*math.Pow(1-1/(9*k)+1.645/(3*math.Sqrt(k)), 3)/max(b.n, 1e-9))
}

// logLikelihood of a share, without the part that does not depend on it.
func (b binomial) logLikelihood(share float64) float64 {
	return xlog(b.k, share) + xlog(max(0, b.n-b.k), 1-share)
}

func xlog(x, y float64) float64 {
	if x <= 0 {
		return 0
	}
	return x * math.Log(max(y, 1e-300))
}

// ratioTest is the signed root of the likelihood ratio against "the old share is ratio times the
// young one": about standard normal if that is so, large if the old share is higher (Koopman 1984).
func ratioTest(old, young binomial, ratio float64) float64 {
	free := old.logLikelihood(old.share()) + young.logLikelihood(young.share())
	top := min(1, 1/ratio)
	bound := greatest(0, top, func(share float64) float64 {
		return old.logLikelihood(ratio*share) + young.logLikelihood(share)
	})
	return math.Copysign(math.Sqrt(max(0, 2*(free-bound))), old.share()-ratio*young.share())
}

// greatest value of a concave function, by golden sections.
func greatest(low, high float64, of func(float64) float64) float64 {
	const golden = 0.6180339887498949
	a, b := high-golden*(high-low), low+golden*(high-low)
	fa, fb := of(a), of(b)
	for range 60 {
		if fa < fb {
			low, a, fa = a, b, fb
			b = low + golden*(high-low)
			fb = of(b)
		} else {
			high, b, fb = b, a, fa
			a = high - golden*(high-low)
			fa = of(a)
		}
	}
	return max(fa, fb, of(low), of(high))
}

// fewer is the same for counts of two times: large if there are fewer than ratio times as many in
// the recent one as the old one's rate makes expect.
func fewer(recent, recentTime, old, oldTime, ratio float64) float64 {
	total := recent + old
	expected := ratio * recentTime / (ratio*recentTime + oldTime) // of total, the recent share
	b := binomial{recent, total}
	if total <= 0 || b.share() >= expected {
		return 0
	}
	return math.Sqrt(max(0, 2*(b.logLikelihood(b.share())-b.logLikelihood(expected))))
}

// normal is the standard normal distribution function.
func normal(z float64) float64 { return 0.5 * math.Erfc(-z/math.Sqrt2) }
