package cause

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/drift"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/verdict"
)

// rule: where all that it needs is known and when holds, it says its sentence, and goes on to
// until when has not held for a while.  A rule with a figure is about growth of that figure.
type rule struct {
	name  string
	needs []string // "a|b": one of them
	// of growth: the figure, and the owner whose next command the verdict knows
	figure func(*Watcher) string
	owner  string
	when   func(w *Watcher, grows growth) bool
	means  func(w *Watcher, grows growth) string // after what grows and how fast
}

// rules in the order of what explains most.
var rules = []rule{
	{"mapping_leak", []string{series.CMmap, series.VMData, series.RSSAnon}, figure(series.CMmap),
		account.CMmap, mappingLeak, text("VmData and RssAnon grow with it, and Go's heap does " +
			"not: C code maps memory and does not unmap it.")},
	{"c_leak", []string{series.CLive}, figure(series.CLive), account.CLive, always, text(
		"C code allocates blocks and does not free them.")},
	{"fragmentation", []string{series.CRetained, series.CLive}, figure(series.CRetained),
		account.CRetained, fragmentation, text("C live does not grow with it: the allocator " +
			"keeps freed memory that new blocks do not fit into (fragmentation).")},
	{"goroutine_leak", []string{series.Goroutines, goStacks}, figure(series.Goroutines),
		account.GoStacks, goroutineLeak, goroutineMeans},
	{"go_leak", []string{series.GoLive + "|" + series.GoInUse}, goFigure, account.GoHeap, always,
		text("Go code keeps references to these objects; no C code is involved.")},
	{"thread_leak", []string{series.Threads}, figure(series.Threads), account.ThreadStacks,
		always, text("Threads are started that do not end; each has a stack.")},
	{"go_released_lags", []string{goFree, series.RSS}, nil, "", releasedLags, says(
		"go_heap_free")},
	{"gc_goal_near_limit", []string{series.GoGoal, series.GoInUse, series.RSS,
		series.CgroupLimit}, nil, "", goalNearLimit, goalMeans},
	{"gc_pressure", []string{series.GoGoal + "|" + series.GCCPU + "|" + pauseEach}, nil, "",
		gcPressure, pressureMeans},
	{"swap", []string{series.Swap, series.RSS}, nil, "", swaps, says("swap")},
	{"near_limit", []string{series.RSSAnon, series.CgroupLimit}, nil, "",
		nearLimit, says("near_limit")},
	{fallback, []string{series.RSSAnon}, figure(series.RSSAnon), "", unexplained,
		unexplainedMeans},
}

// fallback is the rule about growth that no other rule explains.
const fallback = "memory_grows"

var goStacks = series.OwnerName(account.GoStacks)

// growth of a rule's figure.
type growth struct {
	name  string
	state drift.State
	grew  float64
}

func figure(name string) func(*Watcher) string { return func(*Watcher) string { return name } }

func text(s string) func(*Watcher, growth) string {
	return func(*Watcher, growth) string { return s }
}

// says is what a rule of the verdict says.
func says(name string) func(*Watcher, growth) string {
	return func(w *Watcher, _ growth) string { return verdict.Says(name, w.situation()) }
}

func always(*Watcher, growth) bool { return true }

// goFigure: what the last collection found live has no sawtooth.
func goFigure(w *Watcher) string {
	if w.knows(series.GoLive) {
		return series.GoLive
	}
	return series.GoInUse
}

// lacking are the figures without which the rule says nothing.
func (r *rule) lacking(w *Watcher) []string {
	var missing []string
	for _, need := range r.needs {
		known := false
		for _, name := range strings.Split(need, "|") {
			known = known || w.knows(name)
		}
		if !known {
			missing = append(missing, need)
		}
	}
	return missing
}

// flat: a figure takes no part in growth since then worth a word.  What is not known is not flat.
func (w *Watcher) flat(name string, since, grew float64) bool {
	return w.knows(name) && w.rise(name, since) < flatShare*grew
}

const (
	flatShare = 0.25 // of what grew
	mostShare = 0.5
	// A part of the growth of RSS below which a figure's growth is not its cause.
	causeShare = 0.10
)

func mappingLeak(w *Watcher, g growth) bool {
	since := g.state.Since
	return w.rise(series.VMData, since) > mostShare*g.grew &&
		w.rise(series.RSSAnon, since) > mostShare*g.grew &&
		(w.flat(goFigure(w), since, g.grew) || !w.knows(goFigure(w)))
}

func fragmentation(w *Watcher, g growth) bool { return w.flat(series.CLive, g.state.Since, g.grew) }

func goroutineLeak(w *Watcher, g growth) bool {
	return w.rise(goStacks, g.state.Since) > 0 || w.State(goStacks).Shape == drift.Growing
}

func goroutineMeans(w *Watcher, g growth) string {
	return fmt.Sprintf("Their stacks grew by %s: goroutines are started that do not end.",
		amount(goStacks, w.rise(goStacks, g.state.Since)))
}

// releasedLags: a heap that was used lately is free for the next cycle; this one was not.
func releasedLags(w *Watcher, _ growth) bool {
	free := w.lowest(goFree, lagSeconds)
	s := w.situation()
	if math.IsNaN(free) {
		return false
	}
	n := int64(free)
	s.Account.Go.HeapFree = &n
	return verdict.Says("go_heap_free", s) != ""
}

const lagSeconds = 300 // the runtime returns memory in the background over some minutes

func (w *Watcher) outsideGo() float64 {
	resident := w.now(series.OwnerName(account.GoHeap))
	if math.IsNaN(resident) {
		resident = w.now(series.GoInUse)
	}
	return max(0, w.now(series.RSS)-resident)
}

func goalNearLimit(w *Watcher, _ growth) bool {
	limit, goal := w.now(series.CgroupLimit), w.now(series.GoGoal)
	live := w.now(series.GoLive)
	if math.IsNaN(live) {
		live = 0
	}
	return limit > 0 && goal+w.outsideGo() >= verdict.LimitShare*limit &&
		goal-live >= goalPart*limit
}

func goalMeans(w *Watcher, _ growth) string {
	return fmt.Sprintf("Go lets its heap grow to %s before the next collection, and with %s "+
		"outside of it that is %.0f %% of the limit of %s: the process may be killed before Go "+
		"collects. Set GOMEMLIMIT; the Go package cgo_bridge/memlimit adjusts it as C memory "+
		"changes.", amount(series.GoGoal, w.now(series.GoGoal)),
		amount(series.RSS, w.outsideGo()),
		100*(w.now(series.GoGoal)+w.outsideGo())/w.now(series.CgroupLimit),
		amount(series.CgroupLimit, w.now(series.CgroupLimit)))
}

// A goal with less than this part of the limit in garbage is not what fills the limit.
const goalPart = 0.10

const (
	// The next collection begins as soon as the last ends: GOMEMLIMIT is too low for what lives.
	goalOverLive = 1.1
	busyGC       = 0.25 // of the CPU: the runtime's own aim for one cycle
)

func (w *Watcher) goalBelowLive() bool {
	return w.now(series.GoGoal) < goalOverLive*w.now(series.GoLive)
}

func gcPressure(w *Watcher, _ growth) bool {
	return w.goalBelowLive() || w.now(series.GCCPU) >= busyGC ||
		w.State(pauseEach).Shape == drift.Growing
}

func pressureMeans(w *Watcher, _ growth) string {
	var parts []string
	if w.goalBelowLive() {
		parts = append(parts, fmt.Sprintf("the next collection is due at %s, and %s is live",
			amount(series.GoGoal, w.now(series.GoGoal)), amount(series.GoLive,
				w.now(series.GoLive))))
	}
	if cpu := w.now(series.GCCPU); cpu >= busyGC {
		parts = append(parts, fmt.Sprintf("collecting takes %.0f %% of the CPU", 100*cpu))
	}
	if s := w.State(pauseEach); s.Shape == drift.Growing {
		parts = append(parts, fmt.Sprintf("pauses lengthened from %s to %s",
			amount(pauseEach, s.From), amount(pauseEach, w.now(pauseEach))))
	}
	return "Go's collector is under pressure: " + strings.Join(parts, "; ") +
		". Raise GOMEMLIMIT or GOGC, or let less live. " + verdict.WhereToLook(w.situation(),
		account.GoHeap)
}

func swaps(w *Watcher, _ growth) bool { return verdict.Says("swap", w.situation()) != "" }

func nearLimit(w *Watcher, _ growth) bool {
	return verdict.Says("near_limit", w.situation()) != ""
}

// unexplained growth: no figure that has a rule grows.  A load that wanders moves all of them a
// little, so the growth must be sure.
func unexplained(w *Watcher, g growth) bool {
	if !w.firing(fallback) && w.slope(g.name, g.state).Low <= 0 {
		return false
	}
	return !w.explained()
}

// explained: another rule speaks of growth.
func (w *Watcher) explained() bool {
	return slices.ContainsFunc(w.Alerts(), func(a Alert) bool {
		return a.Figure != "" && a.Rule != fallback
	})
}

// unexplainedMeans names the owner that grew most, or what is missing.
func unexplainedMeans(w *Watcher, g growth) string {
	if owner, grew := w.grownMost(g.state.Since); grew > mostShare*g.grew {
		return joined(fmt.Sprintf("Most of it, %s, is %s.", amount(owner, grew), partLabel(owner)),
			verdict.WhereToLook(w.situation(), ownerOf(owner)))
	}
	var missing []string
	for _, name := range []string{series.CLive, series.CMmap, series.GoInUse} {
		if !w.knows(name) {
			missing = append(missing, label(name))
		}
	}
	if len(missing) == 0 {
		return "No known owner grows as much."
	}
	return "Whose it is cannot be told without " + strings.Join(missing, ", ") +
		": run the program with `cgoheap run`."
}
