package verdict

import (
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/holders"
)

// owing is with so much that finalizers free, of which so much has survived the last collection
// (-1: not known), which was so long ago.
func owing(debt, survived int64, ago time.Duration, more ...func(s *Situation)) func() *Situation {
	return changed(func(s *Situation) {
		a := s.Account
		s.set(account.CLive, 600*mib)
		a.Allocator.InUse = num(600 * mib)
		a.Debt = num(debt)
		if survived >= 0 {
			a.DebtSurvived, a.DebtNew = num(survived), num(debt-survived)
		}
		last := a.Time.Add(-ago)
		a.Go.LastGC, a.Go.GCCycles, a.Go.GCPercent = &last, num(7), num(100)
		a.Go.HeapGoal, a.Go.HeapNow = num(64*mib), num(11*mib)
		for _, change := range more {
			change(s)
		}
	})
}

func gcOff(s *Situation) { s.Account.Go.GCPercent, s.Account.Go.HeapGoal = num(-1), nil }

func byParser(s *Situation) {
	s.Debtors = func() []holders.Debtor {
		return []holders.Debtor{{GoCaller: "treesitter.(*Parser).Parse", Bytes: 470 * mib},
			{GoCaller: "main.rest", Bytes: 11 * mib}}
	}
}

const (
	shownTail = " To see what a GC frees now: `curl -o /dev/null " +
		"http://SERVICE/debug/pprof/heap?gc=1`."
	usualRemedy = " Go's GC does not count C's memory. Have the program free it by hand (Close, " +
		"Free) when it is done with it; or have Go collect more often: a smaller " +
		"debug.SetGCPercent, runtime.GC after large work, or memlimit of the Go package with " +
		"CollectC." + shownTail
	usualTimes = " The last GC was 50s ago, the next at 64.0 MiB of Go heap (now 11.0 MiB) " +
		"or in 1m10s."
	freedAfter = "481.0 MiB (32 % of RSS) of what C holds is freed by finalizers or cleanups, " +
		"after Go's GC"
)

var debtCases = []verdictCase{
	{"finalizer_debt", "it waits for the next collection", owing(481*mib, 0, 50*time.Second,
		byParser), freedAfter + ": by treesitter.(*Parser).Parse (470.0 MiB)." + usualTimes +
		" 481.0 MiB of it is newer than that: no GC has had a chance to free it." + usualRemedy},
	{"finalizer_debt", "when it was allocated is not known", owing(481*mib, -1, 50*time.Second),
		freedAfter + "." + usualTimes + usualRemedy},
	{"finalizer_debt", "most of it is referred to", owing(481*mib, 400*mib, 50*time.Second),
		freedAfter + "." + usualTimes + " 81.0 MiB of it is newer than that: no GC has had a " +
			"chance to free it. 400.0 MiB of it was there at the last GC, which did not free it: " +
			"Go still referred to it then, so it waits for the program to let go of it and not " +
			"for a GC. What refers to it: `go tool pprof http://SERVICE/debug/pprof/heap` shows " +
			"Go's objects; drop them, or have the program free it by hand (Close, Free) when it " +
			"is done with it."},
	{"finalizer_debt", "GOGC=off", owing(481*mib, 100*mib, 6*time.Minute, gcOff),
		freedAfter + ". The last GC was 6m ago, none comes by itself (GOGC=off). 381.0 MiB of it " +
			"is newer than that: no GC has had a chance to free it. 100.0 MiB of it was there at " +
			"the last GC, which did not free it: Go still referred to it then; what the program " +
			"has let go of since, a GC would free. Have the program free it by hand (Close, " +
			"Free) when it is done with it, call runtime.GC at times, or give Go a memory limit " +
			"(GOMEMLIMIT, or memlimit of the Go package with CollectC)." + shownTail},
	{"finalizer_debt", "nothing is known of Go, and its net/http/pprof is",
		owing(481*mib, -1, 0, func(s *Situation) {
			s.Account.Go = account.Go{}
			s.GoPprof = "http://127.0.0.1:6060/debug/pprof/heap?debug=1"
		}), freedAfter + ". Go's GC does not count C's memory. Have the program free it by hand " +
			"(Close, Free) when it is done with it; or have Go collect more often: a smaller " +
			"debug.SetGCPercent, runtime.GC after large work, or memlimit of the Go package with " +
			"CollectC. To see what a GC frees now: `curl -o /dev/null " +
			"'http://127.0.0.1:6060/debug/pprof/heap?gc=1'`."},
	{"finalizer_debt", "what a finalizer has not run for", owing(481*mib, 400*mib, time.Minute,
		func(s *Situation) { s.Account.Go.FinalizersWaiting = num(3) }),
		freedAfter + ". The last GC was 1m ago, the next at 64.0 MiB of Go heap (now 11.0 " +
			"MiB) or in 1m. 81.0 MiB of it is newer than that: no GC has had a " +
			"chance to free it. 400.0 MiB of it was there at the last GC: Go still referred to " +
			"it then, or its finalizer is among those that have not run."},
	{"finalizer_debt", "freed by hand", owing(0, 0, 50*time.Second), ""},
	{"finalizer_debt", "little of it", owing(7*mib, 0, 50*time.Second), ""},
	{"finalizer_debt", "a twentieth but for a bit", owing(74*mib, 0, 50*time.Second), ""},
	{"finalizer_debt", "who frees is not known", owing(0, -1, 50*time.Second,
		func(s *Situation) { s.Account.Debt = nil }), ""},

	{"finalizers_stuck", "one blocks", owing(481*mib, 400*mib, time.Minute, func(s *Situation) {
		s.Account.Go.FinalizersWaiting, s.Account.Go.CleanupsWaiting = num(1200), num(1)
	}), "1,200 finalizers and 1 cleanup that GCs have queued have not ended, 1m after the last " +
		"GC: one of them blocks or takes long, and they run one after the other. 481.0 MiB of C " +
		"memory is freed by finalizers or cleanups. See where: " + goroutines},
	{"finalizers_stuck", "one alone", owing(0, 0, time.Minute, func(s *Situation) {
		s.Account.Go.FinalizersWaiting = num(1)
	}), "1 finalizer that a GC has queued has not ended, 1m after the last GC: one of them " +
		"blocks or takes long, and they run one after the other. See where: " + goroutines},
	{"finalizers_stuck", "how many is not known", owing(0, 0, time.Minute, func(s *Situation) {
		yes := true
		s.Account.Go.FinalizerRunning = &yes
	}), "A finalizer is still running, 1m after the last GC: one of them blocks or takes long, " +
		"and they run one after the other. See where: " + goroutines},
	{"finalizers_stuck", "they have just been queued", owing(0, 0, 29*time.Second,
		func(s *Situation) { s.Account.Go.FinalizersWaiting = num(1200) }), ""},
	{"finalizers_stuck", "all have run", owing(0, 0, time.Minute, func(s *Situation) {
		no := false
		s.Account.Go.FinalizersWaiting, s.Account.Go.CleanupsWaiting = num(0), num(0)
		s.Account.Go.FinalizerRunning = &no
	}), ""},

	{"gc_never", "none has run", owing(0, -1, 0, func(s *Situation) {
		s.Account.Debt, s.Account.Go.LastGC, s.Account.Go.GCCycles = nil, nil, num(0)
	}), "No GC has run yet, the first at 64.0 MiB of Go heap (now 11.0 MiB): if finalizers " +
		"or cleanups free what C holds, none of it has been freed since." + shownTail},
	{"gc_never", "none has run, and some is freed by hand", owing(0, -1, 0, func(s *Situation) {
		s.Account.Debt, s.Account.Go.LastGC, s.Account.Go.GCCycles = num(0), nil, num(0)
	}), "No GC has run yet, the first at 64.0 MiB of Go heap (now 11.0 MiB): if finalizers " +
		"or cleanups free what C holds, none of it has been freed since." + shownTail},
	{"gc_never", "off for long", owing(0, -1, 6*time.Minute, gcOff,
		func(s *Situation) { s.Account.Debt = nil }),
		"The last GC was 6m ago, none comes by itself (GOGC=off): if finalizers or cleanups free " +
			"what C holds, none of it has been freed since." + shownTail},
	{"gc_never", "who frees is known", owing(0, 0, 6*time.Minute, gcOff), ""},
	{"gc_never", "it has run", owing(0, -1, time.Minute,
		func(s *Situation) { s.Account.Debt = nil }), ""},
	{"gc_never", "C holds little", changed(func(s *Situation) {
		s.Account.Go.GCCycles = num(0)
	}), ""},
}

const goroutines = "`go tool pprof http://SERVICE/debug/pprof/goroutine`, in the goroutine of " +
	"runtime.runFinalizers (runtime.runfinq before Go 1.25) or runtime.runCleanups."
