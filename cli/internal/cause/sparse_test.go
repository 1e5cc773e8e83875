package cause

import (
	"path/filepath"
	"strings"
	"testing"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/series"
)

// TestSparseFigures: the library's figures are taken less often than others, at most each 50 s.
// What is said of them does not depend on whether one of the last samples has them.
func TestSparseFigures(t *testing.T) {
	recording, err := series.ReadFile(filepath.Join("testdata", "rules", "forecast.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	w := New(Options{PID: 42})
	said := 0
	for i, row := range recording.Rows {
		if i%3 != 0 { // 15 s apart: each 45 s
			for _, name := range []string{series.CLive, series.CRetained, series.CMmap,
				series.OwnerName(account.GoHeap), goStacks} {
				delete(row.Values, name)
			}
		}
		for range 3 { // rows each 5 s in between, without them
			w.Add(row)
			row.MonoNS += 5e9
			row.Values = map[string]float64{series.RSS: row.Values[series.RSS],
				series.RSSAnon:     row.Values[series.RSSAnon],
				series.CgroupLimit: row.Values[series.CgroupLimit]}
		}
		for _, a := range w.Alerts() {
			if said++; !strings.Contains(a.Text, " MiB so far.") {
				t.Fatalf("row %d: %s", i, a.Text)
			}
			if f, ok := w.Forecast(0, nil); !ok || f.Part != series.CLive {
				t.Fatalf("row %d: %+v", i, f)
			}
		}
	}
	// Growth of the RSS that is C live's is not said to be of no known owner.
	if g := w.State(series.RSSAnon); !strings.Contains(unexplainedMeans(w, growth{
		name: series.RSSAnon, state: g, grew: w.rise(series.RSSAnon, g.Since)}), ", is C live.") {
		t.Error(g)
	}
	if said < 10 {
		t.Errorf("%d rows with an alert", said)
	}
}
