package series

import (
	"math"
	"sort"
	"time"
)

// Row is one sample.  What is not known is absent.
type Row struct {
	Wall   time.Time // for people: it may jump
	MonoNS int64     // CLOCK_MONOTONIC of the machine; never decreases from row to row
	Values map[string]float64
}

// Value is false for what is not known.
func (r *Row) Value(name string) (float64, bool) {
	v, ok := r.Values[name]
	return v, ok
}

// maxValue is above any figure, and the sums and squares of such values are still finite.
const maxValue = 1e100

// Set adds a figure.  What no figure can be (not a number, infinite, huge) is not known.
func (r *Row) Set(name string, value float64) {
	if math.IsNaN(value) || math.Abs(value) > maxValue {
		return
	}
	if r.Values == nil {
		r.Values = map[string]float64{}
	}
	r.Values[name] = value
}

// Seconds on the clock of MonoNS.
func (r *Row) Seconds() float64 { return float64(r.MonoNS) / 1e9 }

// Points are one figure over time, without what is not known.
func Points(rows []Row, name string) (seconds, values []float64) {
	for i := range rows {
		if v, ok := rows[i].Values[name]; ok {
			seconds, values = append(seconds, rows[i].Seconds()), append(values, v)
		}
	}
	return seconds, values
}

// Names are the figures that any of the rows has: those of the table in its order, then
// owners and series from elsewhere by name.
func Names(rows []Row) []string {
	has := map[string]bool{}
	for i := range rows {
		for name := range rows[i].Values {
			has[name] = true
		}
	}
	var names, others []string
	for _, f := range figures {
		if has[f.Name] {
			names = append(names, f.Name)
			delete(has, f.Name)
		}
	}
	for name := range has {
		others = append(others, name)
	}
	sort.Strings(others)
	return append(names, others...)
}

// Kinds of events.
const (
	EventAlert    = "alert"
	EventGC       = "gc"
	EventInterval = "interval" // the sample interval was changed
	EventRestart  = "restart"  // another process from here on, or another program in it
	EventGap      = "gap"      // time that was not watched, or a clock that jumped
	EventNote     = "note"
)

// Event is something that happened at a time.
type Event struct {
	Wall   time.Time
	MonoNS int64
	Kind   string // one of the above, or what a later cgoheap has
	Rule   string // of an alert
	State  string // of an alert: "firing" or "ended"
	Text   string // a sentence; may hold anything
}

// Header is what a recording is of.
type Header struct {
	Host, Program string
	PID           int
	Wall          time.Time
	MonoNS        int64
	Interval      time.Duration // between two samples
	Version       string        // of the cgoheap that wrote it
}
