package recorder

import (
	"testing"
	"time"

	"cgoheap.example/cli/internal/recordlayout"
	"cgoheap.example/cli/internal/series"
)

func TestSeries(t *testing.T) {
	b, _, _ := openRecording(t, func([]byte) {})
	r := b.Series()
	if len(r.Rows) != len(b.Seconds) || r.Header.PID != 4242 || r.Ends != "" {
		t.Fatalf("%+v", r)
	}
	last := int64(-1)
	owners := 0
	for i, row := range r.Rows {
		if row.MonoNS <= last {
			t.Errorf("row %d is not later than the one before", i)
		}
		last = row.MonoNS
		if rss, ok := row.Value(series.RSS); ok != b.Seconds[i].RSS.IsKnown() ||
			ok && rss != float64(b.Seconds[i].RSS) {
			t.Errorf("row %d: %v", i, row.Values)
		}
		if live, ok := row.Value(series.CLive); ok {
			owners++
			if live != row.Values[series.OwnerName("c_live")] {
				t.Errorf("row %d: %v", i, row.Values)
			}
		}
		if _, ok := row.Value(series.OwnerName("go_heap")); ok {
			t.Errorf("row %d has an owner that is unknown there", i)
		}
	}
	if owners == 0 {
		t.Error("the accounts of the ring are missing")
	}
}

// Whatever the wall clock did, the series goes forward and says so.
func TestSeriesOfClocksThatJump(t *testing.T) {
	b := &Recording{}
	for _, s := range []int64{100, 101, 50, 51, 5000} {
		b.Seconds = append(b.Seconds, recordlayout.Second{Time: recordlayout.Time(s * 1e9), RSS: 1})
	}
	r := b.Series()
	var seconds []int64
	for _, row := range r.Rows {
		seconds = append(seconds, row.MonoNS/int64(time.Second))
	}
	want := []int64{0, 1, 2, 3, 4952}
	for i := range want {
		if seconds[i] != want[i] {
			t.Errorf("%d, want %d", seconds, want)
			break
		}
	}
	if len(r.Events) != 2 || r.Events[0].Text != "the wall clock was set back by 52s" ||
		r.Events[1].Text != "nothing was recorded for 1h22m, or the wall clock was set forward" {
		t.Errorf("%+v", r.Events)
	}
}
