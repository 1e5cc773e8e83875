package cohort

import (
	"fmt"
	"time"

	"cgoheap.example/cli/internal/termtext"
)

// String is the class as people read it.
func (c Class) String() string {
	switch c {
	case WarmUp:
		return "warm-up"
	case TooEarly:
		return "too early to say"
	}
	return string(c)
}

// Says is what the finding means, in a sentence without a full stop.
func (f Finding) Says() string {
	switch f.Class {
	case Leak:
		return f.saysLeak()
	case Cache:
		return "a cache: " + f.Evidence.says() + f.saysMost()
	case WarmUp:
		return fmt.Sprintf("warm-up: it was allocated %s, and nothing that stays came since",
			f.Evidence.ago())
	case Churn:
		return "churn: " + f.Evidence.says()
	}
	return TooEarly.String() + ": " + f.saysWhy()
}

func (f Finding) saysLeak() string {
	what := fmt.Sprintf("leak%s: %s", f.unsure(), f.shows())
	if f.isNew() {
		what += "; a cache that still fills looks the same"
	}
	return fmt.Sprintf("%s; %s an hour", what, termtext.Growth(f.PerHour))
}

// shows is the evidence for a leak.
func (f Finding) shows() string {
	if share := f.Evidence.Share(); share < 0.98 {
		return fmt.Sprintf("%s of what was allocated %s still lives, and none of that dies",
			percent(share), f.Evidence.ago())
	}
	return fmt.Sprintf("of what was allocated %s, all still lives", f.Evidence.ago())
}

// isNew: all lives, and for too short a time to exclude that it is to live so long.
func (f Finding) isNew() bool { return f.Evidence.Share() >= 0.98 && f.Evidence.end() < time.Hour }

// unsure is the confidence, where there is reason to doubt.
func (f Finding) unsure() string {
	if f.Confidence >= 0.95 {
		return ""
	}
	return fmt.Sprintf(" (%.0f %% sure)", 100*f.Confidence)
}

func (f Finding) saysMost() string {
	if f.Evidence.alive <= 0 {
		return ""
	}
	return fmt.Sprintf("; at most %.0f %% of what is in use can be a leak", 100*min(1, f.most))
}

func (f Finding) saysWhy() string {
	switch f.reason {
	case watchedShort:
		return fmt.Sprintf("a leak shows after %s; so far, %s", termtext.Duration(LeakAge),
			f.Evidence.says())
	case shrinks:
		return "it shrinks with age, but not yet to nothing: " + f.Evidence.says()
	case slows:
		return "most of what stays came early, and less since"
	case boundary:
		return fmt.Sprintf("what came in the last %s stays, and what is older is gone: "+
			"it is kept for so long, or it leaks since then", termtext.Duration(f.Evidence.end()))
	case partStays:
		return "it shrinks like a cache, but some may stay: " + f.Evidence.says()
	case smallAndNew:
		return f.shows() + ", but it is little and new: a queue or a pool that fills looks the same"
	case noGCYet:
		return "no GC has run since it was allocated: if a finalizer frees it, it waits for that"
	case waitsForGC:
		return "only Go's GC frees it, and none came since it was allocated"
	}
	if f.Evidence.sampled <= 0 {
		return "nothing of it was sampled since its allocations are kept by age"
	}
	return "too few samples; " + f.Evidence.says()
}

// ago is the time of a cohort: "10m to 20m ago", "more than 1h ago".
func (c Cohort) ago() string {
	if c.To == 0 {
		return "more than " + age(c.From) + " ago"
	}
	return fmt.Sprintf("%s to %s ago", age(c.From), age(c.To))
}

// age of minutes is said without seconds.
func age(d time.Duration) string {
	if d >= 2*time.Minute {
		d = d.Round(time.Minute)
	}
	return termtext.Duration(d)
}

// says how much of a cohort lives.
func (c Cohort) says() string {
	if c.alive <= 0 {
		return fmt.Sprintf("of what was allocated %s, nothing lives", c.ago())
	}
	return fmt.Sprintf("of what was allocated %s, %s lives", c.ago(), percent(c.Share()))
}

// percent of a share: what is not all is not 100 %, and what is not nothing not 0 %.
func percent(share float64) string {
	switch p := 100 * share; {
	case share >= 0.995:
		return "all"
	case p >= 9.5:
		return fmt.Sprintf("%.0f %%", min(p, 99))
	case p >= 0.1:
		return fmt.Sprintf("%.1f %%", p)
	}
	return "less than 0.1 %"
}

// Percent is the share of a history that survives, as a cell: "3 %", "-" where it is not known.
func (h *History) Percent() string {
	share := h.Survives()
	switch {
	case share == nil:
		return "-"
	case *share > 0 && *share < 0.01:
		return "<1 %"
	case *share > 0.99 && *share < 1:
		return ">99 %"
	}
	return fmt.Sprintf("%.0f %%", 100**share)
}
