// Package cause says what grows in a process, since when, how fast and why, from samples of its
// figures; and when its memory limit is reached.  Each rule is a row of one table; it says
// nothing where a figure that it needs is missing.
package cause

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"cgoheap.example/cli/internal/drift"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/verdict"
)

// Options are what sentences name.
type Options struct {
	PID     int
	GoPprof string // where its net/http/pprof is, "" not known
}

// Alert is a cause that began, and what is said of it.
type Alert struct {
	Rule   string
	Text   string
	Figure string    // what grows, "" nothing
	Since  time.Time // the growth's begin, where there is one; else the alert's
	Ended  bool
}

// Watcher follows a process from row to row.  Its memory is bounded.  It is not safe for use by
// several goroutines at once.
type Watcher struct {
	options   Options
	detectors map[string]*drift.Detector
	seen      map[string]float64 // seconds of a figure's last value
	rows      []series.Row       // at least rowSeconds apart, oldest first
	kept      map[string]float64 // of samples since the last row
	states    map[string]drift.State
	rules     []ruleState
	last      series.Row
	pauses    pauses
}

const (
	rowSeconds = 5
	keptRows   = 720 // an hour
	// A figure without a value for so long is not known.
	missingSeconds = 60
	// A condition that is no growth must hold for so long, and be gone for so long.
	holdSeconds = 120
	goneSeconds = 120
	// Or, where a figure of the condition is missing, not be seen for so long.
	goneUnknownSeconds = 900

	fallbackSeconds = 60
)

// New makes a watcher that has seen nothing.
func New(options Options) *Watcher {
	return &Watcher{options: options, detectors: map[string]*drift.Detector{},
		seen: map[string]float64{}, rules: make([]ruleState, len(rules))}
}

// Restart forgets all: another process is watched from here on.  What was said ends.
func (w *Watcher) Restart() []Alert {
	var ended []Alert
	for _, alert := range w.Alerts() {
		alert.Ended = true
		ended = append(ended, alert)
	}
	*w = *New(w.options)
	return ended
}

// Add takes a sample, and returns the alerts that begin or end with it.
func (w *Watcher) Add(row series.Row) []Alert {
	if row.MonoNS < w.last.MonoNS {
		return nil
	}
	row = w.derived(row)
	w.last = row
	now := row.Seconds()
	for name, value := range row.Values {
		if len(w.seen) == mostFigures && w.seen[name] == 0 {
			continue
		}
		w.seen[name] = now
		if series.About(name).Kind != series.Gauge {
			continue
		}
		d := w.detectors[name]
		if d == nil {
			d = drift.NewDetector(floorOf(name))
			w.detectors[name] = d
		}
		d.Add(drift.Point{Seconds: now, Value: value})
	}
	if n := len(w.rows); n > 0 && now < w.rows[n-1].Seconds()+rowSeconds {
		w.keep(row)
		return nil
	}
	row = w.withKept(row)
	if len(w.rows) == keptRows {
		w.rows = slices.Delete(w.rows, 0, 1)
	}
	w.rows = append(w.rows, row)
	w.states = map[string]drift.State{}
	return w.judge()
}

// keep remembers the figures of a sample that is no row, for the next row: the library's are not
// in each sample.
func (w *Watcher) keep(row series.Row) {
	if w.kept == nil {
		w.kept = map[string]float64{}
	}
	maps.Copy(w.kept, row.Values)
}

// withKept is the row with those figures that it lacks.
func (w *Watcher) withKept(row series.Row) series.Row {
	values := w.kept
	w.kept = nil
	if values == nil {
		return row
	}
	maps.Copy(values, row.Values)
	row.Values = values
	return row
}

// mostFigures bounds what series from elsewhere may take.
const mostFigures = 200

// floorOf is the smallest rise that matters.
func floorOf(name string) float64 {
	switch series.About(name).Unit {
	case series.Bytes:
		return verdict.GrowthBytes
	case series.Count:
		return 10
	case series.Percent:
		return 5
	case series.Ratio:
		return 0.05
	}
	return 0
}

// State is what a figure does.
func (w *Watcher) State(name string) drift.State {
	state, ok := w.states[name]
	if !ok && w.detectors[name] != nil && w.knows(name) {
		state = w.detectors[name].State()
		if w.states != nil {
			w.states[name] = state
		}
	}
	return state
}

// slope of a figure since its growth began, or of the last hour.
func (w *Watcher) slope(name string, state drift.State) drift.Slope {
	points := w.points(name)
	for len(points) > 0 && points[0].Seconds < state.Since {
		points = points[1:]
	}
	if slope, ok := drift.SlopeOf(points); ok {
		return slope
	}
	return state.Slope
}

// knows says that a figure has had values lately.
func (w *Watcher) knows(name string) bool {
	seen, ok := w.seen[name]
	return ok && w.last.Seconds()-seen < missingSeconds
}

// now is a figure's value, a median of the last few; NaN: not known.
func (w *Watcher) now(name string) float64 { return w.near(name, math.Inf(1)) }

// near is the median of the values in a few rows around a time.  A figure that is taken less
// often than that has the value that is nearest, at most missingSeconds away.
func (w *Watcher) near(name string, seconds float64) float64 {
	const few, most = 2, missingSeconds / rowSeconds
	at, _ := slices.BinarySearchFunc(w.rows, seconds, func(r series.Row, t float64) int {
		return int(math.Copysign(1, r.Seconds()-t))
	})
	at = min(at, len(w.rows)-few-1)
	for away := few; away <= most; away++ {
		var values []float64
		for i := max(0, at-away); i < min(len(w.rows), at+away+1); i++ {
			if v, ok := w.rows[i].Value(name); ok {
				values = append(values, v)
			}
		}
		if len(values) > 0 {
			slices.Sort(values)
			return values[len(values)/2]
		}
	}
	return math.NaN()
}

// rise of a figure since a time; 0: not known, or it fell.
func (w *Watcher) rise(name string, since float64) float64 {
	if grew := w.now(name) - w.near(name, since); grew > 0 {
		return grew
	}
	return 0
}

// lowest value of a figure for that many seconds; NaN: not known for all of that time.
func (w *Watcher) lowest(name string, seconds float64) float64 {
	low, covered := math.Inf(1), false
	for i := len(w.rows) - 1; i >= 0 && !covered; i-- {
		covered = w.rows[i].Seconds() <= w.last.Seconds()-seconds
		if v, ok := w.rows[i].Value(name); ok {
			low = min(low, v)
		}
	}
	if !covered || math.IsInf(low, 1) || !w.knows(name) {
		return math.NaN()
	}
	return low
}

// points of a figure in the last hour.
func (w *Watcher) points(name string) []drift.Point {
	var points []drift.Point
	for i := range w.rows {
		if v, ok := w.rows[i].Value(name); ok {
			points = append(points, drift.Point{Seconds: w.rows[i].Seconds(), Value: v})
		}
	}
	return points
}

// wall is the wall time of a moment on the monotonic clock.
func (w *Watcher) wall(seconds float64) time.Time {
	return w.last.Wall.Add(time.Duration((seconds - w.last.Seconds()) * float64(time.Second)))
}

// externals are the series from elsewhere.
func (w *Watcher) externals() []string {
	var names []string
	for name := range w.detectors {
		if strings.HasPrefix(name, series.ExternalName("")) && w.knows(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
