package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Rules about memory that C code has, or had.

// liveGrowth is what the C heap grew by; 0 where that is noise.  Resident bytes are partly
// estimated, so the allocator's own count has to have grown too, where both looks have one.
func (s *situation) liveGrowth() int64 {
	grew := known(s.grown.of(cLive))
	if grew <= 0 {
		return 0
	}
	before := s.account.resident(cLive) - grew
	enough := max(liveGrowthBytes, int64(liveGrowthShare*float64(before)))
	if now, last := s.account.Allocator.InUse, s.grown.last.Allocator.InUse; now != nil && last != nil && *now-*last < enough {
		return 0
	}
	if grew < enough {
		return 0
	}
	return grew
}

func cLiveGrows(s *situation) string {
	grew := s.liveGrowth()
	if grew == 0 {
		return ""
	}
	rate := ""
	if s.grown.Elapsed >= growthTime {
		rate = fmt.Sprintf(" (%s an hour)", formatBytes(int64(float64(grew)*float64(time.Hour)/float64(s.grown.Elapsed))))
	}
	text := fmt.Sprintf("C live grew by %s%s %s, to %s.", formatBytes(grew), rate, s.since(), s.of(s.has(cLive)))
	if s.ended {
		return fmt.Sprintf("%s At a steady load that is a leak: %s shows who held it, %s saves it as a profile.%s", text,
			s.showHolders(), s.saveProfile(""), s.wakeFirst())
	}
	return fmt.Sprintf("%s If that goes on at a steady load it is a leak: %s shows who holds it, %s saves the blocks that are old.%s",
		text, s.showHolders(), s.saveProfile(" --older 10m"), s.wakeFirst())
}

// wakeFirst: what is allocated while it does not sample is in no profile.
func (s *situation) wakeFirst() string {
	switch {
	case !s.dormant:
		return ""
	case s.ended:
		return " But it was dormant, and what was allocated meanwhile is not among that."
	}
	return " But it is dormant, and only blocks allocated from now on can be shown: " + s.command("sampling %d on") + " first."
}

func cLiveDominates(s *situation) string {
	if s.dominant != cLive || s.liveGrowth() > 0 {
		return ""
	}
	text := fmt.Sprintf("C code holds %s, in blocks that are in use: %s shows who.", s.of(s.has(cLive)), s.showHolders())
	if s.account.owner(cRetained).Bytes == nil {
		text = fmt.Sprintf("The C allocator has %s; what of that is in use it does not say. %s shows who allocated what is",
			s.of(s.has(cLive)), upperFirst(s.showHolders()))
		if !s.ended {
			text += fmt.Sprintf(", %s whether the rest returns", s.command("trim %d"))
		}
		text += "."
	}
	text += s.wakeFirst()
	switch {
	case s.grown.of(cLive) == nil && s.ended:
		text += " It did not run for long enough to tell whether it grew."
	case s.grown.of(cLive) == nil:
		text += " To see whether it grows, run this again in some minutes."
	case s.grown.Elapsed < growthTime:
		text += " It has not grown " + s.since() + ", which is too short to tell."
	default:
		text += " It has not grown " + s.since() + ": a cache or a working set rather than a leak."
	}
	return text
}

func cRetainedLarge(s *situation) string {
	if !s.large(cRetained) {
		return ""
	}
	where := ""
	if n := s.account.Allocator.Arenas; n != nil {
		where = " in " + countOf(int(*n), "arena", "arenas")
	}
	remedy := fmt.Sprintf("Try %s; if it returns, %s.", s.command("trim %d"), s.keepSmall())
	if s.ended {
		remedy = "Next time, " + s.keepSmall() + "."
	}
	return fmt.Sprintf("C allocator keeps %s free%s; live C memory is %s. Not a leak. %s",
		formatBytes(s.has(cRetained)), where, formatBytes(s.has(cLive)), remedy)
}

// keepSmall is what makes the allocator keep less.
func (s *situation) keepSmall() string {
	a := &s.account.Allocator
	switch {
	case strings.HasPrefix(a.Name, "jemalloc"):
		return "run with MALLOC_CONF=background_thread:true,dirty_decay_ms:1000"
	case strings.HasPrefix(a.Name, "tcmalloc"):
		return "run with TCMALLOC_RELEASE_RATE=10"
	case strings.HasPrefix(a.Name, "mimalloc"):
		return "run with MIMALLOC_PURGE_DELAY=0 (before 2.1: MIMALLOC_DECOMMIT_DELAY=0)"
	case a.Name == "glibc" && known(a.Arenas) > manyArenas && s.env["MALLOC_ARENA_MAX"] == "":
		return "run with MALLOC_ARENA_MAX=2"
	}
	return "have the program call malloc_trim(0) after its peaks, or run it with jemalloc preloaded"
}

func cMmapLarge(s *situation) string {
	if !s.large(cMmap) {
		return ""
	}
	text := fmt.Sprintf("C code mapped %s past malloc: a private allocator (DuckDB's jemalloc, V8, wasm), a cache or a buffer pool.",
		s.of(s.has(cMmap)))
	if top := s.account.mmapStacks(); len(top) > 0 && len(top[0].Frames) > 0 {
		text += fmt.Sprintf(" The largest part, %s, by %s.", formatBytes(top[0].Bytes), top[0].mapper())
	}
	return text + fmt.Sprintf(" %s has the stacks (`-tagfocus=origin=mmap` to pprof); the library's own statistics say what of it is in use.",
		s.saveProfile(""))
}

func cBrkLarge(s *situation) string {
	if !s.large(cBrk) {
		return ""
	}
	return fmt.Sprintf("C code took %s by sbrk, past malloc: an allocator of a library's (dlmalloc and its kin) or a pool.%s "+
		"The library's own statistics say what of it is in use.", s.of(s.has(cBrk)), s.largestPart(cBrk))
}

func fileCopiesLarge(s *situation) string {
	if !s.large(fileCopies) {
		return ""
	}
	return fmt.Sprintf("%s is copies of file pages that were mapped privately (MAP_PRIVATE) and written to.%s "+
		"That is anonymous memory, not page cache: the kernel cannot take it back.", s.of(s.has(fileCopies)), s.largestPart(fileCopies))
}

func deviceMapsLarge(s *situation) string {
	if !s.large(deviceMaps) {
		return ""
	}
	return fmt.Sprintf("%s is memory of drivers and sockets that the program mapped: packet rings, io_uring, perf, GPU buffers.%s "+
		"It goes when the mapping and the descriptor are closed.", s.of(s.has(deviceMaps)), s.largestPart(deviceMaps))
}

// largestPart says of an owner's largest mapping what it maps and who mapped it.
func (s *situation) largestPart(owner string) string {
	parts := s.account.mappedParts(owner)
	if len(parts) == 0 {
		return ""
	}
	text := " The largest part, " + formatBytes(parts[0].Bytes)
	if parts[0].File != nil {
		text += " of " + quoteName(*parts[0].File)
	}
	if len(parts[0].Frames) > 0 {
		text += ", by " + parts[0].mapper()
		if caller := parts[0].goCaller(); caller != "" {
			text += " < " + caller
		}
	}
	return text + "."
}

func threadStacksLarge(s *situation) string {
	n := s.has(threadStacks)
	if s.dominant != threadStacks && !s.atLeast(n, threadStackShare, threadStackBytes) {
		return ""
	}
	return fmt.Sprintf("The stacks of %s hold %s. Go makes a thread for each cgo call that runs at the same time: bound how many do, "+
		"and see who made the others with %s (`-tagfocus=origin=thread_stack` to pprof).",
		countOf(int(s.account.ThreadStacks), "thread", "threads"), s.of(n), s.saveProfile(""))
}

func untrackedMmapLarge(s *situation) string {
	if !s.large(untrackedMmap) {
		return ""
	}
	return fmt.Sprintf("%s was mapped past libc, so that nobody can say by whom. Candidates: Go's syscall.Mmap and unix.Mmap "+
		"(off-heap caches such as fastcache), libraries that make system calls themselves, and memory mapped before cgoheap was loaded. "+
		"`strace -f -k -e trace=mmap` on a canary names the caller.", s.of(s.has(untrackedMmap)))
}

// estimateDisagrees: a sample stands for bytes asked for, the allocator counts what it gave.
func estimateDisagrees(s *situation) string {
	e, given := &s.account.Estimate, s.account.Allocator.InUse
	if e.Bytes == nil || e.Error == nil || given == nil {
		return ""
	}
	margin := estimateErrors * *e.Error
	switch {
	case float64(*given) > float64(*e.Bytes+margin)*(1+estimateRounding)+float64(estimateBytes+estimateThread*s.threads()):
		why := "memory from before it sampled, samples that were dropped (" + s.command("doctor %d") + "), or very small blocks"
		switch {
		case s.dormant && s.ended:
			why = "sampling was off, and what was allocated meanwhile is not known"
		case s.ended:
			why = "memory from before it sampled, samples that were dropped, or very small blocks"
		case s.dormant:
			why = "sampling is off now, and what was allocated meanwhile is not known"
		}
		return fmt.Sprintf("The allocator says %s is in use, the samples stand for %s: %s. The profile shows that much less.",
			formatBytes(*given), aboutBytes(*e.Bytes, margin), why)
	case float64(*given) < float64(*e.Bytes-margin)-estimateBytes:
		return fmt.Sprintf("The samples stand for %s, the allocator says only %s is in use: another allocator answers part of malloc, "+
			"or blocks were freed past cgoheap. What the profile shows may be gone already.",
			aboutBytes(*e.Bytes, margin), formatBytes(*given))
	}
	return ""
}

func (s *situation) threads() int64 {
	return max(1, known(s.account.Process.Threads))
}

func aboutBytes(n, margin int64) string {
	if margin == 0 {
		return formatBytes(n)
	}
	return fmt.Sprintf("%s ± %s", formatBytes(n), formatBytes(margin))
}

// cUntouched: blocks need not be resident, and a profile of blocks is then larger than the RSS.
func cUntouched(s *situation) string {
	given := known(s.account.Allocator.InUse)
	n := given - s.has(cLive) - s.account.owner(cLive).Swap
	if n < untouchedBytes || float64(n) < untouchedShare*float64(given) || s.account.owner(cLive).Bytes == nil {
		return ""
	}
	return fmt.Sprintf("C blocks of %s are in use, %s of that is not resident: allocated and never touched, it costs no RSS. "+
		"The cgoheap profile counts it all the same, the memory profile does not.", formatBytes(given), formatBytes(n))
}

// lazyFree names the owner that has most of it.
func lazyFree(s *situation) string {
	var sum int64
	var most ownerPart
	for _, o := range s.account.Owners {
		sum += o.LazyFree
		if o.LazyFree > most.LazyFree {
			most = o
		}
	}
	if !s.atLeast(sum, lazyFreeShare, lazyFreeBytes) {
		return ""
	}
	return fmt.Sprintf("%s only looks resident: it is freed (MADV_FREE), and the kernel takes it when it needs memory. "+
		"Most of it is in %s.", s.of(sum), ownerLabel(most.Name))
}

// hugePages: where an owner has gaps, a huge page keeps 2 MiB for one touched byte.
func hugePages(s *situation) string {
	var most ownerPart
	for _, name := range []string{cRetained, threadStacks, goHeap} {
		o := s.account.owner(name)
		if name == goHeap && float64(known(s.account.Go.Free)) < hugeGoFreeShare*float64(known(o.Bytes)) {
			continue
		}
		if o.Huge >= hugeBytes && float64(o.Huge) >= hugeShare*float64(known(o.Bytes)) && o.Huge > most.Huge {
			most = o
		}
	}
	if most.Huge == 0 {
		return ""
	}
	remedy := "set /sys/kernel/mm/transparent_hugepage/enabled to madvise"
	if most.Name == goHeap {
		remedy += ", or run with GODEBUG=disablethp=1"
	}
	return fmt.Sprintf("Transparent huge pages inflate %s: %s of its %s is in them, and each keeps 2 MiB resident for one touched byte. "+
		"To compare, %s and start the program anew.", ownerLabel(most.Name), formatBytes(most.Huge), formatBytes(known(most.Bytes)), remedy)
}

// roundDown to a whole MiB, so that a suggested limit reads well.
func roundDown(n float64) int64 {
	return int64(math.Max(0, n)) >> 20 << 20
}
