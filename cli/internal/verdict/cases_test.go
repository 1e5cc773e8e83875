package verdict

import (
	"slices"
	"time"

	"cgoheap.example/cli/internal/account"
)

type verdictCase struct {
	rule  string
	why   string
	is    func() *Situation
	wants string // all of its text; "" the rule is silent
}

func changed(change func(s *Situation)) func() *Situation {
	return func() *Situation {
		s := quiet()
		change(s)
		return s
	}
}

// owning is with so much in one owner.
func owning(name string, bytes int64) func() *Situation {
	return changed(func(s *Situation) { s.set(name, bytes) })
}

// grown is with a look before, since which one owner has grown.
func grown(elapsed time.Duration, name string, grew int64) func() *Situation {
	return changed(func(s *Situation) { s.after(elapsed, name, grew) })
}

// inUse is with so much in use by the allocator's count.
func inUse(bytes int64) func() *Situation {
	return changed(func(s *Situation) { s.Account.Allocator.InUse = num(bytes) })
}

func goLimited(limit string) func() *Situation {
	return changed(func(s *Situation) { s.Env["GOMEMLIMIT"] = limit })
}

// goLimitedNow is with the Go package, which knows the limit as it is; 0: none.
func goLimitedNow(started string, now int64) func() *Situation {
	return changed(func(s *Situation) {
		s.Env["GOMEMLIMIT"] = started
		source := account.GoOwnFigures
		s.Account.Go.Source = source
		if now != 0 {
			s.Account.Go.MemoryLimit = num(now)
		}
	})
}

// Each rule has an account that triggers it, and one that misses by little.
var verdictCases = slices.Concat(growthCases, ageCases, cCases, keptCases, systemCases, debtCases)
