package verdict

import (
	"fmt"
	"strings"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/termtext"
)

// Free memory that the C allocator keeps.  What returns it depends on where it is.  The
// figures for each remedy are in docs/reading-an-account.md.

const (
	// The part of what is kept from which it gets a sentence.
	keptShare = 0.20
	keptBytes = 8 << 20
	// Of what is pinned, from which part on it is by blocks that are known.
	pinnedKnown = 0.90
	// glibc's initial threshold: if arenas' ends are smaller, there are many arenas, not large
	// ones.
	trimThreshold = 128 << 10

	afterPeaks = "have the program call malloc_trim(0) after its peaks"
	preloaded  = "or run it with jemalloc preloaded"
	callTrim   = afterPeaks + ", " + preloaded
	callPriced = afterPeaks + trimCost + ", " + preloaded
	trimCost   = " (cost: arena locks during the call, page faults later)"
	returnEnds = "run with MALLOC_TRIM_THRESHOLD_=131072"
)

func cRetainedLarge(s *Situation) string {
	if !s.large(account.CRetained) {
		return ""
	}
	if s.Account.Allocator.InUse == nil {
		// Live memory is then estimated from samples; what they missed is not free.
		return fmt.Sprintf("The C allocator has %s beyond what the samples stand for; "+
			"how much of that is free is unknown.%s",
			s.of(s.has(account.CRetained)), s.trySilent())
	}
	where := ""
	if n := s.Account.Allocator.Arenas; n != nil {
		where = " in " + termtext.CountOf(int(*n), "arena", "arenas")
	}
	return join(fmt.Sprintf("The C allocator keeps %s free%s; live C memory is %s.",
		termtext.Bytes(s.has(account.CRetained)), where, termtext.Bytes(s.has(account.CLive))),
		s.notALeak(), s.returnKept())
}

// trySilent suggests a trim for an allocator without figures: what it returns was free.
func (s *Situation) trySilent() string {
	if s.Ended || !s.canTrim() {
		return ""
	}
	return fmt.Sprintf(" %s shows how much of it returns.", s.command("trim %d"))
}

// returnKept says what returns the memory.
func (s *Situation) returnKept() string {
	k := &s.Account.Kept
	switch {
	case s.Ended && k.Returnable == nil:
		return "Next time, " + s.keepSmall() + "."
	case s.Account.Allocator.IsMusl():
		return "musl has no trim: it returns a group of blocks when the last of them is freed, " +
			"and new blocks reuse what is free. To keep it small, " + s.keepSmall() + "."
	case k.Returnable == nil:
		return fmt.Sprintf("Try %s; if it returns, %s.", s.command("trim %d"), s.keepSmall())
	}
	return join(s.trimReturns(), s.endsStay(), s.pinnedStays())
}

// trimReturns speaks of the free memory that a trim returns, or would have returned.
func (s *Situation) trimReturns() string {
	n := account.Known(s.Account.Kept.Returnable) + account.Known(s.Account.Kept.Cached)
	switch {
	case !s.isNotable(n):
		return ""
	case s.Ended:
		return fmt.Sprintf("A trim would have returned %s of it: next time, %s.", s.upTo(n),
			s.keepSmallPriced())
	}
	return fmt.Sprintf("%s returns %s of it; to keep it small, %s.", s.command("trim %d"),
		s.upTo(n), s.keepSmallPriced())
}

// keepSmallPriced is keepSmall with the cost of what a program would call itself.
func (s *Situation) keepSmallPriced() string {
	if s.Account.Allocator.Name == "glibc" {
		return callPriced
	}
	return s.keepSmall()
}

// upTo: how many of the cached blocks join to whole pages is known only after the trim.
func (s *Situation) upTo(n int64) string {
	if s.isNotable(account.Known(s.Account.Kept.Cached)) {
		return "up to " + termtext.Bytes(n)
	}
	return termtext.Bytes(n)
}

func (s *Situation) isNotable(n int64) bool {
	return n >= keptBytes && float64(n) >= keptShare*float64(s.has(account.CRetained))
}

// endsStay speaks of the free memory at the ends of arenas.
func (s *Situation) endsStay() string {
	k := &s.Account.Kept
	n, ends := account.Known(k.ArenaEnds), account.Known(k.Ends)
	if n < keptBytes || ends == 0 {
		return ""
	}
	if !s.isNotable(n) {
		return fmt.Sprintf("%s of it lies at the ends of %s, below glibc's trim threshold.",
			termtext.Bytes(n), termtext.CountOf(int(ends), "arena", "arenas"))
	}
	text := fmt.Sprintf("%s of it lies at the ends of %s, which malloc_trim never returns",
		termtext.Bytes(n), termtext.CountOf(int(ends), "arena", "arenas"))
	switch {
	case n/ends <= 2*trimThreshold && s.Env["MALLOC_ARENA_MAX"] == "":
		return text + ": each is small, " +
			"so run with MALLOC_ARENA_MAX=2 (cost: threads wait for each other more)."
	case s.Env["MALLOC_TRIM_THRESHOLD_"] != "":
		return text + ": a smaller MALLOC_TRIM_THRESHOLD_ makes free return them, " +
			"or run with jemalloc preloaded."
	}
	return fmt.Sprintf("%s: %s, and free does (cost: system calls and page faults).",
		text, returnEnds)
}

// pinnedStays speaks of the free memory that no trim returns, and of who keeps it there.
func (s *Situation) pinnedStays() string {
	n := account.Known(s.Account.Kept.Pinned)
	if !s.isNotable(n) {
		return ""
	}
	return fmt.Sprintf("%s of it %s: no trim and no setting returns it; new blocks reuse it.",
		termtext.Bytes(n), s.pinnedHow(n))
}

// pinnedHow is what is known of the blocks beside n bytes of free memory.
func (s *Situation) pinnedHow(n int64) string {
	by := s.Account.Kept.PinnedBy
	if by == nil || !by.IsCertain() {
		return "shares its pages with blocks in use"
	}
	blocks := termtext.Estimate(termtext.Bytes(by.BlockBytes), by.StandardError > by.Bytes/20)
	text := fmt.Sprintf("is pinned by %s of blocks in use", blocks)
	if float64(by.Bytes) < pinnedKnown*float64(n) {
		text = fmt.Sprintf("shares its pages with blocks in use, %s of that with %s of blocks "+
			"whose stacks are known", by.Share(n), blocks)
	}
	top := by.Pinners(s.Callers)
	if len(top) > 0 && top[0].IsCertain() && float64(top[0].Bytes) >= keptShare*float64(n) {
		text += fmt.Sprintf(", %s of it by %s", top[0].Share(n), top[0].Name)
	}
	return text
}

// canTrim: cgoheap knows how to trim this allocator.
func (s *Situation) canTrim() bool {
	name := s.Account.Allocator.Name
	return name == "glibc" || strings.HasPrefix(name, "jemalloc") ||
		strings.HasPrefix(name, "tcmalloc") || strings.HasPrefix(name, "mimalloc")
}

// keepSmall is a setting that makes the allocator keep less free memory.
func (s *Situation) keepSmall() string {
	a := &s.Account.Allocator
	switch {
	case strings.HasPrefix(a.Name, "jemalloc"):
		return "run with MALLOC_CONF=background_thread:true,dirty_decay_ms:1000"
	case strings.HasPrefix(a.Name, "tcmalloc"):
		return "run with TCMALLOC_RELEASE_RATE=10"
	case strings.HasPrefix(a.Name, "mimalloc"):
		return "run with MIMALLOC_PURGE_DELAY=0 (before 2.1: MIMALLOC_DECOMMIT_DELAY=0)"
	case a.IsMusl(): // no setting changes what it keeps
		return "run with jemalloc or mimalloc preloaded"
	case s.Ended && s.Env["MALLOC_TRIM_THRESHOLD_"] == "":
		return returnEnds + ", and " + callTrim
	}
	return callTrim
}
