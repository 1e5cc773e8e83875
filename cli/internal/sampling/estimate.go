package sampling

import "math"

// part sums what blocks stand for, by the formulas of Horvitz and Thompson (1952): a block of y
// that was sampled with probability p stands for y/p, of which y is certain, and adds
// y^2 (1-p) / p^2 to the variance.
type part struct {
	value    float64 // sum of y/p
	seen     float64 // sum of y
	variance float64
	third    float64 // sum of the third cumulants: how lopsided it is
	doubt    float64 // sum of (1-p) variance: how far from certain what makes the variance is
}

func (p part) plus(q part) part {
	return part{p.value + q.value, p.seen + q.seen, p.variance + q.variance, p.third + q.third,
		p.doubt + q.doubt}
}

// scaled changes the unit that all is in; times counts more or fewer blocks.
func (p part) scaled(f float64) part {
	return part{p.value * f, p.seen * f, p.variance * f * f, p.third * f * f * f, p.doubt * f * f}
}

func (p part) times(f float64) part {
	return part{p.value * f, p.seen * f, p.variance * f, p.third * f, p.doubt * f}
}

// Estimate is one value of a sample, of a stack or of a whole profile.  It is what was gained less
// what was lost, each a sum of sampled blocks; only growth has lost any.
type Estimate struct {
	gained, lost part
	unit         float64 // what one more sample may stand for; 0: nothing goes unseen
	isDifference bool    // something may have been lost, seen or unseen
}

// Value is the figure itself.
func (e Estimate) Value() float64 { return e.gained.value - e.lost.value }

// Variance of the figure.
func (e Estimate) Variance() float64 { return e.gained.variance + e.lost.variance }

// StandardError is the root of the variance; 0: every block was recorded.
func (e Estimate) StandardError() float64 { return math.Sqrt(e.Variance()) }

// Plus sums estimates of different blocks.
func (e Estimate) Plus(o Estimate) Estimate {
	return Estimate{e.gained.plus(o.gained), e.lost.plus(o.lost), e.largerUnit(o),
		e.isDifference || o.isDifference}
}

// Minus is the difference of two estimates that share no block.
func (e Estimate) Minus(o Estimate) Estimate {
	return Estimate{e.gained.plus(o.lost), e.lost.plus(o.gained), e.largerUnit(o), true}
}

// largerUnit: of what was not sampled at all, there is likely to be none.
func (e Estimate) largerUnit(o Estimate) float64 {
	switch isEmpty := e.isEmpty(); {
	case isEmpty == o.isEmpty():
		return max(e.unit, o.unit)
	case isEmpty:
		return o.unit
	}
	return e.unit
}

func (e Estimate) isEmpty() bool { return e.gained == (part{}) && e.lost == (part{}) }

// Times scales an estimate.
func (e Estimate) Times(factor float64) Estimate {
	return Estimate{e.gained.scaled(factor), e.lost.scaled(factor), e.unit * factor, e.isDifference}
}

// Most is the largest change that these samples could show: all that came or went had come.
func (e Estimate) Most() Estimate {
	return Estimate{gained: e.gained.plus(e.lost), unit: e.unit, isDifference: e.isDifference}
}

// Excludes says whether 0 is outside of the interval for sure.
func (e Estimate) Excludes(confidence float64) bool {
	low, high := e.SureInterval(confidence)
	return low > 0 || high < 0
}

// BetweenLooks is the standard error that the difference of two looks at one process has at most.
// Blocks that live in both were sampled once and cancel: how many do, totals do not tell, and
// profiles do (Grown).
func BetweenLooks(before, after float64) float64 { return math.Hypot(before, after) }

// Interval is where the truth lies with this confidence (0.95).  Few samples make it lopsided: no
// normal distribution is assumed.  The interval of a difference is put together from those of its
// halves by MOVER (Zou and Donner 2008): of a half without samples something may be unseen.
func (e Estimate) Interval(confidence float64) (low, high float64) {
	return e.limits(confidence, false)
}

// SureInterval is for a decision: it covers the truth at least that often however few samples there
// are, where Interval does so on average.
func (e Estimate) SureInterval(confidence float64) (low, high float64) {
	return e.limits(confidence, true)
}

func (e Estimate) limits(confidence float64, isSure bool) (low, high float64) {
	low, high = e.gained.interval(confidence, e.unit, isSure)
	if !e.isDifference {
		return low, high
	}
	gained, lost := e.gained.value, e.lost.value
	lostLow, lostHigh := e.lost.interval(confidence, e.unit, isSure)
	d := gained - lost
	return d - math.Hypot(gained-low, lostHigh-lost), d + math.Hypot(high-gained, lost-lostLow)
}

// interval: what was sampled exists, so only the unseen rest is uncertain.  Of blocks of one size,
// the number of those that there must be for k to be sampled is negative binomial, as it is gamma
// for a Poisson count (Garwood 1936).  The gamma distribution with the mean, the variance and
// the third moment of the rest stands for both, and for sums of unequal blocks too (Fay and Feuer
// 1997).  The limits are the mid-p ones, from the mean of the distributions for what was sampled
// and for one sample more (Fay and Kim 2017), because without mid-p they cover far too much if
// there are few samples.  Half a block is subtracted because blocks are whole.
// isSure: the limits without mid-p.
func (p part) interval(confidence, unit float64, isSure bool) (low, high float64) {
	tail := (1 - confidence) / 2
	if p.variance <= 0 {
		if p.value > 0 || unit <= 0 {
			return p.value, p.value
		}
		none, one := shifted{shape: 0, scale: unit}, shifted{shape: 1, scale: unit}
		if isSure {
			none = one
		}
		return 0, midQuantile(none, one, 1-tail)
	}
	rest, missed := p.value-p.seen, p.doubt/p.variance
	each := p.variance / rest // what a sampled block stands for
	half := each * (1 - missed) / 2
	if each < unit {
		each, missed = unit, 1
	}
	less := withMoments(rest, p.variance, p.third)
	more := withMoments(rest+each, p.variance+each*each*missed,
		p.third+each*each*each*missed*(1+missed))
	limit := func(from, to shifted, at float64) float64 {
		return p.seen + max(0, midQuantile(from, to, at)-half)
	}
	if isSure {
		return limit(less, less, tail), limit(more, more, 1-tail)
	}
	return limit(less, more, tail), limit(less, more, 1-tail)
}
