package cohort

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"cgoheap.example/cli/internal/termtext"
)

// WaitsForGC and WaitsForNothing are what a row can wait for.
const (
	WaitsForGC      = "gc"
	WaitsForNothing = "nothing"
)

// NeedsGC says that the time of Go's last GC matters to one of the rows.
func NeedsGC(rows []Held) bool {
	return slices.ContainsFunc(rows, func(h Held) bool {
		return h.Class == Leak || h.row.ByGC()
	})
}

// Part is the stacks of a row that are of one class.
type Part struct {
	Class  Class `json:"class"`
	Stacks int   `json:"stacks"`
	Bytes  int64 `json:"in_use_bytes"`
}

// Why is what is known of a row.
type Why struct {
	Class      Class    `json:"class"`
	Confidence *float64 `json:"confidence"` // null: too early to say
	Survives   *float64 `json:"survives"`   // share of what was allocated
	WaitsFor   *string  `json:"waits_for"`  // "nothing", "gc"; null: not known
	Says       string   `json:"says"`
	Leaked     int64    `json:"leak_bytes"`
	PerHour    int64    `json:"leak_bytes_per_hour"`
	Older      int64    `json:"older_bytes"` // in use, allocated before the cohorts begin
	Cohorts    []Cohort `json:"cohorts"`
	Parts      []Part   `json:"parts"` // by class of the stacks

	Shows string `json:"-"` // of a leak: the evidence alone
	IsNew bool   `json:"-"` // a leak that may be a cache that still fills

	row *Row
}

// Judge a row: a leak of one of its stacks is one of the row.  Where no stack alone has samples
// enough, all together may.
func (r *Row) Judge(sinceGC *time.Duration) *Why {
	w := &Why{Survives: r.Survives(), Older: r.Older,
		Cohorts: append([]Cohort{}, r.Cohorts...), row: r}
	whole := r.History.Judge(sinceGC)
	parts := map[Class]*Part{}
	var leak, waits Finding
	for _, s := range r.Stacks {
		f := s.Judge(sinceGC)
		if parts[f.Class] == nil {
			parts[f.Class] = &Part{Class: f.Class}
		}
		parts[f.Class].Stacks++
		parts[f.Class].Bytes += s.InUse()
		if f.Class == Leak {
			w.Leaked, w.PerHour = w.Leaked+f.Leaked, w.PerHour+f.PerHour
			if f.Leaked > leak.Leaked {
				leak = f
			}
		}
		if f.reason == waitsForGC || f.reason == noGCYet {
			waits = f
		}
	}
	for _, p := range parts {
		w.Parts = append(w.Parts, *p)
	}
	slices.SortFunc(w.Parts, func(a, b Part) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Class, b.Class))
	})
	switch {
	case leak.Class == Leak:
		whole = leak
		whole.PerHour = w.PerHour
	case whole.Class == Leak && waits.Class == TooEarly:
		whole = waits
	case whole.Class == Leak:
		w.Leaked, w.PerHour = whole.Leaked, whole.PerHour
	default:
		if f := r.neverFreed().Judge(sinceGC); f.Class == Leak {
			whole, w.Leaked, w.PerHour = f, f.Leaked, f.PerHour
		}
	}
	w.set(whole, r)
	return w
}

// fewestOfStack: with fewer samples, some stacks of any load have lost none by chance.
const fewestOfStack = 16

// neverFreed is all stacks of which hardly anything was freed: others may churn beside them.
func (r *Row) neverFreed() *History {
	all := &History{freed: map[string]int64{}}
	for _, s := range r.Stacks {
		if c := sum(s.Cohorts); c.sampled >= fewestOfStack && c.survivors().share() >= 0.98 {
			for _, c := range s.Cohorts {
				all.add(ages{}, c, "")
			}
		}
	}
	return all
}

func (w *Why) set(f Finding, r *Row) {
	w.Class, w.Says = f.Class, f.Says()
	if f.Class != TooEarly {
		w.Confidence = &f.Confidence
	}
	waits := ""
	switch {
	case f.Class == Leak:
		waits, w.Shows, w.IsNew = WaitsForNothing, f.shows(), f.isNew()
		w.Says += w.besides(len(r.Stacks))
	case r.ByGC():
		waits = WaitsForGC
	}
	if waits != "" {
		w.WaitsFor = &waits
	}
}

// besides says what else a leaking row holds.
func (w *Why) besides(stacks int) string {
	text, leaking := "", 0
	for _, p := range w.Parts {
		if p.Class == Leak {
			leaking = p.Stacks
		} else if p.Bytes > 0 {
			text += fmt.Sprintf(", %s %s", p.Class, termtext.Bytes(p.Bytes))
		}
	}
	if leaking == 0 || leaking == stacks {
		return ""
	}
	return fmt.Sprintf(" (%d of %s%s)", leaking,
		termtext.CountOf(stacks, "stack", "stacks"), text)
}

// Percent of the row's allocations that survives, as a cell.
func (w *Why) Percent() string {
	return w.row.Percent()
}
