package verdict

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/termtext"
)

// Rules about Go's memory, about what the kernel lends, and about limits.

func goHeapDominates(s *Situation) string {
	if !s.third(account.GoHeap) || s.goFree() > s.has(account.GoHeap)/2 && goHeapFree(s) != "" {
		return ""
	}
	inside := ""
	if s.Account.Owner(account.GoStacks).Bytes == nil && s.Account.Go.Stacks == nil {
		inside = " (with goroutine stacks in it)"
	}
	return fmt.Sprintf("Go's own heap%s is %s. "+
		"That is not C memory, and Go's profiler is the tool: %s.",
		inside, s.of(s.has(account.GoHeap)), s.pprof("heap"))
}

// goFree: huge pages may hold what the runtime counts as released, but no more than is resident.
func (s *Situation) goFree() int64 {
	return min(account.Known(s.Account.Go.HeapFree), s.has(account.GoHeap))
}

func goHeapFree(s *Situation) string {
	free := s.goFree()
	if !s.atLeast(free, goFreeShare, goFreeBytes) {
		return ""
	}
	return fmt.Sprintf("Go keeps %s free for the next cycle, "+
		"and over minutes returns what it does not use. "+
		"A lower GOGC or a GOMEMLIMIT makes it keep less; debug.FreeOSMemory() returns it once.",
		s.of(free))
}

func goStacksLarge(s *Situation) string {
	if !s.large(account.GoStacks) {
		return ""
	}
	return fmt.Sprintf("Goroutine stacks are %s: many goroutines, or deep ones. See which with %s.",
		s.of(s.has(account.GoStacks)), s.pprof("goroutine"))
}

func goMetadataLarge(s *Situation) string {
	if !s.large(account.GoMetadata) {
		return ""
	}
	return fmt.Sprintf("The Go runtime's own data is %s: span and heap tables, "+
		"sized by the largest heap there has been, and profiling records. "+
		"runtime/metrics reports it under /memory/classes/metadata and /memory/classes/profiling.",
		s.of(s.has(account.GoMetadata)))
}

// mappedFilesLarge calls page cache only what the kernel does: written pages of a private
// mapping are anonymous memory.
func mappedFilesLarge(s *Situation) string {
	if !s.large(account.MappedFiles) {
		return ""
	}
	n, cache := s.has(account.MappedFiles), s.Account.Process.RSSFile
	text := fmt.Sprintf("Mapped files are %s.%s", s.of(n), s.largestPart(account.MappedFiles))
	switch {
	case cache == nil:
		return text + " How much of that is page cache is unknown."
	case n <= *cache:
		return text + " They count as RSS, but are page cache, " +
			"which the kernel reclaims when it needs memory."
	}
	return fmt.Sprintf("%s At most %s of that is page cache (RssFile); "+
		"the rest was written to, and the kernel cannot reclaim it.", text, termtext.Bytes(*cache))
}

func sharedMemoryLarge(s *Situation) string {
	if !s.large(account.SharedMemory) {
		return ""
	}
	text := fmt.Sprintf("Shared memory is %s.%s "+
		"It counts in the RSS of every process that maps it: do not add up their RSS.",
		s.of(s.has(account.SharedMemory)), s.largestPart(account.SharedMemory))
	if s.Ended {
		return text
	}
	return fmt.Sprintf("%s This process's fair share is in `grep Pss: /proc/%d/smaps_rollup`.",
		text, s.PID)
}

func programDominates(s *Situation) string {
	if !s.third(account.Program) {
		return ""
	}
	return fmt.Sprintf("%s is the program itself and its libraries: code, data and .bss.",
		s.of(s.has(account.Program)))
}

func shimDominates(s *Situation) string {
	if !s.third(account.Shim) {
		return ""
	}
	return fmt.Sprintf("%s is cgoheap's own bookkeeping. It is limited: "+
		"a smaller CGOHEAP_MAX_MEMORY or a larger CGOHEAP_SAMPLE_BYTES reduces it.",
		s.of(s.has(account.Shim)))
}

func swapped(s *Situation) string {
	n := account.Known(s.Account.Process.VMSwap)
	if !s.atLeast(n, swapShare, swapBytes) {
		return ""
	}
	return fmt.Sprintf("%s more is swapped out: "+
		"RSS does not count it, and growth may not show in RSS.", termtext.Bytes(n))
}

// unreclaimable is what the kernel cannot take from the cgroup without killing: shared
// memory counts as file there, but has no file to go back to.
func (s *Situation) unreclaimable() int64 {
	c := &s.Account.Cgroup
	cache := max(0, account.Known(c.File)-account.Known(s.Account.Process.RSSShmem))
	return max(0, account.Known(c.Current)-cache)
}

func nearLimit(s *Situation) string {
	c := &s.Account.Cgroup
	if c.Current == nil || c.Limit == nil || *c.Limit <= 0 ||
		float64(s.unreclaimable()) < limitShare*float64(*c.Limit) {
		return ""
	}
	left := max(0, *c.Limit-s.unreclaimable())
	return fmt.Sprintf("The cgroup is near its limit: %s of %s cannot be reclaimed; "+
		"%s more and the OOM killer acts.",
		termtext.Bytes(s.unreclaimable()), termtext.Bytes(*c.Limit), termtext.Bytes(left))
}

// goMemoryLimit: GOMEMLIMIT bounds Go's memory, and ignores C's.
func goMemoryLimit(s *Situation) string {
	limit := account.Known(s.Account.Cgroup.Limit)
	goLimit, written, ok := s.goLimit()
	others := s.notGo()
	if !ok || limit <= 0 || goLimit > math.MaxInt64-others || goLimit+others <= limit {
		return ""
	}
	text := fmt.Sprintf("%s and %s of memory outside Go do not fit into the cgroup's limit of %s: "+
		"Go collects too late.", written, termtext.Bytes(others), termtext.Bytes(limit))
	fits := roundDown(float64(limit)*(1-goLimitReserve) - float64(others))
	used := account.Known(s.Account.Go.HeapInUse) + s.Account.Resident(account.GoMetadata)
	if fits <= used {
		return text + " No GOMEMLIMIT helps: what Go has in use does not fit. " +
			"Reduce the rest, or raise the limit."
	}
	return fmt.Sprintf("%s GOMEMLIMIT=%s would fit; "+
		"the Go package cgo_bridge/memlimit adjusts it as C memory changes.",
		text, termtext.ExactBytes(uint64(fits)))
}

// goLimit is the current limit if Go's own figures are known, else the one that the program
// was started with.
func (s *Situation) goLimit() (bytes int64, text string, ok bool) {
	started, ok := parseGoMemLimit(s.Env["GOMEMLIMIT"])
	text = "GOMEMLIMIT=" + termtext.Escape(s.Env["GOMEMLIMIT"])
	g := &s.Account.Go
	switch {
	case g.MemoryLimit != nil && (!ok || *g.MemoryLimit != started):
		set := termtext.Bytes(*g.MemoryLimit)
		return *g.MemoryLimit, "GOMEMLIMIT, which the program set to " + set + ",", true
	case g.MemoryLimit == nil && g.Source == account.GoOwnFigures:
		return 0, "", false // there is none
	}
	return started, text, ok
}

// notGo is the part of the RSS beside Go's that counts against the limit; files do not.
func (s *Situation) notGo() int64 {
	a := s.Account
	return max(0, a.RSS-a.Resident(account.GoHeap, account.GoStacks, account.GoMetadata,
		account.Program, account.Libraries, account.MappedFiles))
}

// parseGoMemLimit reads bytes with one of the suffixes of runtime/debug; "off" is none.
func parseGoMemLimit(text string) (int64, bool) {
	unit := int64(1)
	for i, suffix := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if strings.HasSuffix(text, suffix) {
			text, unit = strings.TrimSuffix(text, suffix), 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(text, "B"), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, false
	}
	return n * unit, true
}
