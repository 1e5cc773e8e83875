// Package sampling knows how far a profile's figures may be off because only some blocks were
// sampled.
//
// A block of s bytes is sampled with probability p = 1 - e^(-s/T), T the interval, independently of
// all others, and stands for 1/p blocks.  So the variance of a sample's values follows from the
// values themselves, its label "bytes" (s) and T.  T is the profile's period, unless the interval
// changed while the process ran, or the sample has several sizes: then comments of the library's
// say which interval fits each sample (docs/profile-format.md).
package sampling

import (
	"fmt"
	"math"
	"slices"
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

func (f Figure) IsBytes() bool { return f == AllocBytes || f == InUseBytes }

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

// Times scales all figures.
func (f Figures) Times(factor float64) Figures {
	for i := range f {
		f[i] = f[i].Times(factor)
	}
	return f
}

// Design is how a profile was sampled.
type Design struct {
	at       [figures]int // where a sample has each value
	coarsest float64      // interval that was in force
	freed    float64      // interval that fits what was freed
	goRate   float64      // of samples with origin=go
	hasRange bool         // a comment said that the interval changed
	isGrowth bool         // values are differences (seconds=)
	fitted   map[*profile.Sample]fit
}

// fit are the intervals that give the variances of a sample's objects and of its bytes.
type fit [2]float64

// Of reads how p was sampled; p must be a heap profile, of this library or of Go.
func Of(p *profile.Profile) (*Design, error) {
	rate := float64(max(p.Period, 1))
	d := &Design{coarsest: rate, freed: rate, goRate: rate, isGrowth: p.DurationNanos > 0}
	for f := range figures {
		d.at[f] = slices.IndexFunc(p.SampleType, func(t *profile.ValueType) bool {
			return t.Type == f.String()
		})
		if d.at[f] < 0 {
			return nil, fmt.Errorf("the profile has no %v: it is not a heap profile", f)
		}
	}
	var runs []run
	for _, c := range p.Comments {
		if text, ok := strings.CutPrefix(c, goRateComment); ok {
			rate, _, _ := strings.Cut(text, " ")
			d.goRate, _ = strconv.ParseFloat(rate, 64)
		} else if c == goExactComment {
			d.goRate = 1
		} else if text, ok := strings.CutPrefix(c, rangeComment); ok {
			d.readRange(text)
		} else if text, ok := strings.CutPrefix(c, orderComment); ok {
			runs = append(runs, readRuns(text)...)
		}
	}
	d.fitRuns(p, runs)
	return d, nil
}

// Comments of the library's that say what the period does not.
const (
	goRateComment  = "Go's heap: sampled every "
	goExactComment = "Go's heap: every allocation"
	rangeComment   = "intervals so far: "
	orderComment   = "intervals of samples, in order: "
	totalsComment  = "standard errors: "
)

// IsOfErrors says whether a comment is true only of the profile that it was written into, and of
// none that is made of several.
func IsOfErrors(comment string) bool {
	return strings.HasPrefix(comment, totalsComment) ||
		strings.HasPrefix(comment, rangeComment) || strings.HasPrefix(comment, orderComment)
}

// readRange takes "4096 to 65536 bytes, freed blocks as if at 20000".  Without the last number, or
// in a profile that was merged, the coarsest stands for it.
func (d *Design) readRange(text string) {
	var finest, coarsest, freed float64
	n, _ := fmt.Sscanf(text, "%g to %g bytes, freed blocks as if at %g", &finest, &coarsest, &freed)
	if n < 2 {
		return
	}
	d.coarsest = max(d.coarsest, finest, coarsest)
	if d.freed = d.coarsest; n == 3 && !d.hasRange {
		d.freed = min(freed, d.coarsest)
	}
	d.hasRange = true
}

// run is a number of samples that one interval fits.
type run struct {
	count int
	fit   fit
}

// readRuns takes "12 at 4096, 3 at 65536 (objects 70000)"; nil: it is not that.
func readRuns(text string) []run {
	var runs []run
	for _, words := range strings.Split(text, ",") {
		var r run
		n, _ := fmt.Sscanf(words, "%d at %g (objects %g)", &r.count, &r.fit[1], &r.fit[0])
		if n < 2 || r.count < 1 {
			return nil
		}
		if n == 2 {
			r.fit[0] = r.fit[1]
		}
		runs = append(runs, r)
	}
	return runs
}

// fitRuns: Go's samples follow those of the library.  In a profile that pprof has merged with
// another the order is lost, and the coarsest interval stands for all.
func (d *Design) fitRuns(p *profile.Profile, runs []run) {
	var ours []*profile.Sample
	for _, s := range p.Sample {
		if OriginOf(s) != "go" {
			ours = append(ours, s)
		}
	}
	total := 0
	for _, r := range runs {
		total += r.count
	}
	if total != len(ours) {
		return
	}
	d.fitted = make(map[*profile.Sample]fit, total)
	for _, r := range runs {
		for _, s := range ours[:r.count] {
			d.fitted[s] = r.fit
		}
		ours = ours[r.count:]
	}
}

// OriginOf a sample: malloc if it says nothing.
func OriginOf(s *profile.Sample) string {
	if origin := s.Label["origin"]; len(origin) == 1 && origin[0] != "" {
		return origin[0]
	}
	return "malloc"
}

// IsExact says that every allocation was recorded.
func (d *Design) IsExact() bool { return d.coarsest <= 1 && d.goRate <= 1 }

// Sample gives the four estimates of one sample.
func (d *Design) Sample(s *profile.Sample) Figures {
	b, t := d.blocksOf(s), d.intervalsOf(s)
	if _, isFitted := d.fitted[s]; isFitted {
		b.isMixed = false
	}
	var out Figures
	for alloc := AllocObjects; alloc <= AllocBytes; alloc++ {
		isBytes, i, inUse := alloc.IsBytes(), int(alloc), alloc+2
		allocated, used := float64(s.Value[d.at[alloc]]), float64(s.Value[d.at[inUse]])
		out[inUse] = b.estimate(used, t.inUse[i], isBytes)
		if d.isGrowth {
			out[alloc] = b.estimate(allocated, t.coarsest, isBytes)
			out[inUse] = growth(out[alloc], out[inUse])
			continue
		}
		out[alloc] = out[inUse].Plus(b.estimate(allocated-used, t.freed[i], isBytes))
		// One more may be of those that were sampled at the coarsest interval.
		out[inUse].next = b.next(between(t.inUse[i], t.coarsest), isBytes, used != 0)
		out[alloc].next = b.next(t.coarsest, isBytes, true)
	}
	return out
}

// Blocks is how many sampled blocks are behind a sample's figures: of all that were allocated, and
// of those in use.
func (d *Design) Blocks(s *profile.Sample) (allocated, inUse float64) {
	b, t := d.blocksOf(s), d.intervalsOf(s)
	all, used := float64(s.Value[d.at[AllocObjects]]), float64(s.Value[d.at[InUseObjects]])
	met := func(interval float64) float64 { // how likely such a block is sampled
		if interval <= 1 || b.size <= 0 {
			return 1
		}
		return -math.Expm1(-b.size / interval)
	}
	inUse = used * met(t.inUse[0])
	return inUse + max(0, all-used)*met(t.freed[0]), inUse
}

func between(a, b float64) float64 { return math.Sqrt(a * b) }

// intervals of a sample: of what is in use, of what was freed, and the coarsest.
type intervals struct {
	inUse, freed fit
	coarsest     float64
}

func (d *Design) intervalsOf(s *profile.Sample) intervals {
	all := func(t float64) intervals { return intervals{fit{t, t}, fit{t, t}, t} }
	switch OriginOf(s) {
	case "go":
		return all(d.goRate)
	case "mmap", "thread_stack":
		return all(1)
	}
	t := all(d.coarsest)
	t.freed = fit{d.freed, d.freed}
	if fitted, ok := d.fitted[s]; ok {
		t.inUse = fitted
		if _, hasSize := s.NumLabel["bytes"]; !hasSize { // those freed are taken to be like those
			t.freed = fit{max(d.freed, fitted[0]), max(d.freed, fitted[1])}
		}
	}
	return t
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
		out[f] = blocks{size: max(size, 1)}.estimate(0, d.coarsest, f.IsBytes())
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

// certain: of blocks of this many intervals none is missed.
const certain = 40

// estimate is that of value, which such blocks make up, sampled at interval t.
func (b blocks) estimate(value, t float64, isBytes bool) Estimate {
	p := part{value: math.Abs(value)}
	if b.isMixed && isBytes && t > 1 { // the most, if all blocks are small
		p.unseen, p.variance = p.value, p.value*t
		p.third, p.doubt = 2*p.variance*t, p.variance
		return signed(p, value, b.next(t, isBytes, value != 0))
	}
	if t <= 1 || b.size <= 0 || b.size > certain*t {
		p.seen = p.value
		return signed(p, value, next{})
	}
	y := b.unit(isBytes)
	p.unseen = p.value * math.Exp(-b.size/t)
	p.seen = p.value - p.unseen
	// The profile's figures are rounded, and a number of blocks was seen.
	if whole := math.Round(p.seen/y) * y; !b.isMixed && math.Abs(whole-p.seen) <= 1 {
		p.seen = whole
	}
	spread, missed := y/math.Expm1(b.size/t), math.Exp(-b.size/t) // y (1-p) / p, 1-p
	p.variance = p.value * spread
	p.third = p.variance * (y + spread) * (1 + missed)
	p.doubt = p.variance * missed
	return signed(p, value, b.next(t, isBytes, value != 0))
}

// next is what one more sample of small blocks would stand for, given that there are some or none.
func (b blocks) next(t float64, isBytes, isSome bool) next {
	if t <= 1 || b.size <= 0 || b.size > certain*t && isSome {
		return next{}
	}
	unit := t * b.unit(isBytes) / b.size
	if isSome {
		return next{most: unit}
	}
	return next{sum: unit, rows: 1}
}

// unit is what a block adds to a figure.
func (b blocks) unit(isBytes bool) float64 {
	if isBytes {
		return b.size
	}
	return 1
}

func signed(p part, value float64, next next) Estimate {
	if value < 0 {
		return Estimate{lost: p, next: next, isDifference: true}
	}
	return Estimate{gained: p, next: next}
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
	if f.IsBytes() {
		alloc = AllocBytes
	}
	e := after[f].Minus(before[f])
	came := after[alloc].Value() - before[alloc].Value()
	if came < 0 || f.isAlloc() && after[f].Value() <= 0 {
		return e // not the same process
	}
	if f.isAlloc() {
		return Estimate{gained: after[f].gained.times(came / after[f].Value()), next: e.next}
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
