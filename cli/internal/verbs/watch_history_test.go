package verbs

import (
	"math"
	"testing"
	"time"

	"cgoheap.example/cli/internal/series"
)

// However long it runs, memory is bounded, the last hour is whole, and no time is without rows.
func TestWatchHistoryIsBounded(t *testing.T) {
	h := history{interval: time.Second}
	for i := range 100000 {
		r := series.Row{MonoNS: int64(i) * 1e9}
		r.Set(series.RSS, float64(i))
		if i%4 == 0 {
			r.Set(series.CLive, float64(i))
		}
		h.add(r, nil)
		if len(h.rows) > mostRows {
			t.Fatalf("%d rows", len(h.rows))
		}
	}
	if h.rows[0].MonoNS != 0 || len(h.since(time.Hour-time.Second)) != 3600 {
		t.Errorf("it begins at %d, and has %d rows of the last hour", h.rows[0].MonoNS,
			len(h.since(time.Hour-time.Second)))
	}
	for _, name := range []string{series.RSS, series.CLive} {
		for i, v := range columns(h.rows, name, mostSpark) {
			want := (float64(i) + 0.5) / mostSpark * 100000
			if math.IsNaN(v) || math.Abs(v-want) > 2000 {
				t.Errorf("%s: column %d is %g, want %g", name, i, v, want)
			}
		}
	}
	last := int64(-1)
	for _, r := range h.rows {
		if r.MonoNS <= last {
			t.Fatal("rows are out of order")
		}
		last = r.MonoNS
	}
}
