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
// enough, all together may, or those that never free.
func (r *Row) Judge(sinceGC *time.Duration) *Why {
	w := &Why{Survives: r.Survives(), Older: r.Older,
		Cohorts: append([]Cohort{}, r.Cohorts...), row: r}
	found := make([]Finding, len(r.Stacks))
	for i, s := range r.Stacks {
		found[i] = s.Judge(sinceGC)
	}
	waits := slices.IndexFunc(found, func(f Finding) bool {
		return f.reason == waitsForGC || f.reason == noGCYet
	})
	f := r.leakOf(found, sinceGC)
	if f.Class != Leak {
		if f = r.History.Judge(sinceGC); f.Class == Leak && waits >= 0 {
			f = found[waits]
		}
	}
	w.Leaked, w.PerHour, w.Parts = f.Leaked, f.PerHour, r.parts(found)
	w.set(f, r)
	return w
}

// leakOf sums the stacks that leak, with the evidence of the largest one.  Those that never free
// are judged together, and if they leak each is found to.
func (r *Row) leakOf(found []Finding, sinceGC *time.Duration) Finding {
	kept := r.neverFreed().Judge(sinceGC)
	var leak Finding
	add := func(f Finding) {
		leaked, perHour := leak.Leaked+f.Leaked, leak.PerHour+f.PerHour
		if f.Leaked > leak.Leaked {
			leak = f
		}
		leak.Leaked, leak.PerHour = leaked, perHour
	}
	if kept.Class == Leak {
		add(kept)
	}
	for i, s := range r.Stacks {
		switch {
		case kept.Class == Leak && s.neverFreed():
			found[i].Class = Leak
		case found[i].Class == Leak:
			add(found[i])
		}
	}
	return leak
}

// parts are the stacks by class, the most bytes first.
func (r *Row) parts(found []Finding) []Part {
	by := map[Class]*Part{}
	for i, f := range found {
		if by[f.Class] == nil {
			by[f.Class] = &Part{Class: f.Class}
		}
		by[f.Class].Stacks++
		by[f.Class].Bytes += r.Stacks[i].InUse()
	}
	var list []Part
	for _, p := range by {
		list = append(list, *p)
	}
	slices.SortFunc(list, func(a, b Part) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Class, b.Class))
	})
	return list
}

// fewestOfStack: with fewer samples, some stacks of any load have lost none by chance.
const fewestOfStack = 16

// neverFreed: hardly anything of it was, though there are samples enough to tell.
func (h *History) neverFreed() bool {
	c := sum(h.Cohorts)
	return !h.ByGC() && c.sampled >= fewestOfStack && c.survivors().share() >= 0.98
}

// neverFreed is all stacks of which that is so, as one: others may churn beside them.
func (r *Row) neverFreed() *History {
	all := &History{freed: map[string]int64{}}
	for _, s := range r.Stacks {
		if !s.neverFreed() {
			continue
		}
		for _, c := range s.Cohorts {
			all.add(ages{}, c, "")
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
