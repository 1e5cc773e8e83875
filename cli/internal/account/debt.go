package account

import (
	"fmt"
	"time"

	"cgoheap.example/cli/internal/termtext"
)

// WaitsForGC is what memory waits for that finalizers or cleanups free, in a word.
const WaitsForGC = "Go's GC"

// gcPeriod is the longest time between two collections unless GOGC=off: runtime.forcegcperiod.
const gcPeriod = 2 * time.Minute

// SinceGC is how long ago the last collection ended; -1: not known, or there was none.
func (a *Account) SinceGC() time.Duration {
	if a.Go.LastGC == nil {
		return -1
	}
	return max(0, a.Time.Sub(*a.Go.LastGC))
}

// NeverCollected: it is known that Go has not collected yet.
func (a *Account) NeverCollected() bool { return a.Go.GCCycles != nil && *a.Go.GCCycles == 0 }

// NeverCollects: no collection comes by itself.
func (a *Account) NeverCollects() bool {
	return a.Go.GCPercent != nil && *a.Go.GCPercent < 0 && a.Go.MemoryLimit == nil
}

// SaysGC is when Go collected last and when it will next, such as "the last GC was 6m ago, the
// next at 64.0 MiB of Go heap (now 11.0 MiB) or in 1m10s"; "" if nothing is known of it.
func (a *Account) SaysGC() string {
	last, next := a.saysLastGC(), a.saysNextGC()
	if last != "" && next != "" {
		return last + ", " + next
	}
	return last + next
}

func (a *Account) saysLastGC() string {
	switch {
	case a.NeverCollected():
		return "no GC has run yet"
	case a.Go.LastGC == nil:
		return ""
	}
	return fmt.Sprintf("the last GC was %s ago", termtext.Duration(a.SinceGC()))
}

func (a *Account) saysNextGC() string {
	g := &a.Go
	which := "the next"
	if a.NeverCollected() {
		which = "the first"
	}
	switch {
	case a.NeverCollects():
		return "none comes by itself (GOGC=off)"
	case g.HeapGoal == nil:
		return ""
	}
	text := fmt.Sprintf("%s at %s of Go heap", which, termtext.Bytes(*g.HeapGoal))
	if g.HeapNow != nil {
		text += fmt.Sprintf(" (now %s)", termtext.Bytes(*g.HeapNow))
	}
	// Before the first one there is no longest time.
	if since := a.SinceGC(); since >= 0 && g.GCPercent != nil && *g.GCPercent >= 0 {
		text += fmt.Sprintf(" or in %s",
			termtext.Duration(max(time.Second, gcPeriod-since)))
	}
	return text
}

// DebtLine is the line below C live in the table; "" without a debt.
func (a *Account) DebtLine() string {
	if Known(a.Debt) == 0 {
		return ""
	}
	text := "finalizers and cleanups free " + termtext.Bytes(*a.Debt)
	if a.DebtSurvived != nil && a.DebtNew != nil && a.Go.LastGC != nil {
		text += fmt.Sprintf(": %s newer than the last GC, %s survived it",
			termtext.Bytes(*a.DebtNew), termtext.Bytes(*a.DebtSurvived))
	}
	return text
}
