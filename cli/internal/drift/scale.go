package drift

import (
	"math"
	"slices"
)

// A scale looks at a series through segments of one length, each of which has one value.  Growth
// is judged over the last few segments, by what the ones before them have shown to be usual.
type scale struct {
	seconds   float64 // of a segment
	leastRise float64 // share of the level over a window, from which a rise counts
	needsPast bool    // nothing is said before there is a past to compare with

	segments []Point // oldest first, at most keptSegments
	finer    *scale  // the next shorter one; nil of the shortest
	growing  bool
	since    float64 // seconds, where it grows
	from     float64 // the value then
	rate     float64 // per second, as it was found
	step     Step    // the last one that was seen
}

const (
	windowSegments = 9 // over which growth is judged
	keptSegments   = 120

	// The noise of 200 generated series set these: drift_test.go prints what they give.
	leastKendall = 24  // of 36 pairs that rise, less those that fall
	usualShare   = 90  // percentile of earlier changes that is usual
	overUsual    = 2.2 // a rise counts from this multiple of the usual change
	highShare    = 90  // percentile of earlier values that is high
	aboveHigh    = 0.5 // and this part of the usual range above it
	oneStep      = 0.8 // of the squares that a line leaves: less, and a step fits better
	twoSteps     = 0.3
	fourSteps    = 0.6
	leastAtEnd   = 0.06 // of the rise in the last segments: with less it has ended
	endedRate    = 0.25 // of the rate that was found: slower growth has ended
)

// add takes the value of a segment that is over.
func (s *scale) add(p Point, floor float64) {
	if len(s.segments) == keptSegments {
		s.segments = slices.Delete(s.segments, 0, 1)
	}
	s.segments = append(s.segments, p)
	w := s.window()
	switch {
	case w == nil:
	case !s.growing:
		s.begins(w, floor)
	case rateOf(w) < endedRate*s.rate:
		// What it has grown to is the new level: the growth is no measure of what is usual.
		s.growing = false
		s.segments = s.segments[:copy(s.segments, w)]
	}
}

func (s *scale) begins(w []Point, floor float64) {
	switch past := s.segments[:len(s.segments)-windowSegments]; s.judge(w, past, floor) {
	case Growing:
		s.growing, s.rate = true, rateOf(w)
		s.since, s.from = onset(w, past)
	case Stepped:
		s.step, _ = stepOf(w)
	}
}

// window is the last segments; nil where too many are missing.
func (s *scale) window() []Point {
	n := len(s.segments)
	if n < windowSegments {
		return nil
	}
	w := s.segments[n-windowSegments:]
	if w[windowSegments-1].Seconds-w[0].Seconds > 1.5*windowSegments*s.seconds {
		return nil
	}
	return w
}

// judge says what a window shows.
func (s *scale) judge(w, past []Point, floor float64) Shape {
	first, last := ends(w)
	rise := last - first
	if rise <= 0 || rise < s.leastRise*math.Abs(first) || rise < floor {
		return Steady
	}
	change, high, ok := usual(past)
	switch {
	case !ok && s.needsPast:
		return Unknown
	case ok && (rise < overUsual*change || last < high):
		return Steady
	case fewSteps(w, s.fine(w)):
		if _, at := stepOf(w); at > windowSegments-edge {
			return Steady // too early to say
		}
		return Stepped
	case kendall(w) < leastKendall:
		return Steady
	}
	before, after := w[windowSegments-4:windowSegments-2], w[windowSegments-2:]
	if mean(after)-mean(before) < leastAtEnd*rise || !s.finer.still(rateOf(w)) {
		return Steady
	}
	return Growing
}

// fine is the same window in the segments of the next shorter scale.
func (s *scale) fine(w []Point) []Point {
	if s.finer == nil {
		return nil
	}
	i := len(s.finer.segments)
	for i > 0 && s.finer.segments[i-1].Seconds >= w[0].Seconds {
		i--
	}
	return s.finer.segments[i:]
}

// still says that the shorter scale does not show that growth of a longer one has ended.
func (s *scale) still(rate float64) bool {
	if s == nil {
		return true
	}
	w := s.window()
	return w == nil || rateOf(w) >= endedRate*rate
}

// edge segments at each end of a window are its begin and end: their median.
const edge = 3

func ends(w []Point) (first, last float64) {
	n := len(w)
	return median3(w[0], w[1], w[2]), median3(w[n-3], w[n-2], w[n-1])
}

func median3(a, b, c Point) float64 {
	return max(min(a.Value, b.Value), min(max(a.Value, b.Value), c.Value))
}

// rateOf a window, per second.
func rateOf(w []Point) float64 {
	first, last := ends(w)
	return (last - first) / (w[len(w)-2].Seconds - w[1].Seconds)
}

func mean(points []Point) float64 {
	sum := 0.0
	for _, p := range points {
		sum += p.Value
	}
	return sum / float64(len(points))
}

// kendall is the number of pairs that rise, less those that fall.
func kendall(w []Point) int {
	sum := 0
	for i, a := range w {
		for _, b := range w[i+1:] {
			sum += direction(b.Value - a.Value)
		}
	}
	return sum
}

// usual is how much the series changed within windows before, and what would be high for it.
// That measures any noise, however alike neighbours are.  False: the past is too short.
func usual(past []Point) (change, high float64, ok bool) {
	if len(past) < windowSegments+4 {
		return 0, 0, false
	}
	var changes []float64
	for i := 0; i+windowSegments <= len(past); i++ {
		first, last := ends(past[i : i+windowSegments])
		changes = append(changes, math.Abs(last-first))
	}
	slices.Sort(changes)
	v := values(past)
	slices.Sort(v)
	bottom, top := percentile(v, 100-highShare), percentile(v, highShare)
	return percentile(changes, usualShare), top + aboveHigh*(top-bottom), true
}

func percentile(sorted []float64, percent int) float64 {
	return sorted[(len(sorted)-1)*percent/100]
}

// onset is where growth began: the last segment that was no higher than before.
func onset(w, past []Point) (seconds, value float64) {
	first, last := ends(w)
	if len(past) > 0 {
		first = medianOf(values(past[max(0, len(past)-3*windowSegments):]))
	}
	for _, part := range [][]Point{w, past} {
		for i := len(part) - 1; i >= 0; i-- {
			if part[i].Value <= first+onsetShare*(last-first) {
				return part[i].Seconds, part[i].Value
			}
		}
	}
	return w[0].Seconds, w[0].Value
}

const onsetShare = 0.1 // of the rise
