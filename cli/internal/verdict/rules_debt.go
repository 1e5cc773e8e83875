package verdict

import (
	"fmt"
	"strings"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/termtext"
)

// C memory that finalizers or cleanups free.  What a collection has not seen yet waits for the
// next one.  What was there when the last one began and is in use still was referred to then: it
// waits for the program to let go of it.  And what a collection has queued waits for the goroutine
// of finalizers.

const (
	debtShare = 0.05
	// The part of the debt that is worth a clause.
	debtPart = 0.10
	// Finalizers that have not run so long after the last collection do not just take a while.
	stuckTime = 30 * time.Second
	// Of a collection that is longer ago, much may have become unreachable since.
	recentGC     = 2 * time.Minute
	shownDebtors = 3
)

// stuck: what a collection has queued, as words, if it should have run by now; "".
func (s *Situation) stuck() string {
	g := &s.Account.Go
	if s.Account.SinceGC() < stuckTime {
		return ""
	}
	var queued []string
	if n := account.Known(g.FinalizersWaiting); n > 0 {
		queued = append(queued, termtext.CountOf(int(n), "finalizer", "finalizers"))
	}
	if n := account.Known(g.CleanupsWaiting); n > 0 {
		queued = append(queued, termtext.CountOf(int(n), "cleanup", "cleanups"))
	}
	switch {
	case len(queued) == 1 && strings.HasPrefix(queued[0], "1 "):
		return queued[0] + " that a GC has queued has not ended"
	case len(queued) > 0:
		return listOf(queued) + " that GCs have queued have not ended"
	case g.FinalizerRunning != nil && *g.FinalizerRunning:
		return "A finalizer is still running"
	}
	return ""
}

func finalizersStuck(s *Situation) string {
	stuck := s.stuck()
	if stuck == "" || s.Ended {
		return ""
	}
	text := fmt.Sprintf("%s, %s after the last GC: one of them blocks or takes long, and they run "+
		"one after the other.", stuck, termtext.Duration(s.Account.SinceGC()))
	if s.debtMatters() {
		text += fmt.Sprintf(" %s of C memory is freed by finalizers or cleanups.",
			termtext.Bytes(*s.Account.Debt))
	}
	return fmt.Sprintf("%s See where: %s, in the goroutine of runtime.runFinalizers "+
		"(runtime.runfinq before Go 1.25) or runtime.runCleanups.", text, s.pprof("goroutine"))
}

func (s *Situation) debtMatters() bool {
	return s.atLeast(account.Known(s.Account.Debt), debtShare, NotableBytes)
}

func finalizerDebt(s *Situation) string {
	if !s.debtMatters() {
		return ""
	}
	a := s.Account
	text := fmt.Sprintf("%s of what C holds is freed by finalizers or cleanups, after Go's GC%s.",
		s.of(*a.Debt), s.debtors())
	if says := a.SaysGC(); says != "" {
		text += " " + upperFirst(says) + "."
	}
	return join(text, s.debtByAge(), s.payDebt())
}

// debtors names the largest callers.
func (s *Situation) debtors() string {
	if s.Debtors == nil {
		return ""
	}
	var names []string
	for i, d := range s.Debtors() {
		if i == shownDebtors || float64(d.Bytes) < debtPart*float64(*s.Account.Debt) {
			break
		}
		names = append(names, fmt.Sprintf("%s (%s)", d.GoCaller, termtext.Bytes(d.Bytes)))
	}
	if len(names) == 0 {
		return ""
	}
	return ": by " + listOf(names)
}

func (s *Situation) isPart(n int64) bool {
	return n >= NotableBytes/2 && float64(n) >= debtPart*float64(*s.Account.Debt)
}

// debtByAge says what a collection can free, as far as the ages say.
func (s *Situation) debtByAge() string {
	old, fresh := account.Known(s.Account.DebtSurvived), account.Known(s.Account.DebtNew)
	var sentences []string
	if s.isPart(fresh) && !s.Account.NeverCollected() {
		sentences = append(sentences, fmt.Sprintf("%s of it is newer than that: no GC has had a "+
			"chance to free it.", termtext.Bytes(fresh)))
	}
	if s.isPart(old) {
		text := fmt.Sprintf("%s of it was there at the last GC, which did not free it: Go "+
			"still referred to it then", termtext.Bytes(old))
		if s.stuck() != "" {
			text = fmt.Sprintf("%s of it was there at the last GC: Go still referred to it "+
				"then, or its finalizer is among those that have not run", termtext.Bytes(old))
		} else if since := s.Account.SinceGC(); since < recentGC {
			text += ", so it waits for the program to let go of it and not for a GC"
		} else {
			text += "; what the program has let go of since, a GC would free"
		}
		sentences = append(sentences, text+".")
	}
	return join(sentences...)
}

// waitsForProgram: most of the debt was referred to a short time ago.
func (s *Situation) waitsForProgram() bool {
	old, since := account.Known(s.Account.DebtSurvived), s.Account.SinceGC()
	return 2*old > *s.Account.Debt && since >= 0 && since < recentGC
}

// payDebt is the remedy.
func (s *Situation) payDebt() string {
	a := s.Account
	byHand := "have the program free it by hand (Close, Free) when it is done with it"
	switch {
	case s.stuck() != "": // finalizers_stuck says where to look
		return ""
	case s.waitsForProgram():
		return fmt.Sprintf("What refers to it: %s shows Go's objects; drop them, or %s.",
			s.pprof("heap"), byHand)
	case a.NeverCollects():
		return upperFirst(byHand) + ", call runtime.GC at times, or give Go a memory limit " +
			"(GOMEMLIMIT, or memlimit of the Go package with CollectC)." + s.collectNow()
	}
	return "Go's GC does not count C's memory. " + upperFirst(byHand) + "; or have Go collect " +
		"more often: a smaller debug.SetGCPercent, runtime.GC after large work, or memlimit of " +
		"the Go package with CollectC." + s.collectNow()
}

// collectNow is how to run a collection from outside.
func (s *Situation) collectNow() string {
	switch {
	case s.Ended:
		return ""
	case s.GoPprof == "":
		return " To see what a GC frees now: `curl -o /dev/null " +
			"http://SERVICE/debug/pprof/heap?gc=1`."
	}
	index, _, _ := strings.Cut(s.GoPprof, "/heap?")
	return " To see what a GC frees now: `curl -o /dev/null " +
		termtext.QuoteShell(index+"/heap?gc=1") + "`."
}

// gcNever is about a process that holds much in C of which it cannot be known yet that finalizers
// free it, because no collection has run or will.
func gcNever(s *Situation) string {
	a := s.Account
	off := a.Debt == nil && a.NeverCollects() && a.SinceGC() > recentGC
	// Before the first one, that some is freed by hand says nothing of the rest.
	first := a.NeverCollected() && account.Known(a.Debt) == 0
	if s.Ended || !s.large(account.CLive) || !first && !off {
		return ""
	}
	return upperFirst(a.SaysGC()) + ": if finalizers or cleanups free what C holds, none of it " +
		"has been freed since." + s.collectNow()
}

// Debtors is how a Situation gets them from a profile; nil where there is none.
type Debtors func() []holders.Debtor
