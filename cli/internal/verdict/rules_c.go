package verdict

import (
	"fmt"
	"math"
	"strings"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/stacks"
	"cgoheap.example/cli/internal/termtext"
)

// Rules about memory that C code has, or had.

// wakeFirst: no profile has what is allocated while the library is dormant.
func (s *Situation) wakeFirst() string {
	switch {
	case !s.Dormant:
		return ""
	case s.Ended:
		return " But it was dormant, and what was allocated meanwhile is not among that."
	}
	return " But it is dormant, and only blocks allocated from now on can be shown: " +
		s.command("sampling %d on") + " first."
}

func cLiveLarge(s *Situation) string {
	if !s.large(account.CLive) || s.liveGrows() {
		return ""
	}
	text := fmt.Sprintf("C code holds %s in blocks that are in use: %s shows who.",
		s.of(s.has(account.CLive)), s.showHolders())
	if s.Account.Owner(account.CRetained).Bytes == nil {
		text = fmt.Sprintf("The C allocator has %s; how much of that is in use is unknown. "+
			"%s shows who allocated the blocks in use",
			s.of(s.has(account.CLive)), upperFirst(s.showHolders()))
		if !s.Ended && s.canTrim() {
			text += fmt.Sprintf(", and %s whether the rest can be returned", s.command("trim %d"))
		}
		text += "."
	}
	return text + s.wakeFirst()
}

func cMmapLarge(s *Situation) string {
	if !s.large(account.CMmap) {
		return ""
	}
	text := fmt.Sprintf("C code mapped %s past malloc: "+
		"a private allocator, a cache or a buffer pool.", s.of(s.has(account.CMmap)))
	if top := s.Account.MmapStacks(); len(top) > 0 && len(top[0].Frames) > 0 {
		text += fmt.Sprintf(" The largest part, %s, was mapped by %s. "+
			"A pool's stack shows who made it grow, not who holds its memory.",
			termtext.Bytes(top[0].Bytes), top[0].By(s.Callers))
	}
	text += fmt.Sprintf(" %s has the stacks (`-tagfocus=origin=mmap` to pprof)", s.saveProfile(""))
	remedy, said := poolRemedy(s.Account.MmapStacks()), s.Account.PrivateLines()
	if remedy == "" && len(said) == 0 {
		return text + "; the library's own statistics say how much of it is in use."
	}
	if remedy != "" {
		text += "; " + remedy
	}
	if len(said) > 0 {
		text += ". By their own statistics, " + strings.Join(said, "; ")
	}
	return text + "."
}

// pools are private allocators, by the prefix of their functions, that can be told to use
// malloc, so that each block has its own stack.
var pools = []struct{ prefix, remedy string }{
	{"_PyObject_", "with PYTHONMALLOC=malloc each of Python's blocks has its own stack"},
	{"je_arrow_", "with ARROW_DEFAULT_MEMORY_POOL=system each of Arrow's blocks has its own stack"},
	{"_PyMem_", "with PYTHONMALLOC=malloc each of Python's blocks has its own stack"},
}

func poolRemedy(stacks []account.MmapStack) string {
	for _, stack := range stacks {
		for _, f := range stack.Frames {
			for _, p := range pools {
				if strings.HasPrefix(f, p.prefix) {
					return p.remedy
				}
			}
		}
	}
	return ""
}

func cBrkLarge(s *Situation) string {
	if !s.large(account.CBrk) {
		return ""
	}
	return fmt.Sprintf("C code took %s by sbrk, past malloc: "+
		"an allocator inside a library (dlmalloc or a relative) or a pool.%s "+
		"The library's own statistics say how much of it is in use.",
		s.of(s.has(account.CBrk)), s.largestPart(account.CBrk))
}

func fileCopiesLarge(s *Situation) string {
	if !s.large(account.FileCopies) {
		return ""
	}
	return fmt.Sprintf("%s is copies of file pages that were mapped MAP_PRIVATE and written to.%s "+
		"That is anonymous memory, not page cache: the kernel cannot reclaim it.",
		s.of(s.has(account.FileCopies)), s.largestPart(account.FileCopies))
}

func deviceMapsLarge(s *Situation) string {
	if !s.large(account.DeviceMaps) {
		return ""
	}
	return fmt.Sprintf("%s is memory of drivers and sockets that the program mapped: "+
		"packet rings, io_uring, perf, GPU buffers.%s "+
		"It is freed when it is unmapped and the descriptor is closed.",
		s.of(s.has(account.DeviceMaps)), s.largestPart(account.DeviceMaps))
}

// largestPart says what an owner's largest mapping is and who mapped it.
func (s *Situation) largestPart(owner string) string {
	parts := s.Account.MappedParts(owner)
	if len(parts) == 0 {
		return ""
	}
	text := " The largest part, " + termtext.Bytes(parts[0].Bytes)
	if parts[0].File != nil {
		text += " of " + termtext.Quote(*parts[0].File)
	}
	if len(parts[0].Frames) > 0 {
		how := ", was mapped by "
		if owner == account.CBrk {
			how = ", was taken by "
		}
		text += how + parts[0].By(s.Callers)
	}
	return text + "."
}

func threadStacksLarge(s *Situation) string {
	n, a := s.has(account.ThreadStacks), s.Account
	// Threads that are never joined leak their stacks, however little of each is resident.
	leaks := a.Unjoined() && a.EndedStacks >= unjoinedStacks
	if !leaks && !s.third(account.ThreadStacks) &&
		!s.atLeast(n, threadStackShare, threadStackBytes) {
		return ""
	}
	text := fmt.Sprintf("Thread stacks hold %s: %s.", s.of(n), a.StacksCount())
	if a.Unjoined() {
		text += " A thread that is neither joined nor detached keeps its stack."
	}
	text += s.whoseThreads()
	if s.Ended {
		return text
	}
	return fmt.Sprintf("%s %s has the stacks that made them.",
		text, s.saveProfile(memoryFlag))
}

// whoseThreads names who made the threads whose stacks hold most.
func (s *Situation) whoseThreads() string {
	parts := s.Account.MappedParts(account.ThreadStacks)
	if len(parts) == 0 || len(parts[0].Frames) == 0 {
		return ""
	}
	most := termtext.Bytes(parts[0].Bytes)
	if caller := s.Callers.GoCaller(stacks.Named(parts[0].Frames)); caller != stacks.GoRuntime {
		return fmt.Sprintf(" Most, %s, are of threads that %s made.",
			most, stacks.ReadableName(caller))
	}
	return fmt.Sprintf(" Most, %s, are of threads that Go made, one for each concurrent cgo call: "+
		"limit how many run at once.", most)
}

func untrackedMmapLarge(s *Situation) string {
	if !s.large(account.UntrackedMmap) {
		return ""
	}
	return join(fmt.Sprintf("%s was mapped by system calls that bypass libc, "+
		"so its callers are unknown.", s.of(s.has(account.UntrackedMmap))),
		s.Account.Untracked.MostSeen(s.Callers), s.rawCandidates(),
		"`strace -f -k -e trace=mmap` on a canary shows the C side of the callers.")
}

// rawCandidates names code in the program that maps memory past libc.
func (s *Situation) rawCandidates() string {
	if s.RawMappers == nil {
		return ""
	}
	found := s.RawMappers()
	switch {
	case found == nil:
		return ""
	case len(found) == 0:
		return "Neither Go's syscall.Mmap nor Rust code is in the program: " +
			"it is C or assembly that makes system calls itself."
	}
	return "What the program contains that maps this way: " + listOf(found) + "."
}

// estimateDisagrees: samples stand for bytes asked for; the allocator counts bytes given.
func estimateDisagrees(s *Situation) string {
	e, given := &s.Account.CLiveEstimate, s.Account.Allocator.InUse
	if e.Bytes == nil || e.StandardError == nil || given == nil {
		return ""
	}
	margin := EstimateErrors * *e.StandardError
	says, low := float64(*given), float64(*e.Bytes-margin)-estimateBytes
	high := float64(*e.Bytes+margin)*(1+estimateRounding) +
		float64(estimateBytes+estimateThread*s.threads())
	switch {
	case says > high:
		return fmt.Sprintf("The allocator says %s is in use, the samples stand for %s: %s. "+
			"The profile shows that much less.",
			termtext.Bytes(*given), aboutBytes(*e.Bytes, margin), because(s.unsampled()))
	case says < low:
		return fmt.Sprintf("The samples stand for %s, the allocator says only %s is in use: %s. "+
			"The profile may show blocks that are freed.",
			aboutBytes(*e.Bytes, margin), termtext.Bytes(*given), because(s.unfreed()))
	}
	return ""
}

// because joins reasons.
func because(reasons []string) string {
	if len(reasons) == 0 {
		return "cgoheap does not know why"
	}
	return strings.Join(reasons, "; ")
}

// unsampled are reasons, each checked, why no sample has some blocks that are in use.
func (s *Situation) unsampled() []string {
	var reasons []string
	if s.Off > 0 {
		reasons = append(reasons, "sampling was off for "+termtext.Duration(s.Off)+
			", and what was allocated then is not recorded")
	}
	if s.Dropped > 0 {
		dropped := termtext.CountOf(int(s.Dropped), "sample was dropped", "samples were dropped")
		reasons = append(reasons, dropped)
	}
	if s.Purego != "" {
		reasons = append(reasons, s.pastHooks("malloc"))
	}
	if s.OwnNew != nil {
		if library := s.OwnNew(); library != "" {
			reasons = append(reasons, "C++'s operator new is "+termtext.Escape(library)+
				"'s own, and bypasses the hooks")
		}
	}
	return reasons
}

// pastHooks is the reason that purego gives for this function.
func (s *Situation) pastHooks(function string) string {
	return fmt.Sprintf("the program calls C through %s, and a %s that it looks up in libc's "+
		"own handle bypasses the hooks", s.Purego, function)
}

// unfreed are the reasons why samples stand for blocks that are not in use.
func (s *Situation) unfreed() []string {
	if s.Missed == 0 {
		return nil
	}
	missed := termtext.CountOf(int(s.Missed), "free was missed", "frees were missed")
	reasons := []string{"at least " + missed}
	if s.Purego != "" {
		reasons = append(reasons, s.pastHooks("free"))
	}
	return reasons
}

func (s *Situation) threads() int64 {
	return max(1, account.Known(s.Account.Process.Threads))
}

func aboutBytes(n, margin int64) string {
	if margin == 0 {
		return termtext.Bytes(n)
	}
	return fmt.Sprintf("%s ± %s", termtext.Bytes(n), termtext.Bytes(margin))
}

// cUntouched: blocks that were never touched are in the profile, but not in the RSS.
func cUntouched(s *Situation) string {
	given, live := account.Known(s.Account.Allocator.InUse), s.Account.Owner(account.CLive)
	n := given - s.has(account.CLive) - account.Known(live.Swap)
	if n < untouchedBytes || float64(n) < untouchedShare*float64(given) || live.Bytes == nil {
		return ""
	}
	return fmt.Sprintf("%s of C blocks are in use, %s of which is not resident: "+
		"it was allocated and never touched, and costs no RSS. "+
		"The cgoheap profile counts it anyway, the memory profile does not.",
		termtext.Bytes(given), termtext.Bytes(n))
}

// lazyFree names the owner that has most of it.
func lazyFree(s *Situation) string {
	var sum int64
	var most account.Owner
	for _, o := range s.Account.Owners {
		sum += account.Known(o.Lazy)
		if account.Known(o.Lazy) > account.Known(most.Lazy) {
			most = o
		}
	}
	if !s.atLeast(sum, lazyFreeShare, lazyFreeBytes) {
		return ""
	}
	return fmt.Sprintf("%s only looks resident: it is freed (MADV_FREE), "+
		"and the kernel takes it back when it needs memory. Most of it is in %s.",
		s.of(sum), account.Label(most.Name))
}

// hugePages: in memory with gaps a huge page keeps 2 MiB for one touched byte.
func hugePages(s *Situation) string {
	var most account.Owner
	for _, name := range []string{account.CRetained, account.ThreadStacks, account.GoHeap} {
		o := s.Account.Owner(name)
		has, goFree := float64(account.Known(o.Bytes)), account.Known(s.Account.Go.HeapFree)
		if name == account.GoHeap && float64(goFree) < hugeGoFreeShare*has {
			continue
		}
		huge := account.Known(o.Huge)
		isInflated := huge >= hugeBytes && float64(huge) >= hugeShare*has
		if isInflated && huge > account.Known(most.Huge) {
			most = o
		}
	}
	if most.Huge == nil {
		return ""
	}
	remedy := "set /sys/kernel/mm/transparent_hugepage/enabled to madvise"
	if most.Name == account.GoHeap {
		remedy += ", or run with GODEBUG=disablethp=1"
	}
	return fmt.Sprintf("Transparent huge pages inflate %s: %s of its %s is in huge pages, "+
		"each of which keeps 2 MiB resident for a single touched byte. "+
		"To compare, %s and restart the program.", account.Label(most.Name),
		termtext.Bytes(*most.Huge), termtext.Bytes(account.Known(most.Bytes)), remedy)
}

// roundDown to a whole MiB, so that a suggested limit reads well.
func roundDown(n float64) int64 {
	return int64(math.Max(0, n)) >> 20 << 20
}
