package verdict

import (
	"fmt"
	"strings"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/termtext"
)

// whyItStays: what a trim could return after it has been freed since.
func (s *Situation) whyItStays() string {
	k := &s.Account.Kept
	if k.Returnable == nil {
		return ""
	}
	again := ""
	if n := account.Known(k.Returnable) + account.Known(k.Cached); s.isNotable(n) {
		again = fmt.Sprintf("The program has freed %s since.", termtext.Bytes(n))
	}
	return join(s.endsStay(), s.pinnedStays(), again)
}

// AfterTrim says what stayed and why, and what to do next time; "": there was little to return.
// env is what the process was started with.
func AfterTrim(last, now *account.Account, env map[string]string) string {
	before, after := last.Resident(account.CRetained), now.Resident(account.CRetained)
	s := &Situation{Account: now, Env: env}
	if before < trimWorth {
		return ""
	}
	helped, stays := "", ""
	if float64(after) <= trimHelped*float64(before) {
		helped = "It was free memory, not a leak. " +
			"It comes back with the next peak; to keep it small, " + s.keepSmall() + "."
	}
	switch {
	case after >= keptBytes && now.Allocator.InUse == nil: // what samples missed is not free
		stays = fmt.Sprintf("How much of the remaining %s is free is unknown: "+
			"the allocator has no figures.", termtext.Bytes(after))
	case after >= keptBytes:
		stays = fmt.Sprintf("%s of unused memory remains.", termtext.Bytes(after))
		why := strings.Replace(s.whyItStays(), termtext.Bytes(after)+" of it ", "All of it ", 1)
		if why == "" && helped == "" {
			why = "cgoheap does not know why."
		}
		stays = join(stays, why)
	}
	return join(helped, stays)
}

const (
	// A trim helped if at most this part of C retained is left.
	trimHelped = 0.50
	trimWorth  = 16 << 20
)
