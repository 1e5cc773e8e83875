package difference

import (
	"math"
	"slices"

	"cgoheap.example/cli/internal/sampling"
)

// Of 1,000 stacks that did not change, 50 would seem to have changed at 95 % each.  Holm's
// procedure (1979) makes the confidence that of all rows together: with it no row is noise.  The
// strictest level goes first, and each stack that is sure leaves fewer to be tested.

// judge divides the rows and sums them.
func (d *Difference) judge(rows []Row) {
	var family, noise []*Row
	for i := range rows {
		r := &rows[i]
		switch {
		case r.change.Variance() == 0: // counted, or nothing came or went
			r.Changed = r.Change != 0
			if !r.Changed {
				d.Same++
			}
			r.Low, r.High = r.Change, r.Change
		case r.change.Most().Excludes(d.o.Confidence):
			family = append(family, r)
		default: // too few samples for any answer, whichever it would be
			noise = append(noise, r)
		}
	}
	d.Tested, d.RowConfidence = len(family), d.o.Confidence
	noise = append(noise, d.holm(family)...)
	for _, r := range noise {
		if d.o.All {
			r.Low, r.High = limits(r.change, d.o.Confidence)
		}
	}
	d.Total = sumOf(rows, d.o.Confidence, func(*Row) bool { return true })
	d.Rest = sumOf(rows, d.o.Confidence, func(r *Row) bool { return !r.Changed && !r.isSame() })
	if d.IsSame {
		d.Total.Low, d.Total.High = 0, 0
	}
	for _, r := range rows {
		if r.Changed {
			d.Rows = append(d.Rows, r)
		} else if !r.isSame() {
			d.Noise = append(d.Noise, r)
		}
	}
	slices.SortFunc(d.Rows, bySize((*Row).atLeast))
	slices.SortFunc(d.Noise, bySize(func(r *Row) int64 { return max(r.Change, -r.Change) }))
}

// holm marks the rows that changed and returns the others.
func (d *Difference) holm(family []*Row) (left []*Row) {
	// No later level is below the confidence itself.
	perhaps := slices.DeleteFunc(slices.Clone(family), func(r *Row) bool {
		return !r.change.Excludes(d.o.Confidence)
	})
	for open := len(family); len(perhaps) > 0; {
		level := 1 - (1-d.o.Confidence)/float64(open)
		d.RowConfidence = level
		still := slices.DeleteFunc(slices.Clone(perhaps), func(r *Row) bool {
			r.Changed = r.change.Excludes(level)
			return r.Changed
		})
		if len(still) == len(perhaps) {
			break
		}
		open -= len(perhaps) - len(still)
		perhaps = still
	}
	for _, r := range family {
		if r.Changed {
			r.Low, r.High = limits(r.change, d.RowConfidence)
		} else {
			left = append(left, r)
		}
	}
	return left
}

// isSame: nothing came or went, or what did is counted.
func (r *Row) isSame() bool { return r.change.Variance() == 0 && r.Change == 0 }

// limits in whole bytes or objects, outwards, but for a change that is sure not across 0.
func limits(e sampling.Estimate, confidence float64) (low, high int64) {
	l, h := e.SureInterval(confidence)
	low, high = int64(math.Floor(l)), int64(math.Ceil(h))
	if l > 0 {
		low = max(low, 1)
	}
	if h < 0 {
		high = min(high, -1)
	}
	return low, high
}

func sumOf(rows []Row, confidence float64, is func(r *Row) bool) Sum {
	var s Sum
	var change sampling.Estimate
	for i := range rows {
		if r := &rows[i]; is(r) {
			s.Stacks++
			s.Before += r.Before
			s.After += r.After
			change = change.Plus(r.change)
		}
	}
	s.Change = round(change.Value())
	s.Low, s.High = limits(change, confidence)
	return s
}
