package cause

import (
	"path/filepath"
	"testing"
	"time"

	"cgoheap.example/cli/internal/drift"
	"cgoheap.example/cli/internal/series"
)

// Recordings of real programs, taken once a second: the example service with its leaks (leak)
// and without (steady), under load; a C cache that fills within 90 s after a minute; a Go
// heap of 90 MiB that is collected every 10 s; C blocks that are replaced by larger ones.  Then,
// a row every 5 s: C code that maps, a Go map that grows, goroutines and threads that stay.
var real = []struct {
	name   string
	rules  string // that fire
	figure string // whose shape is shown
	shape  drift.Shape
}{
	{"leak", "[c_leak]", series.CLive, drift.Growing},
	{"cache", "[]", series.CLive, drift.Stepped},
	{"steady", "[]", series.RSSAnon, drift.Steady},
	{"sawtooth", "[]", series.GoLive, drift.Steady},
	{"fragmentation", "[fragmentation]", series.CRetained, drift.Growing},
	{"mmap", "[mapping_leak]", series.CMmap, drift.Growing},
	{"goleak", "[go_leak]", series.GoLive, drift.Growing},
	{"goroutines", "[goroutine_leak]", series.Goroutines, drift.Growing},
	{"threads", "[thread_leak]", series.Threads, drift.Growing},
}

// warmUp is what a detector leaves out at the begin.
const warmUp = time.Minute

func TestRealRecordings(t *testing.T) {
	t.Logf("%-14s %6s %-16s %s", "recording", "s", "rules", "found after warm-up")
	for _, test := range real {
		r := replay(t, filepath.Join("testdata", "real", test.name+".jsonl"))
		first := r.rows[0].Wall
		after := "-"
		if len(r.begun) > 0 {
			took := r.begunAt[0].Sub(first) - warmUp
			after = took.String()
			if took > 5*time.Minute {
				t.Errorf("%s: found after %s", test.name, took)
			}
		}
		t.Logf("%-14s %6d %-16s %s", test.name, len(r.rows), r.names(), after)
		if r.names() != test.rules {
			t.Errorf("%s: %v", test.name, r.begun)
		}
		if got := r.State(test.figure); got.Shape != test.shape {
			t.Errorf("%s: %s is %+v", test.name, test.figure, got)
		}
	}
}
