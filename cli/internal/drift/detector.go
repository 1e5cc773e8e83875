package drift

import "math"

// Shape is what a series does.
type Shape int

// The shapes.
const (
	Unknown Shape = iota // too short a time, or too many gaps
	Steady
	Stepped // it rose once and stayed: a cache that was filled
	Growing
)

// State is what a detector says.
type State struct {
	Shape Shape
	// Of growth: since when, from which value, and how fast since then.
	Since, From float64
	Slope       Slope
	Step        Step // where Shape is Stepped
}

const (
	bucketSeconds = 5  // values in it are joined: single wrong ones go
	warmUpSeconds = 60 // what a series does first is not judged
	// A step is told for as long as the window in which it was seen, and not for ever.
	stepWindows = 2
	// A value far below all others of a bucket or segment is no value, but a failed reading.
	dropOut = 0.6
)

// Scales: 30 s segments find 1 % a minute in minutes; hours find what hours show.
var scales = [...]scale{
	{seconds: 30, leastRise: 0.022},
	{seconds: 120, leastRise: 0.025},
	{seconds: 600, leastRise: 0.04},
	{seconds: 3600, leastRise: 0.08, needsPast: true}, // a day has its wave
}

// track follows a series by one value of each segment; a scale makes its segments from the next
// shorter scale's.
type track struct {
	of     func([]float64) float64
	scales [len(scales)]scale
	open   [len(scales)]struct {
		number int64 // of the segment that is not over
		values []float64
	}
}

// Detector follows one series.  It keeps less than 20 KiB, however long that runs.
type Detector struct {
	floor  float64
	begun  bool
	begin  float64
	last   float64 // seconds of the last value
	number int64   // of the open bucket
	bucket []float64
	// The low values of segments are what a series falls back to after each collection: a
	// sawtooth whose teeth are shorter than a segment disappears.  Medians have less noise.
	low, mid track
}

// NewDetector makes one.  A rise of less than floor, in the unit of the values, is no growth.
func NewDetector(floor float64) *Detector {
	d := &Detector{floor: floor}
	d.low = track{of: lowOf, scales: scales}
	d.mid = track{of: medianOf, scales: scales}
	for _, t := range []*track{&d.low, &d.mid} {
		for i := 1; i < len(scales); i++ {
			t.scales[i].finer = &t.scales[i-1]
		}
	}
	return d
}

// Add takes a value.  One that is older than the last, or no measurement, is left out.
func (d *Detector) Add(p Point) {
	if !p.isMeasured() {
		return
	}
	if !d.begun {
		d.begun, d.begin = true, p.Seconds
	}
	if p.Seconds < d.begin+warmUpSeconds || p.Seconds < d.last {
		return
	}
	d.last = p.Seconds
	if number := int64(math.Floor(p.Seconds / bucketSeconds)); number != d.number {
		d.close()
		d.number = number
	}
	d.bucket = append(d.bucket, p.Value)
}

func (d *Detector) close() {
	if len(d.bucket) == 0 {
		return
	}
	at := float64(d.number) * bucketSeconds
	d.low.add(0, Point{at, lowOf(d.bucket)}, d.floor)
	d.mid.add(0, Point{at, medianOf(d.bucket)}, d.floor)
	d.bucket = d.bucket[:0]
}

func (t *track) add(i int, p Point, floor float64) {
	if i == len(t.scales) {
		return
	}
	s, open := &t.scales[i], &t.open[i]
	number := int64(math.Floor(p.Seconds / s.seconds))
	if number != open.number && len(open.values) > 0 {
		done := Point{float64(open.number) * s.seconds, t.of(open.values)}
		open.values = open.values[:0]
		s.add(done, floor)
		t.add(i+1, done, floor)
	}
	open.number = number
	open.values = append(open.values, p.Value)
}

// State is what the series does now.
func (d *Detector) State() State {
	state := State{}
	for i := range scales {
		for _, t := range []*track{&d.low, &d.mid} {
			s := &t.scales[i]
			if s.growing {
				return State{Shape: Growing, Since: s.since, From: s.from, Slope: s.slope()}
			}
			if s.window() != nil {
				state.Shape = max(state.Shape, Steady)
			}
			if s.step.Seconds > 0 && state.Shape != Stepped &&
				d.last-s.step.Seconds < stepWindows*windowSegments*s.seconds {
				state.Shape, state.Step = Stepped, s.step
			}
		}
	}
	return state
}

// Watched is for how long values have been judged, in seconds.
func (d *Detector) Watched() float64 { return max(0, d.last-d.begin-warmUpSeconds) }

// slope since the growth began, or since the oldest segment that is kept.
func (s *scale) slope() Slope {
	points := s.segments
	for len(points) > windowSegments && points[0].Seconds < s.since {
		points = points[1:]
	}
	slope, _ := SlopeOf(points)
	return slope
}

// lowOf is the lowest value that is no failed reading.
func lowOf(v []float64) float64 {
	low, second := math.Inf(1), math.Inf(1)
	for _, x := range v {
		if x < low {
			low, second = x, low
		} else if x < second {
			second = x
		}
	}
	if len(v) > 1 && low < dropOut*second {
		return second
	}
	return low
}
