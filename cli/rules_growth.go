package main

import (
	"fmt"
	"slices"
	"time"
)

// Rules about growth.  What the table's GROWN column shows is given as an amount, with its
// window and, where the window is long enough, a rate.

// change is what an owner grew by.  Of C's blocks it also says what no growth proves:
// little, as a leak needs load to grow.
func (s *situation) change(owner string) string {
	grew := s.grewBy(owner)
	switch {
	case grew > 0 && owner == s.growsMost: // that is said by itself
		return ""
	case grew > 0 && slices.Contains(plural, owner):
		return "They " + s.grew(grew) + "."
	case grew > 0:
		return "It " + s.grew(grew) + "."
	case owner != cLive:
		return ""
	case s.grown.of(cLive) == nil && s.ended:
		return "The record is too short to tell whether it grew."
	case s.grown.of(cLive) == nil:
		return "To see whether it grows, run this again in some minutes."
	case s.grown.Elapsed < evidenceTime:
		return fmt.Sprintf("It has not grown in %s, which is too short to tell.", formatDuration(s.grown.Elapsed))
	}
	return fmt.Sprintf("It has not grown in %s. Under load that speaks for a cache or a working set; without load a leak does not grow either.",
		formatDuration(s.grown.Elapsed))
}

var plural = []string{goStacks, threadStacks, mappedFiles}

// grewBy is an owner's growth as has counts it; 0 also where it is not known.
func (s *situation) grewBy(owner string) int64 {
	switch {
	case s.grown == nil:
		return 0
	case owner == programOwner:
		return known(s.grown.of(programOwner)) + known(s.grown.of(librariesPart))
	case owner == unexplainedOwner:
		return s.account.Unexplained - s.grown.last.Unexplained
	}
	return known(s.grown.of(owner))
}

// grew says an amount and its rate: "grew by 24.2 MiB in 1m02s (1.4 GiB an hour since 14:02)".
func (s *situation) grew(n int64) string {
	text := fmt.Sprintf("grew by %s in %s", formatBytes(n), formatDuration(s.grown.Elapsed))
	if rate := s.grown.perHour(n); rate != nil {
		text += fmt.Sprintf(" (%s an hour since %s)", formatBytes(*rate), s.grown.clock())
	}
	return text
}

// liveGrowth is what the C heap grew by; 0 where that is noise.  Resident bytes are partly
// estimated, so the allocator's own count has to have grown too, where both looks have one.
func (s *situation) liveGrowth() int64 {
	grew := known(s.grown.of(cLive))
	if grew <= 0 {
		return 0
	}
	before := s.account.resident(cLive) - grew
	if now, last := s.account.Allocator.InUse, s.grown.last.Allocator.InUse; now != nil && last != nil &&
		!s.matters(*now-*last, before, liveGrowthShare, liveGrowthBytes) {
		return 0
	}
	if !s.matters(grew, before, liveGrowthShare, liveGrowthBytes) {
		return 0
	}
	return grew
}

// matters: growth that is not noise, by its amount or by its rate, beside what there was.
func (s *situation) matters(grew, before int64, share float64, bytes int64) bool {
	if grew < bytes {
		return false
	}
	rate := s.grown.perHour(grew)
	return float64(grew) >= share*float64(before) || rate != nil && float64(*rate) >= rateShare*float64(before)
}

func cLiveGrows(s *situation) string {
	grew := s.liveGrowth()
	if grew == 0 {
		return ""
	}
	text := fmt.Sprintf("C live %s, to %s.", s.grew(grew), s.of(s.has(cLive)))
	if s.ended {
		return fmt.Sprintf("%s If that was at a steady load, it is a leak: %s shows who held it, and %s saves that as a profile.%s", text,
			s.showHolders(), s.saveProfile(""), s.wakeFirst())
	}
	return fmt.Sprintf("%s If that goes on at a steady load it is a leak: %s shows who holds it, and %s saves the blocks that are old.%s",
		text, s.showHolders(), s.saveProfile(" --older 10m"), s.wakeFirst())
}

// mostGrown: of the owners that have no growth rule to themselves, the one that grew most;
// "" none grew enough.
func (s *situation) mostGrown() string {
	if s.grown == nil {
		return ""
	}
	most := ""
	for _, name := range s.ranked() {
		if name != cLive && name != unexplainedOwner && s.grewBy(name) > s.grewBy(most) {
			most = name
		}
	}
	if !s.matters(s.grewBy(most), s.account.RSS, growthShare, growthBytes) {
		return ""
	}
	return most
}

func ownerGrows(s *situation) string {
	name := s.growsMost
	if name == "" {
		return ""
	}
	now, grew := s.account.resident(name), s.grewBy(name)
	if name == programOwner {
		now = s.has(name)
	}
	text := fmt.Sprintf("%s %s: from %s to %s.", upperFirst(speakOf(name)), s.grew(grew), formatBytes(now-grew), formatBytes(now))
	if name == s.dominant {
		return text
	}
	return join(text, s.whereToLook(name))
}

// whereToLook is the next command for what grows.
func (s *situation) whereToLook(owner string) string {
	switch owner {
	case goHeap:
		return "What of it is in use: " + s.pprof("heap") + "."
	case goStacks:
		return "Which goroutines: " + s.pprof("goroutine") + "."
	case cMmap:
		return "Who mapped it: " + s.saveProfile(" --seconds 60") + ", and `-tagfocus=origin=mmap` to pprof."
	case threadStacks:
		return "Who made the threads: " + s.saveProfile(memoryFlag) + "."
	case cRetained:
		if s.ended {
			return ""
		}
		return s.command("trim %d") + " shows how much of it can be returned."
	}
	return ""
}

// notALeak is said of free memory, where nothing else may be one: else a reader takes it
// for more than that memory.
func (s *situation) notALeak() string {
	if cLiveGrows(s) != "" || ownerGrows(s) != "" || s.large(cLive) || s.large(cMmap) || s.large(cBrk) || s.large(untrackedMmap) ||
		s.account.Allocator.InUse == nil { // what is kept is then by the samples, which may have begun late
		return ""
	}
	return "Not a leak."
}

// perHour is a rate; nil: the window is too short for one.
func (g *growth) perHour(n int64) *int64 {
	if g == nil || g.Elapsed < rateTime {
		return nil
	}
	rate := int64(float64(n) * float64(time.Hour) / float64(g.Elapsed))
	return &rate
}

// clock is when the window began, in the reader's time: with the day where that is another.
func (g *growth) clock() string {
	since := g.Since.Local()
	if g.Elapsed > 12*time.Hour {
		return since.Format("2006-01-02 15:04")
	}
	return since.Format("15:04")
}
