package main

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode/utf8"
)

// The verdict: what dominates, what grows, whether it is a leak, and what to do
// next.  Each rule is a function that looks at one account and says its
// sentences, or "" where it does not apply.  All thresholds stand here.

const (
	// An owner dominates when it is the largest and has at least this share of RSS.
	dominantShare = 1.0 / 3

	// What an owner must have to be worth a word though another dominates: a share of RSS, and bytes.
	notableShare = 0.20
	notableBytes = 8 << 20

	// Growth since the last look: of the C heap itself, and of any other owner as a share of RSS.
	// The C heap is judged more finely: it is what this tool is for, and its figure is the allocator's own.
	liveGrowthShare = 0.02
	liveGrowthBytes = 1 << 20
	growthShare     = 0.05
	growthBytes     = 8 << 20
	// Over less time than this a rate per hour means nothing, nor does the absence of growth.
	growthTime = time.Minute

	// More arenas than this, and MALLOC_ARENA_MAX is the remedy; glibc makes up to 8 a CPU.
	manyArenas = 8

	// Huge pages: of an owner that has free memory or gaps, in huge pages.
	hugeShare = 0.50
	hugeBytes = 32 << 20
	// Of Go's heap, free: below that, huge pages have little to inflate.
	hugeGoFreeShare = 0.20

	lazyFreeShare = 0.10
	lazyFreeBytes = 16 << 20

	threadStackShare = 0.10
	threadStackBytes = 16 << 20

	goFreeShare = 0.20
	goFreeBytes = 32 << 20

	swapShare = 0.05
	swapBytes = 16 << 20

	// Of the cgroup's limit, what cannot be reclaimed.
	limitShare = 0.90
	// What of the limit a suggested GOMEMLIMIT leaves to memory that Go does not see growing.
	goLimitReserve = 0.05

	untouchedShare = 0.25
	untouchedBytes = 64 << 20

	// The samples count bytes asked for, the allocator those it gave: 16 a block more at worst,
	// a third for small ones.
	estimateErrors   = 4
	estimateRounding = 1.0 / 3
	estimateBytes    = 1 << 20
	// Blocks in a thread's cache count as in use in glibc.
	estimateThread = 256 << 10

	unexplainedShare = 0.01
	unexplainedBytes = 1 << 20
)

// rule names are part of --json.  about is the owner it speaks of, "" none.
type rule struct {
	name  string
	about string
	says  func(*situation) string
}

const estimateRule = "estimate_disagrees"

// rules are in the order in which their findings are shown, but for the
// dominant owner's, which comes first.
var rules = []rule{
	{"c_live_grows", cLive, cLiveGrows},
	{"c_live_dominates", cLive, cLiveDominates},
	{"c_retained", cRetained, cRetainedLarge},
	{"c_mmap", cMmap, cMmapLarge},
	{"c_brk", cBrk, cBrkLarge},
	{"file_copies", fileCopies, fileCopiesLarge},
	{"device_maps", deviceMaps, deviceMapsLarge},
	{"go_heap_dominates", goHeap, goHeapDominates},
	{"go_heap_free", goHeap, goHeapFree},
	{"go_stacks", goStacks, goStacksLarge},
	{"go_metadata", goMetadata, goMetadataLarge},
	{"thread_stacks", threadStacks, threadStacksLarge},
	{"mapped_files", mappedFiles, mappedFilesLarge},
	{"shared_memory", sharedMemory, sharedMemoryLarge},
	{"program_dominates", programOwner, programDominates},
	{"shim_dominates", shimOwner, shimDominates},
	{"untracked_mmap", untrackedMmap, untrackedMmapLarge},
	{"nothing_dominates", "", nothingDominates},
	{"near_limit", "", nearLimit},
	{"go_memory_limit", "", goMemoryLimit},
	{"owner_grows", "", ownerGrows},
	{"huge_pages", "", hugePages},
	{"lazy_free", "", lazyFree},
	{"swap", "", swapped},
	{estimateRule, "", estimateDisagrees},
	{"c_untouched", "", cUntouched},
	{"unexplained", "", unexplained},
}

type finding struct {
	Rule string `json:"rule"`
	Text string `json:"text"`
}

// situation is all that the rules know.
type situation struct {
	account  *account
	grown    *growth // nil: no earlier look
	pid      int
	env      map[string]string // of the process, as it was started
	goPprof  string            // where its net/http/pprof is, "" not known
	dormant  bool              // the shim does not sample now
	recorded bool              // by a flight recorder: an earlier look is one of its own
	ended    bool              // the process is no more: nothing can be asked of it
	file     string            // the flight recorder's
	dominant string            // the owner that dominates, "" none
}

func judgeAccount(s *situation) []finding {
	s.dominant = dominantOwner(s)
	first, rest := []finding{}, []finding{}
	for _, r := range rules {
		text := r.says(s)
		switch {
		case text == "":
		case r.about != "" && r.about == s.dominant:
			first = append(first, finding{r.name, text})
		default:
			rest = append(rest, finding{r.name, text})
		}
	}
	return append(first, rest...)
}

// has is what an owner is judged by: program and libraries are one, and Go's
// stacks are known from the runtime where the account has them in the heap.
func (s *situation) has(owner string) int64 {
	a := s.account
	switch owner {
	case programOwner:
		return a.resident(programOwner, librariesPart)
	case goStacks:
		if a.owner(goStacks).Bytes == nil && a.Go.Stacks != nil {
			return min(*a.Go.Stacks, a.resident(goHeap))
		}
	case goHeap:
		if a.owner(goStacks).Bytes == nil {
			return a.resident(goHeap) - s.has(goStacks)
		}
	}
	return a.resident(owner)
}

func (s *situation) share(n int64) float64 {
	if s.account.RSS <= 0 {
		return 0
	}
	return float64(n) / float64(s.account.RSS)
}

// atLeast: both the share of RSS and the bytes.
func (s *situation) atLeast(n int64, share float64, bytes int64) bool {
	return s.share(n) >= share && n >= bytes
}

// large: it dominates, or is worth a word beside what does.
func (s *situation) large(owner string) bool {
	return s.dominant == owner || s.atLeast(s.has(owner), notableShare, notableBytes)
}

// of says a figure with its share: "612.0 MiB (50 % of RSS)".
func (s *situation) of(n int64) string {
	return fmt.Sprintf("%s (%.0f %% of RSS)", formatBytes(n), 100*s.share(n))
}

// judged are the owners that can dominate.
var judged = []string{goHeap, goStacks, goMetadata, cLive, cRetained, cMmap, cBrk, fileCopies, deviceMaps, threadStacks,
	programOwner, mappedFiles, sharedMemory, shimOwner, untrackedMmap}

// ranked are the owners, largest first.
func (s *situation) ranked() []string {
	names := slices.Clone(judged)
	sort.SliceStable(names, func(i, j int) bool { return s.has(names[i]) > s.has(names[j]) })
	return names
}

func dominantOwner(s *situation) string {
	if first := s.ranked()[0]; s.share(s.has(first)) >= dominantShare {
		return first
	}
	return ""
}

// since begins a sentence about growth.
func (s *situation) since() string {
	if s.recorded {
		return "in the last " + formatDuration(s.grown.Elapsed)
	}
	return "since the last look, " + formatDuration(s.grown.Elapsed) + " ago"
}

// pprof is the command for one of the service's own profiles.
func (s *situation) pprof(name string) string {
	if s.ended {
		return fmt.Sprintf("`go tool pprof http://SERVICE/debug/pprof/%s` on the next run", name)
	}
	if s.goPprof == "" {
		return fmt.Sprintf("`go tool pprof http://SERVICE/debug/pprof/%s`", name)
	}
	index, _, _ := strings.Cut(s.goPprof, "/heap?")
	return fmt.Sprintf("`go tool pprof %s`", quoteShell(index+"/"+name))
}

func (s *situation) command(format string) string {
	return "`cgoheap " + fmt.Sprintf(format, s.pid) + "`"
}

// saveProfile is the command that gives a profile of C's memory; flags for one of a running process.
func (s *situation) saveProfile(flags string) string {
	if s.ended {
		return "`cgoheap autopsy " + quoteShell(s.file) + " -o killed.pb.gz`"
	}
	return s.command("profile %d" + flags)
}

// showHolders is where a person sees who holds C's memory.
func (s *situation) showHolders() string {
	if s.ended {
		return "the table of C memory"
	}
	return s.command("top %d")
}

func nothingDominates(s *situation) string {
	if s.dominant != "" || s.account.RSS <= 0 {
		return ""
	}
	top := s.ranked()
	return fmt.Sprintf("No single owner dominates: the largest are %s, %s, and %s, %s.",
		speakOf(top[0]), s.of(s.has(top[0])), speakOf(top[1]), s.of(s.has(top[1])))
}

// speakOf names an owner as has counts it.
func speakOf(owner string) string {
	if owner == programOwner {
		return "program and libraries"
	}
	return ownerLabel(owner)
}

// ownerGrows: of the owners that have no rule of their own for growth, the one that grew most.
func ownerGrows(s *situation) string {
	if s.grown == nil {
		return ""
	}
	var most ownerGrowth
	for _, o := range s.grown.Owners {
		if o.Name != cLive && known(o.Bytes) > known(most.Bytes) {
			most = o
		}
	}
	if !s.atLeast(known(most.Bytes), growthShare, growthBytes) {
		return ""
	}
	now := s.account.resident(most.Name)
	text := fmt.Sprintf("%s grew by %s %s: from %s to %s.", upperFirst(ownerLabel(most.Name)), formatBytes(*most.Bytes), s.since(),
		formatBytes(now-*most.Bytes), formatBytes(now))
	if next := s.whereToLook(most.Name); next != "" && most.Name != s.dominant {
		text += " " + next
	}
	return text
}

func upperFirst(text string) string {
	first, rest := utf8.DecodeRuneInString(text)
	return strings.ToUpper(string(first)) + text[rest:]
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
		return "Who made the threads: " + s.saveProfile("") + ", and `-tagfocus=origin=thread_stack` to pprof."
	case cRetained:
		if s.ended {
			return "It was free memory."
		}
		return "It is free memory: " + s.command("trim %d") + " shows what of it can be returned."
	}
	return ""
}

func unexplained(s *situation) string {
	n := s.account.Unexplained
	if n < 0 {
		n = -n
	}
	if s.share(n) <= unexplainedShare || n <= unexplainedBytes {
		return ""
	}
	text := fmt.Sprintf("%s is unexplained: memory changed hands while it was counted, or cgoheap does not know an owner.", s.of(n))
	if s.ended {
		return text
	}
	return fmt.Sprintf("%s Look again; if it stays, report it with %s.", text, s.command("explain %d --json"))
}
