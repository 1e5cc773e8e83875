package sampling

import "math"

// part sums what blocks stand for, by the formulas of Horvitz and Thompson (1952): a block of y
// that was sampled with probability p stands for y/p, of which y is certain, and adds
// y^2 (1-p) / p^2 to the variance.
type part struct {
	value    float64 // sum of y/p
	seen     float64 // sum of y
	unseen   float64 // sum of y/p - y
	variance float64
	third    float64 // sum of the third cumulants: how lopsided it is
	doubt    float64 // sum of (1-p) variance: how far from certain what makes the variance is
}

func (p part) plus(q part) part {
	return part{p.value + q.value, p.seen + q.seen, p.unseen + q.unseen, p.variance + q.variance,
		p.third + q.third, p.doubt + q.doubt}
}

// scaled changes the unit that all is in; times counts more or fewer blocks.
func (p part) scaled(f float64) part {
	p = p.times(f)
	p.variance *= f
	p.third *= f * f
	p.doubt *= f
	return p
}

func (p part) times(f float64) part {
	return part{p.value * f, p.seen * f, p.unseen * f, p.variance * f, p.third * f, p.doubt * f}
}

// Estimate is one value of a sample, of a stack or of a whole profile.  It is what was gained less
// what was lost, each a sum of sampled blocks; only growth has lost any.
type Estimate struct {
	gained, lost part
	next         next
	isDifference bool // something may have been lost, seen or unseen
}

// next is how many unsampled blocks, or bytes, one more sample may stand for.  0: nothing goes
// unseen.
type next struct {
	most      float64 // of those that were sampled
	sum, rows float64 // of those that were allocated, none of which in use was sampled
}

func (n next) plus(o next) next {
	return next{max(n.most, o.most), n.sum + o.sum, n.rows + o.rows}
}

// idle is of those that went unseen: of many sizes, the smallest need not be the one that did.
func (n next) idle() float64 { return n.sum / max(n.rows, 1) }

// unseen is the most of which no sample may tell.
func (n next) unseen(tail float64, isSure bool) float64 {
	unit := max(n.most, n.idle())
	if unit <= 0 {
		return 0
	}
	none, one := shifted{shape: 0, scale: unit}, shifted{shape: 1, scale: unit}
	if isSure {
		none = one
	}
	return midQuantile(none, one, 1-tail)
}

// Value is the figure itself.
func (e Estimate) Value() float64 { return e.gained.value - e.lost.value }

// Variance of the figure.
func (e Estimate) Variance() float64 { return e.gained.variance + e.lost.variance }

// StandardError is the root of the variance; 0: every block was recorded.
func (e Estimate) StandardError() float64 { return math.Sqrt(e.Variance()) }

// Plus sums estimates of different blocks.
func (e Estimate) Plus(o Estimate) Estimate {
	return Estimate{e.gained.plus(o.gained), e.lost.plus(o.lost), e.next.plus(o.next),
		e.isDifference || o.isDifference}
}

// Minus is the difference of two estimates that share no block.
func (e Estimate) Minus(o Estimate) Estimate {
	return Estimate{e.gained.plus(o.lost), e.lost.plus(o.gained), e.next.plus(o.next), true}
}

// Times scales an estimate.
func (e Estimate) Times(factor float64) Estimate {
	next := next{e.next.most * factor, e.next.sum * factor, e.next.rows}
	return Estimate{e.gained.scaled(factor), e.lost.scaled(factor), next, e.isDifference}
}

// Most is the largest change that these samples could show: all that came or went had come.
func (e Estimate) Most() Estimate {
	return Estimate{gained: e.gained.plus(e.lost), next: e.next, isDifference: e.isDifference}
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
	low, high = e.gained.interval(confidence, e.next, isSure)
	if !e.isDifference {
		return low, high
	}
	gained, lost := e.gained.value, e.lost.value
	lostLow, lostHigh := e.lost.interval(confidence, e.next, isSure)
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
func (p part) interval(confidence float64, next next, isSure bool) (low, high float64) {
	tail := (1 - confidence) / 2
	if p.variance <= 0 {
		return p.value, p.value + next.unseen(tail, isSure)
	}
	missed := p.doubt / p.variance
	each := p.variance / p.unseen // what a sampled block stands for
	half := each * (1 - missed) / 2
	if unit := next.idle(); each*missed < unit {
		each, missed = unit, 1
	} else if each < next.most {
		each, missed = next.most, 1
	} else if none := math.Exp(-p.unseen / each); none*(1+math.Exp(-missed))/2 > 1-tail && !isSure {
		return p.seen, p.value
	}
	less := withMoments(p.unseen, p.variance, p.third)
	more := withMoments(p.unseen+each, p.variance+each*each*missed,
		p.third+each*each*each*missed*(1+missed))
	limit := func(from, to shifted, at float64) float64 {
		return p.seen + max(0, midQuantile(from, to, at)-half)
	}
	if isSure {
		return limit(less, less, tail), max(p.value, limit(more, more, 1-tail))
	}
	return limit(less, more, tail), max(p.value, limit(less, more, 1-tail))
}
