// Package verdict says what an account means: what dominates, what grows, whether it is
// a leak, and what to do next.  Each rule is a function that looks at one account and
// says its sentences, or "" where it does not apply.  All thresholds are in this file.
package verdict

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/cohort"
	"cgoheap.example/cli/internal/stacks"
	"cgoheap.example/cli/internal/termtext"
)

const (
	// An owner with this share of RSS always gets a finding; the largest such owner dominates.
	dominantShare = 1.0 / 3

	// From this share of RSS, and these bytes, an owner gets a finding although another dominates.
	notableShare = 0.20
	NotableBytes = 8 << 20

	// Growth since the last look: of the C heap itself, and of any other owner as a share of RSS.
	// The C heap has finer thresholds: it is what this tool is for, and the allocator counts it
	// exactly.
	// In a short window growth is small: a rate of rateShare an hour counts as much.
	liveGrowthShare = 0.02
	liveGrowthBytes = 1 << 20
	growthShare     = 0.05
	growthBytes     = 8 << 20
	rateShare       = 0.10
	// Less time than this without growth is no evidence.
	EvidenceTime = time.Hour

	// Huge pages: of an owner that has free memory or gaps, in huge pages.
	hugeShare = 0.50
	hugeBytes = 32 << 20
	// The free share of Go's heap below which huge pages inflate little.
	hugeGoFreeShare = 0.20

	lazyFreeShare = 0.10
	lazyFreeBytes = 16 << 20

	threadStackShare = 0.10
	threadStackBytes = 16 << 20
	unjoinedStacks   = 64

	goFreeShare = 0.20
	goFreeBytes = 32 << 20

	swapShare = 0.05
	swapBytes = 16 << 20

	// The unreclaimable share of the cgroup's limit.
	limitShare = 0.90
	// The share of the limit that a suggested GOMEMLIMIT leaves for growth outside of Go.
	goLimitReserve = 0.05

	untouchedShare = 0.25
	untouchedBytes = 64 << 20

	// Samples count bytes asked for, the allocator bytes given: up to 16 more for each block, a
	// third more for small ones.
	EstimateErrors   = 4
	estimateRounding = 1.0 / 3
	estimateBytes    = 1 << 20
	// glibc counts blocks in threads' caches as in use.
	estimateThread = 256 << 10

	unexplainedShare = 0.01
	unexplainedBytes = 1 << 20
)

// rule names are part of --json.  about is the rule's owner, "" none; the owner's growth
// follows the first finding about it.
type rule struct {
	name  string
	about string
	says  func(*Situation) string
}

const (
	estimateRule   = "estimate_disagrees"
	leakRule       = "leak"
	liveGrowsRule  = "c_live_grows"
	ownerGrowsRule = "owner_grows"
	stuckRule      = "finalizers_stuck"
)

// urgentRules are always printed.
var urgentRules = []string{leakRule, liveGrowsRule, ownerGrowsRule, stuckRule}

// rules in the order of their findings; those about the dominant owner come first.
var rules = []rule{
	{liveGrowsRule, account.CLive, cLiveGrows},
	{"c_live", account.CLive, cLiveLarge},
	{leakRule, "", leaks},
	{stuckRule, "", finalizersStuck},
	{"finalizer_debt", account.CLive, finalizerDebt},
	{"gc_never", account.CLive, gcNever},
	{"c_retained", account.CRetained, cRetainedLarge},
	{"c_mmap", account.CMmap, cMmapLarge},
	{"c_brk", account.CBrk, cBrkLarge},
	{"file_copies", account.FileCopies, fileCopiesLarge},
	{"device_maps", account.DeviceMaps, deviceMapsLarge},
	{"go_heap_dominates", account.GoHeap, goHeapDominates},
	{"go_heap_free", account.GoHeap, goHeapFree},
	{"go_stacks", account.GoStacks, goStacksLarge},
	{"go_metadata", account.GoMetadata, goMetadataLarge},
	{"thread_stacks", account.ThreadStacks, threadStacksLarge},
	{"mapped_files", account.MappedFiles, mappedFilesLarge},
	{"shared_memory", account.SharedMemory, sharedMemoryLarge},
	{"program_dominates", account.Program, programDominates},
	{"shim_dominates", account.Shim, shimDominates},
	{"untracked_mmap", account.UntrackedMmap, untrackedMmapLarge},
	{"nothing_dominates", "", nothingDominates},
	{"near_limit", "", nearLimit},
	{"go_memory_limit", "", goMemoryLimit},
	{ownerGrowsRule, "", ownerGrows},
	{"huge_pages", "", hugePages},
	{"lazy_free", "", lazyFree},
	{"swap", "", swapped},
	{estimateRule, "", estimateDisagrees},
	{"c_untouched", "", cUntouched},
	{unexplainedOwner, unexplainedOwner, unexplained},
	{"owner_large", "", ownerLarge}, // last: owners without a finding
}

// unexplainedOwner stands for bytes without an owner, ranked among the owners.
const unexplainedOwner = "unexplained"

// Finding is one rule's sentences.
type Finding struct {
	Rule string `json:"rule"`
	Text string `json:"text"`

	pressing bool // always printed
}

// Situation is all that the rules know.
type Situation struct {
	Account *account.Account
	Grown   *account.Growth // since the last look; nil: there is none
	Hour    *account.Growth // since one of an hour ago; nil: there is none, or it is the last
	PID     int
	Env     map[string]string // of the process, as it was started
	GoPprof string            // where its net/http/pprof is, "" not known
	// Profiles that are saved already, by their names under /debug/pprof/, and their files.
	Saved   map[string]string
	Dormant bool          // the library does not sample now
	Ended   bool          // the process has ended: it cannot be asked
	File    string        // the recording's
	Dropped uint64        // samples
	Missed  uint64        // frees
	Purego  string        // the module by which the program calls C without cgo, "" none
	Off     time.Duration // sampling was
	// Code in the process that maps memory past libc; nil, or nil returned: unknown.
	RawMappers func() []string
	OwnNew     func() string // the library whose operator new calls no hook, "" none; nil: unknown
	Held       []cohort.Held // why memory is still there, by row; nil: unknown
	Callers    *stacks.CallerRule
	Debtors    Debtors         // whose C memory finalizers and cleanups free; nil: unknown
	dominant   string          // the owner that dominates, "" none
	growsMost  string          // the owner of owner_grows, "" none
	growsIn    *account.Growth // in which window
	spokenOf   map[string]bool // owners with a finding so far
}

// Judge orders findings: the dominant owner's, then other pressing ones (growth, and owners
// with a third of RSS), then the rest.
func Judge(s *Situation) []Finding {
	s.dominant = dominantOwner(s)
	s.growsMost, s.growsIn = s.mostGrown()
	var first, pressing, rest []Finding
	s.spokenOf = map[string]bool{}
	for _, r := range rules {
		text := r.says(s)
		if text == "" {
			continue
		}
		if r.about != "" && !s.spokenOf[r.about] {
			s.spokenOf[r.about] = true
			if r.name != liveGrowsRule {
				text = join(text, s.change(r.about))
			}
		}
		isUrgent := slices.Contains(urgentRules, r.name) || s.third(r.about)
		f := Finding{r.name, text, isUrgent}
		switch {
		case r.about != "" && r.about == s.dominant:
			first = append(first, f)
		case f.pressing:
			pressing = append(pressing, f)
		default:
			rest = append(rest, f)
		}
	}
	return slices.Concat(first, pressing, rest)
}

// listOf: "a, b and c".
func listOf(names []string) string { return termtext.List(names, "and") }

// join joins sentences; "" is none.
func join(sentences ...string) string {
	return strings.Join(slices.DeleteFunc(sentences, func(s string) bool { return s == "" }), " ")
}

// has is the bytes by which an owner is judged.  Program and libraries are one owner.  Go's
// stacks come from the runtime's figures if the account has them in the heap.
func (s *Situation) has(owner string) int64 {
	a := s.Account
	switch owner {
	case unexplainedOwner:
		return max(a.Unexplained, -a.Unexplained)
	case account.Program:
		return a.Resident(account.Program, account.Libraries)
	case account.GoStacks:
		if a.Owner(account.GoStacks).Bytes == nil && a.Go.Stacks != nil {
			return min(*a.Go.Stacks, a.Resident(account.GoHeap))
		}
	case account.GoHeap:
		if a.Owner(account.GoStacks).Bytes == nil {
			return a.Resident(account.GoHeap) - s.has(account.GoStacks)
		}
	}
	return a.Resident(owner)
}

func (s *Situation) share(n int64) float64 {
	if s.Account.RSS <= 0 {
		return 0
	}
	return float64(n) / float64(s.Account.RSS)
}

// atLeast the share of RSS, and at least the bytes.
func (s *Situation) atLeast(n int64, share float64, bytes int64) bool {
	return s.share(n) >= share && n >= bytes
}

// third: the owner always gets a finding.
func (s *Situation) third(owner string) bool {
	return owner != "" && s.share(s.has(owner)) >= dominantShare
}

// large: the owner gets a finding whatever the others have.
func (s *Situation) large(owner string) bool {
	return s.third(owner) || s.atLeast(s.has(owner), notableShare, NotableBytes)
}

// LargeOwner is an owner's bytes and share, if it is large; else "".
func LargeOwner(a *account.Account, owner string) string {
	s := &Situation{Account: a}
	if !s.large(owner) {
		return ""
	}
	return s.of(s.has(owner))
}

// of says a figure with its share: "612.0 MiB (50 % of RSS)".
func (s *Situation) of(n int64) string {
	return fmt.Sprintf("%s (%.0f %% of RSS)", termtext.Bytes(n), 100*s.share(n))
}

// ranked owners, by has, largest first.
func (s *Situation) ranked() []string {
	names := []string{}
	for _, o := range s.Account.Owners {
		if o.Name != account.Libraries {
			names = append(names, o.Name)
		}
	}
	if !slices.Contains(names, account.Program) {
		names = append(names, account.Program)
	}
	names = append(names, unexplainedOwner)
	sort.SliceStable(names, func(i, j int) bool { return s.has(names[i]) > s.has(names[j]) })
	return names
}

func dominantOwner(s *Situation) string {
	if first := s.ranked()[0]; s.third(first) {
		return first
	}
	return ""
}

// pprof is the command for one of the service's own profiles.
func (s *Situation) pprof(name string) string {
	if file := s.Saved[name]; file != "" {
		return "`go tool pprof " + termtext.QuoteShell(file) + "`"
	}
	if s.Ended {
		return fmt.Sprintf("`go tool pprof http://SERVICE/debug/pprof/%s` on the next run", name)
	}
	if s.GoPprof == "" {
		return fmt.Sprintf("`go tool pprof http://SERVICE/debug/pprof/%s`", name)
	}
	index, _, _ := strings.Cut(s.GoPprof, "/heap?")
	return fmt.Sprintf("`go tool pprof %s`", termtext.QuoteShell(index+"/"+name))
}

func (s *Situation) command(format string) string {
	return "`cgoheap " + fmt.Sprintf(format, s.PID) + "`"
}

// memoryFlag asks for the profile of the whole resident memory.
const memoryFlag = " --memory"

// saveProfile is the command that gives a profile of C's memory; flags for one of a running
// process.
func (s *Situation) saveProfile(flags string) string {
	saved := map[string]string{"": "cgoheap", memoryFlag: "memory"}[flags]
	if file := s.Saved[saved]; file != "" {
		return "`" + termtext.QuoteShell(file) + "`"
	}
	if s.Ended {
		return "`cgoheap autopsy " + termtext.QuoteShell(s.File) + " -o killed.pb.gz`"
	}
	return s.command("profile %d" + flags)
}

// showHolders is where to see who holds C's memory.
func (s *Situation) showHolders() string {
	if file := s.Saved["cgoheap"]; file != "" {
		return "`go tool pprof -top -cum " + termtext.QuoteShell(file) + "`"
	}
	if s.Ended {
		return "the table of C memory"
	}
	return s.command("top %d")
}

// ownerMeanings explain owners without a rule.
var ownerMeanings = map[string]string{
	"kernel": "memory that the kernel shares, such as the rings of io_uring and AIO",
}

// ownerLarge is about large owners without a finding, even those that this command does not
// know.
func ownerLarge(s *Situation) string {
	var sentences []string
	for _, name := range s.ranked() {
		if s.spokenOf[name] || !s.large(name) {
			continue
		}
		text := upperFirst(speakOf(name)) + ": " + s.of(s.has(name))
		if what := ownerMeanings[name]; what != "" {
			text += ", " + what
		}
		sentences = append(sentences, text+".", s.change(name))
	}
	return join(append(sentences, s.unknownOwners())...)
}

// unknownOwners names owners without a figure, except those whose bytes are in another
// owner that says so: goroutine stacks in Go's heap, C retained in C live.
func (s *Situation) unknownOwners() string {
	var names []string
	cLiveSays := s.Account.Owner(account.CLive).Bytes != nil && cLiveLarge(s) != ""
	for _, o := range s.Account.Owners {
		inNeighbour := o.Name == account.GoStacks || o.Name == account.CRetained && cLiveSays
		if o.Bytes == nil && !inNeighbour {
			names = append(names, account.Label(o.Name))
		}
	}
	if len(names) == 0 {
		return ""
	}
	are := " is unknown."
	if len(names) > 1 {
		are = " are unknown."
	}
	return listOf(names) + are
}

func nothingDominates(s *Situation) string {
	if s.dominant != "" || s.Account.RSS <= 0 {
		return ""
	}
	top := s.ranked()
	return fmt.Sprintf("No single owner dominates: the largest are %s, %s, and %s, %s.",
		speakOf(top[0]), s.of(s.has(top[0])), speakOf(top[1]), s.of(s.has(top[1])))
}

// speakOf is the owner's name in a sentence.
func speakOf(owner string) string {
	if owner == account.Program {
		return "program and libraries"
	}
	return account.Label(owner)
}

func upperFirst(text string) string {
	first, rest := utf8.DecodeRuneInString(text)
	return strings.ToUpper(string(first)) + text[rest:]
}

func unexplained(s *Situation) string {
	n := s.has(unexplainedOwner)
	if s.share(n) <= unexplainedShare || n <= unexplainedBytes {
		return ""
	}
	text := s.of(n) + " is unexplained: cgoheap knows no owner for it."
	if s.Ended {
		return text
	}
	return fmt.Sprintf("%s Look again; if it stays, report it with %s.",
		text, s.command("explain %d --json"))
}
