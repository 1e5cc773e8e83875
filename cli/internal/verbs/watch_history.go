package verbs

import (
	"math"
	"time"

	"cgoheap.example/cli/internal/drift"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/termtext"
)

// history is the samples so far.  When it is full, the older half is thinned.
type history struct {
	rows     []series.Row
	events   []series.Event
	interval time.Duration
}

const (
	mostRows   = 7200
	mostEvents = 500
	// A change per minute is of this time: long enough for an interval, short enough for "now".
	growthTime = 5 * time.Minute
	growthRows = 30 // but at least so many samples
)

// growthTime of these samples.
func (h *history) growthTime() time.Duration { return max(growthTime, growthRows*h.interval) }

func (h *history) add(row series.Row, events []series.Event) {
	if len(h.rows) == mostRows {
		h.thin()
	}
	h.rows = append(h.rows, row)
	h.events = append(h.events, events...)
	if extra := len(h.events) - mostEvents; extra > 0 {
		h.events = append([]series.Event(nil), h.events[extra:]...)
	}
}

// thin leaves rows in equal distances in the older half, at most every other one: a row that goes
// leaves what only it knows in the next one.
func (h *history) thin() {
	old := h.rows[:len(h.rows)/2]
	apart := (old[len(old)-1].MonoNS - old[0].MonoNS) / int64(len(old)/2)
	kept := make([]series.Row, 0, mostRows)
	last := old[0].MonoNS - apart
	for i := range old {
		if old[i].MonoNS-last >= apart || i == len(old)-1 {
			kept, last = append(kept, old[i]), old[i].MonoNS
			continue
		}
		next := &h.rows[i+1]
		for name, v := range old[i].Values {
			if _, known := next.Value(name); !known {
				next.Set(name, v)
			}
		}
	}
	h.rows = append(kept, h.rows[len(old):]...)
}

// last value of a figure, and how old it is; false: it has none in the last rows.
func (h *history) last(name string) (value float64, age time.Duration, known bool) {
	if len(h.rows) == 0 {
		return 0, 0, false
	}
	now := h.rows[len(h.rows)-1].MonoNS
	for i := len(h.rows) - 1; i >= 0; i-- {
		age := time.Duration(now - h.rows[i].MonoNS)
		if age > maxFigureAge {
			break
		}
		if v, ok := h.rows[i].Value(name); ok {
			return v, age, true
		}
	}
	return 0, 0, false
}

// maxFigureAge: an older value says nothing about now.
const maxFigureAge = time.Minute

// since is the part of the rows that is not older.
func (h *history) since(length time.Duration) []series.Row {
	rows := h.rows
	if len(rows) == 0 {
		return nil
	}
	from := rows[len(rows)-1].MonoNS - int64(length)
	for i := len(rows) - 1; i >= 0; i-- {
		if rows[i].MonoNS < from {
			return rows[i+1:]
		}
	}
	return rows
}

// length of the time that the rows are of, for people.
func (h *history) length() string {
	if len(h.rows) == 0 {
		return "0s"
	}
	return termtext.Duration(time.Duration(h.rows[len(h.rows)-1].MonoNS - h.rows[0].MonoNS))
}

// slope of a figure; false: there are too few values.
func slope(rows []series.Row, name string, most int) (drift.Slope, bool) {
	seconds, values := series.Points(rows, name)
	points := make([]drift.Point, len(values))
	for i := range values {
		points[i] = drift.Point{Seconds: seconds[i], Value: values[i]}
	}
	return drift.SlopeOf(thinned(points, most))
}

// thinned are means of neighbours, at most so many: a slope takes all pairs of points.
func thinned(points []drift.Point, most int) []drift.Point {
	if len(points) <= most {
		return points
	}
	out := make([]drift.Point, 0, most)
	for i := range most {
		from, to := i*len(points)/most, (i+1)*len(points)/most
		var sum drift.Point
		for _, p := range points[from:to] {
			sum.Seconds, sum.Value = sum.Seconds+p.Seconds, sum.Value+p.Value
		}
		n := float64(to - from)
		out = append(out, drift.Point{Seconds: sum.Seconds / n, Value: sum.Value / n})
	}
	return out
}

// columns are the means of a figure in equal parts of the time; NaN: no value there.
func columns(rows []series.Row, name string, count int) []float64 {
	if len(rows) == 0 || count <= 0 {
		return nil
	}
	begin, end := rows[0].MonoNS, rows[len(rows)-1].MonoNS
	sums, counts := make([]float64, count), make([]float64, count)
	for i := range rows {
		v, ok := rows[i].Value(name)
		if !ok {
			continue
		}
		at := count - 1
		if end > begin {
			part := float64(rows[i].MonoNS-begin) / float64(end-begin)
			at = min(int(part*float64(count)), count-1)
		}
		sums[at], counts[at] = sums[at]+v, counts[at]+1
	}
	for i := range sums {
		sums[i] /= counts[i] // NaN where there is none
		if counts[i] == 0 {
			sums[i] = math.NaN()
		}
	}
	return sums
}
