package verdict

import (
	"fmt"
	"slices"
	"strings"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/termtext"
)

// Rules about growth.  They give what the table's GROWN column shows with its window and,
// if the window is long enough, a rate.

// change says how much an owner grew.  For C's blocks it also says what no growth proves, which is
// little, as a leak needs load to grow, and what the blocks' age says.
func (s *Situation) change(owner string) string {
	grew := s.grew(owner)
	switch {
	case grew != "" && owner == s.growsMost: // owner_grows says it
		return ""
	case grew != "" && slices.Contains(plural, owner):
		return "They " + grew + "."
	case grew != "":
		return "It " + grew + "." + s.then(owner)
	case owner != account.CLive:
		return ""
	}
	return join(s.notGrown(), s.byAge())
}

// then is what C's blocks' age says, after a sentence.
func (s *Situation) then(owner string) string {
	if text := s.byAge(); owner == account.CLive && text != "" {
		return " " + text
	}
	return ""
}

// notGrown says of C's blocks what there is instead of growth.
func (s *Situation) notGrown() string {
	longest := s.Grown
	if s.Hour.Of(account.CLive) != nil {
		longest = s.Hour
	}
	switch {
	case longest.Of(account.CLive) == nil && s.Ended:
		return "The recording is too short to tell whether it grew."
	case longest.Of(account.CLive) == nil && s.knowsAges():
		return ""
	case longest.Of(account.CLive) == nil:
		return "To see whether it grows, run this again in a few minutes."
	case liveMatters(longest, -*longest.Of(account.CLive),
		s.Account.Resident(account.CLive)-*longest.Of(account.CLive)):
		return fmt.Sprintf("It shrank by %s in %s; that may hide something else that grew.",
			termtext.Bytes(-*longest.Of(account.CLive)), termtext.Duration(longest.Elapsed))
	case longest.Elapsed < EvidenceTime:
		return fmt.Sprintf("It has not grown in %s, which is too short to tell.",
			termtext.Duration(longest.Elapsed))
	}
	return fmt.Sprintf("It has not grown in %s; without load a leak does not grow either.",
		termtext.Duration(longest.Elapsed))
}

var plural = []string{account.GoStacks, account.ThreadStacks, account.MappedFiles}

func (s *Situation) windows() []*account.Growth { return account.Windows(s.Grown, s.Hour) }

// grewBy is an owner's growth, counted as has counts; 0 if unknown.
func (s *Situation) grewBy(g *account.Growth, owner string) int64 {
	switch owner {
	case account.Program:
		return account.Known(g.Of(account.Program)) + account.Known(g.Of(account.Libraries))
	case unexplainedOwner:
		return s.Account.Unexplained - g.Last.Unexplained
	}
	return account.Known(g.Of(owner))
}

// grew says how much an owner grew in each window, "" in none: "grew by 24.2 MiB in 1m02s
// (1.4 GiB an hour since 14:02), by 30.0 MiB in 1h (30.0 MiB an hour since 13:03)".
func (s *Situation) grew(owner string) string {
	var parts []string
	still := ""
	for _, g := range s.windows() {
		n := s.grewBy(g, owner)
		if n > 0 {
			parts = append(parts, g.Says(n))
		} else if g == s.Grown && g.Of(owner) != nil {
			still = ", but not in the last " + termtext.Duration(g.Elapsed)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "grew " + strings.Join(parts, ", ") + still
}

// liveGrows: in one of the windows the C heap grew by more than noise.  Resident bytes are
// partly estimated, so the allocator's count must have grown too, if both looks have one.
func (s *Situation) liveGrows() bool {
	return slices.ContainsFunc(s.windows(), func(g *account.Growth) bool {
		grew := account.Known(g.Of(account.CLive))
		before := s.Account.Resident(account.CLive) - grew
		now, last := s.Account.Allocator.InUse, g.Last.Allocator.InUse
		return liveMatters(g, grew, before) &&
			(now == nil || last == nil || liveMatters(g, *now-*last, before))
	})
}

func liveMatters(g *account.Growth, grew, before int64) bool {
	return matters(g, grew, before, liveGrowthShare, liveGrowthBytes)
}

// matters says that growth is not noise: by its amount or its rate, relative to before.
func matters(g *account.Growth, grew, before int64, share float64, bytes int64) bool {
	if grew < bytes {
		return false
	}
	rate := g.PerHour(grew)
	return float64(grew) >= share*float64(before) ||
		rate != nil && float64(*rate) >= rateShare*float64(before)
}

func cLiveGrows(s *Situation) string {
	if !s.liveGrows() {
		return ""
	}
	text := fmt.Sprintf("C live %s, to %s.", s.grew(account.CLive), s.of(s.has(account.CLive)))
	if s.Ended {
		return fmt.Sprintf("%s If the load was steady, it is a leak: %s shows who held it, "+
			"and %s saves that as a profile.%s",
			text, s.showHolders(), s.saveProfile(""), s.wakeFirst())
	}
	return join(text, s.byAge(), s.whereToLook(account.CLive))
}

// mostGrown is the owner without a growth rule that grew most, and the window; "": none grew
// enough.
func (s *Situation) mostGrown() (string, *account.Growth) {
	for _, g := range s.windows() {
		most := ""
		for _, name := range s.ranked() {
			isOther := name != account.CLive && name != unexplainedOwner
			if isOther && s.grewBy(g, name) > s.grewBy(g, most) {
				most = name
			}
		}
		if matters(g, s.grewBy(g, most), s.Account.RSS, growthShare, growthBytes) {
			return most, g
		}
	}
	return "", nil
}

func ownerGrows(s *Situation) string {
	name := s.growsMost
	if name == "" {
		return ""
	}
	now, grew := s.Account.Resident(name), s.grewBy(s.growsIn, name)
	if name == account.Program {
		now = s.has(name)
	}
	text := fmt.Sprintf("%s %s: from %s to %s.", upperFirst(speakOf(name)), s.grew(name),
		termtext.Bytes(now-grew), termtext.Bytes(now))
	if name == s.dominant {
		return text
	}
	return join(text, s.whereToLook(name))
}

// whereToLook is the next command for an owner that grows.
func (s *Situation) whereToLook(owner string) string {
	switch owner {
	case account.CLive:
		if s.knowsAges() {
			return upperFirst(s.showWhy()) + " shows what stays." + s.wakeFirst()
		}
		return fmt.Sprintf("If it keeps growing under a steady load, it is a leak: "+
			"%s shows who holds it, and %s saves only the old blocks.%s",
			s.showHolders(), s.saveProfile(" --older 10m"), s.wakeFirst())
	case account.GoHeap:
		return "To see what is in use: " + s.pprof("heap") + "."
	case account.GoStacks:
		return "Which goroutines: " + s.pprof("goroutine") + "."
	case account.CMmap:
		return "Who mapped it: " + s.saveProfile(" --seconds 60") +
			", and `-tagfocus=origin=mmap` to pprof."
	case account.ThreadStacks:
		return "Who made the threads: " + s.saveProfile(memoryFlag) + "."
	case account.CRetained:
		if s.Ended {
			return ""
		}
		return s.command("trim %d") + " shows how much of it can be returned."
	}
	return ""
}

// notALeak is said of free memory only if nothing else may leak: a reader takes it for the
// whole process.
func (s *Situation) notALeak() string {
	// Where the allocator does not say what is in use, C retained relies on samples, which may
	// have begun late.
	if s.Account.Allocator.InUse == nil || leaks(s) != "" || cLiveGrows(s) != "" ||
		ownerGrows(s) != "" || s.large(account.CLive) || s.large(account.CMmap) ||
		s.large(account.CBrk) || s.large(account.UntrackedMmap) {
		return ""
	}
	return "Not a leak."
}
