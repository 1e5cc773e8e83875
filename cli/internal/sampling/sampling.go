// Package sampling knows how far a profile's figures may be off because only some blocks were
// sampled.
//
// A block of s bytes is sampled with probability p = 1 - e^(-s/T), T the interval, independently of
// all others, and stands for 1/p blocks.  So the variance of a sample's values follows from the
// values themselves, its label "bytes" (s) and T.  T is the profile's period, unless the interval
// changed while the process ran: then a comment of the library's says which intervals are in it.
package sampling

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"
)

// Figure is one of a heap profile's values.
type Figure int

// The figures, in the order of a heap profile's sample types.
const (
	AllocObjects Figure = iota
	AllocBytes
	InUseObjects
	InUseBytes
	figures
)

var typeNames = [figures]string{"alloc_objects", "alloc_space", "inuse_objects", "inuse_space"}

// String is the sample type's name.
func (f Figure) String() string { return typeNames[f] }

func (f Figure) isBytes() bool { return f == AllocBytes || f == InUseBytes }

func (f Figure) isAlloc() bool { return f == AllocObjects || f == AllocBytes }

// Figures are the four estimates of a sample, of a stack or of a whole profile.
type Figures [figures]Estimate

// Plus sums the figures of different samples.
func (f Figures) Plus(o Figures) Figures {
	for i := range f {
		f[i] = f[i].Plus(o[i])
	}
	return f
}

// Design is how a profile was sampled.
type Design struct {
	at       [figures]int // where a sample has each value
	interval [figures]float64
	goRate   float64 // of samples with origin=go
	isGrowth bool    // values are differences (seconds=)
}

// Of reads how p was sampled; p must be a heap profile, of this library or of Go.
func Of(p *profile.Profile) (*Design, error) {
	d := &Design{goRate: float64(max(p.Period, 1)), isGrowth: p.DurationNanos > 0}
	for f := range figures {
		d.at[f] = -1
		for i, t := range p.SampleType {
			if t.Type == f.String() {
				d.at[f] = i
			}
		}
		if d.at[f] < 0 {
			return nil, errors.New("the profile has no " + f.String() + ": it is not a heap profile")
		}
		d.interval[f] = d.goRate
	}
	for _, c := range p.Comments {
		d.readComment(c)
	}
	return d, nil
}

// Comments of the library's that say what the period does not.
const (
	goRateComment  = "Go's heap: sampled every "
	goExactComment = "Go's heap: every allocation"
	rangeComment   = "intervals of what is here: "
)

func (d *Design) readComment(c string) {
	if rest, ok := strings.CutPrefix(c, goRateComment); ok {
		if rate, err := strconv.ParseFloat(strings.Fields(rest + " ")[0], 64); err == nil {
			d.goRate = rate
		}
	} else if c == goExactComment {
		d.goRate = 1
	} else if rest, ok := strings.CutPrefix(c, rangeComment); ok {
		d.readRange(rest)
	}
}

// readRange takes the coarsest interval: the error is then too large rather than too small.
func (d *Design) readRange(text string) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r < '0' || r > '9' }) {
		if bytes, err := strconv.ParseFloat(word, 64); err == nil {
			for f := range d.interval {
				d.interval[f] = max(d.interval[f], bytes)
			}
		}
	}
}

// IsExact says that every allocation was recorded.
func (d *Design) IsExact() bool {
	for _, t := range d.interval {
		if t > 1 {
			return false
		}
	}
	return true
}

// intervalOf is the interval at which s was sampled; 1: it is exact.
func (d *Design) intervalOf(s *profile.Sample, f Figure) float64 {
	if origin := s.Label["origin"]; len(origin) == 1 {
		switch origin[0] {
		case "go":
			return d.goRate
		case "mmap", "thread_stack":
			return 1
		}
	}
	return d.interval[f]
}

// Sample gives the four estimates of one sample.
func (d *Design) Sample(s *profile.Sample) Figures {
	var out Figures
	b := d.blocksOf(s)
	for f := range figures {
		out[f] = b.estimate(float64(s.Value[d.at[f]]), d.intervalOf(s, f), f.isBytes())
	}
	if d.isGrowth {
		out[InUseObjects] = growth(out[AllocObjects], out[InUseObjects])
		out[InUseBytes] = growth(out[AllocBytes], out[InUseBytes])
	}
	return out
}

// Total sums all samples.
func (d *Design) Total(p *profile.Profile) Figures {
	var sum Figures
	for _, s := range p.Sample {
		sum = sum.Plus(d.Sample(s))
	}
	return sum
}

// Absent is the estimate of what is not in the profile: a stack of which nothing was sampled.  size
// is that of its blocks, 0 if it is not known.
func (d *Design) Absent(size float64) Figures {
	var out Figures
	for f := range figures {
		out[f] = blocks{size: max(size, 1)}.estimate(0, d.interval[f], f.isBytes())
	}
	return out
}

// blocks are those of a sample.
type blocks struct {
	size    float64 // their mean if there are several sizes
	isMixed bool
}

// blocksOf: a sample of several sizes, or of blocks of size 0, has no label.
func (d *Design) blocksOf(s *profile.Sample) blocks {
	if size := s.NumLabel["bytes"]; len(size) == 1 && size[0] > 0 {
		return blocks{size: float64(size[0])}
	}
	for _, f := range []Figure{AllocObjects, InUseObjects} {
		n, bytes := float64(s.Value[d.at[f]]), float64(s.Value[d.at[f+1]])
		if n*bytes > 0 {
			return blocks{bytes / n, true}
		}
	}
	return blocks{}
}

// estimate is that of value, which such blocks make up, sampled at interval t.
func (b blocks) estimate(value, t float64, isBytes bool) Estimate {
	if t <= 1 || b.size <= 0 {
		return signed(part{value: math.Abs(value), seen: math.Abs(value)}, value, 0)
	}
	y, unit := 1.0, t/b.size
	if isBytes {
		y, unit = b.size, t
	}
	p := part{value: math.Abs(value)}
	p.seen = p.value * -math.Expm1(-b.size/t)
	spread, missed := y/math.Expm1(b.size/t), math.Exp(-b.size/t) // y (1-p) / p, 1-p
	if b.isMixed && isBytes {
		spread, missed = t, 1 // the most, of small blocks
	}
	p.variance = p.value * spread
	p.doubt = p.variance * missed
	return signed(p, value, unit)
}

func signed(p part, value, unit float64) Estimate {
	if value < 0 {
		return Estimate{lost: p, unit: unit, isDifference: true}
	}
	return Estimate{gained: p, unit: unit}
}

// growth splits the growth of what is in use.  Of the blocks allocated meanwhile at most all are
// still in use, and then what was freed is the difference.  The true split has the smaller
// variance: blocks that came and went are in neither half.
func growth(alloc, grown Estimate) Estimate {
	came, gone := alloc.Value(), alloc.Value()-grown.Value()
	grown.isDifference = true
	if came > 0 && gone > 0 {
		grown.gained, grown.lost = alloc.gained, alloc.gained.times(gone/came)
	}
	return grown
}

// Grown is the growth of a sample (one stack, one size) between two profiles of one process, which
// counts only the blocks that came or went: what is in both profiles was sampled once, so its error
// cancels.  Sum it over samples.
func Grown(before, after Figures, f Figure) Estimate {
	alloc := AllocObjects
	if f.isBytes() {
		alloc = AllocBytes
	}
	e := after[f].Minus(before[f])
	came := after[alloc].Value() - before[alloc].Value()
	if came < 0 || f.isAlloc() && after[f].Value() <= 0 {
		return e // not the same process
	}
	if f.isAlloc() {
		return Estimate{gained: after[f].gained.times(came / after[f].Value()), unit: e.unit}
	}
	now := after[f].Value()
	here := min(came, now) // allocated meanwhile and still in use, at most
	gone := here - e.Value()
	e.gained, e.lost = part{}, part{}
	if now > 0 {
		e.gained = after[f].gained.times(here / now)
	}
	if was := before[f].Value(); was > 0 && gone > 0 {
		e.lost = before[f].gained.times(gone / was)
	}
	return e
}
