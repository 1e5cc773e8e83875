package verdict

import (
	"fmt"
	"strings"

	"cgoheap/cli/internal/account"
	"cgoheap/cli/internal/termtext"
)

// whyItStays: after a trim, what could have been returned was taken back meanwhile.
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

// AfterTrim says what stayed and why, and what to do the next time; "" where there was little.
// env is what the process was started with.
func AfterTrim(last, now *account.Account, env map[string]string) string {
	before, after := last.Resident(account.CRetained), now.Resident(account.CRetained)
	s := &Situation{Account: now, Env: env}
	if before < trimWorth {
		return ""
	}
	helped, stays := "", ""
	if float64(after) <= trimHelped*float64(before) {
		helped = "It was free memory, and no leak. It comes back with the next peak; to keep it small, " + s.keepSmall() + "."
	}
	switch {
	case after >= keptBytes && now.Allocator.InUse == nil: // what samples missed is not free
		stays = fmt.Sprintf("How much of the %s that stay is free is unknown: the allocator has no figures.", termtext.Bytes(after))
	case after >= keptBytes:
		stays = fmt.Sprintf("%s of memory that is not in use stays.", termtext.Bytes(after))
		why := strings.Replace(s.whyItStays(), termtext.Bytes(after)+" of it ", "All of it ", 1)
		if why == "" && helped == "" {
			why = "cgoheap does not know why."
		}
		stays = join(stays, why)
	}
	return join(helped, stays)
}

const (
	// What is left of the retained memory for a trim to have helped, or not.
	trimHelped = 0.50
	trimWorth  = 16 << 20
)
