package cohort

import (
	"math"
	"time"

	"cgoheap.example/cli/internal/holders"
)

// Class is what a stack's cohorts say of it.
type Class string

// The classes.  Whatever is not sure is TooEarly: a leak is called one only if nothing that will be
// freed looks the same, and nothing else is said where a leak may hide.
const (
	Leak     Class = "leak"
	Cache    Class = "cache"
	WarmUp   Class = "warm_up"
	Churn    Class = "churn"
	TooEarly Class = "too_early"
)

const (
	// LeakAge is how old a cohort must be to be called a leak.
	LeakAge = 10 * time.Minute
	// churnAge: of churn nearly all that is in use is younger.
	churnAge  = time.Minute
	mostShare = 0.9

	// sure is one-sided: one in 200 at the worst load that must not be called a leak.
	sure = 2.58
	// doubt is a difference that is not chance: one in 100.
	doubt = 2.33
	// fewest live blocks of a window that decides something.
	fewest = 3
	// spread: a leak has survivors in as many intervals.
	spread = 6

	// Queues and pools of libraries fill slowly: where all lives, less is no leak in its first
	// hour.
	newLeakBytes = 4 << 20

	// A leak whose blocks by chance are all early may be called a warm-up so often.
	warmChance = 0.001

	// Of what is in use in a cache, at most this may be a leak.
	mostLeaked = 0.375

	// Where a leak of hiddenShare would have shown, with sureShare, there is none.  What a GC frees
	// is known to be freed: there so many dead blocks are enough.
	hiddenShare = 0.01
	sureShare   = 0.99
	enoughByGC  = 50
)

// Finding is the class of a history.
type Finding struct {
	Class      Class
	Confidence float64 // that it is of this class; 0: too early to say
	Evidence   Cohort  // what shows it: several cohorts, summed
	Leaked     int64   // bytes in use that the leak is, 0 without one
	PerHour    int64   // by which it grows

	reason reason
	most   float64 // of a cache: the share of what is in use that may be a leak
}

// reason is why it is too early, or what is special.
type reason int

const (
	noReason     reason = iota
	watchedShort        // the cohorts do not reach back LeakAge
	fewSamples          // no test can tell
	shrinks             // with age, but does not reach zero
	slows               // less and less comes
	boundary            // all of the young lives, none of the old
	partStays           // of a cache, what is old has ceased to shrink
	smallAndNew         // all lives, but it is little
	noGCYet             // since it was allocated, and a finalizer may free it
	waitsForGC          // only a GC can free it, and none came since
)

// Never is how long ago a GC was that has not come yet.
const Never = forever

// Judge gives the class.  sinceGC is how long ago Go's last GC was, nil: not known.
func (h *History) Judge(sinceGC *time.Duration) Finding {
	known := h.known()
	if len(known) == 0 {
		return Finding{Class: TooEarly, reason: fewSamples}
	}
	f, found := findLeak(known)
	if !found {
		f = findEnd(known, f.reason, h.ByGC())
	}
	if f.Class == Leak && f.isNew() && f.Leaked < newLeakBytes {
		return Finding{Class: TooEarly, reason: smallAndNew, Evidence: f.Evidence}
	}
	if why := h.mayWait(f, sinceGC); f.Class == Leak && why != noReason {
		return Finding{Class: TooEarly, reason: why, Evidence: f.Evidence}
	}
	return f
}

// mayWait: what a GC frees is no leak before it has outlived one.  Of blocks that were never freed
// it is not known who would free them.
func (h *History) mayWait(leak Finding, sinceGC *time.Duration) reason {
	switch {
	case h.FreedBy != "" && !h.ByGC() || h.FreedBy == "" && sinceGC == nil:
		return noReason
	case sinceGC != nil:
		outlived := span(h.known(), *sinceGC, forever)
		if outlived.alive >= fewest &&
			!less(outlived.survivors(), leak.Evidence.survivors(), 0.5) {
			return noReason
		}
	}
	if h.ByGC() {
		return waitsForGC
	}
	return noGCYet
}

// ByGC says that Go's GC frees such blocks.
func (h *History) ByGC() bool { return holders.FreedByGC(h.FreedBy) }

// known are the cohorts up to the oldest in which something was sampled.
func (h *History) known() []Cohort {
	n := len(h.Cohorts)
	for n > 0 && h.Cohorts[n-1].sampled <= 0 {
		n--
	}
	return h.Cohorts[:n]
}

// span of cohorts: those from one age to another.
func span(all []Cohort, from, to time.Duration) Cohort {
	var sum Cohort
	for _, c := range all {
		if c.From >= from && c.end() <= to {
			sum = sum.plus(c)
		}
	}
	return sum
}

func (c Cohort) survivors() binomial { return binomial{c.alive, c.sampled} }

// findLeak looks for a plateau of survivors, in all cohorts and, where less comes now than at the
// start, in those since: what a start allocates may live on and hide what comes later.
func findLeak(known []Cohort) (Finding, bool) {
	first := Finding{Class: TooEarly, reason: watchedShort}
	for n := len(known); n > 0 && known[n-1].From >= LeakAge; n-- {
		f, found := plateau(known[:n])
		if found {
			return f, true
		}
		if n == len(known) {
			first = f
		}
		if f.reason != slows {
			break
		}
	}
	return first, false
}

// least of the young survivors that must reach the old age: about as many as have an exponential
// lifetime of two and a half times the age of the oldest cohort, where nearly all live.  Where few
// do, as many as of a Pareto lifetime of exponent one half.
func least(share float64) float64 { return 0.65 + 0.20*share*share }

// plateau: survivors do not shrink with age, and new ones keep coming.  Where few live, the start
// may have left some that look like more: there the younger cohorts must say the same.
func plateau(known []Cohort) (Finding, bool) {
	f, z := level(known)
	if f.reason != noReason || z < sure || span(known, LeakAge, forever).alive < fewest {
		return f.orFew(), false
	}
	if f.Evidence.survivors().share() < 0.5 {
		if rest, restZ := level(known[:len(known)-1]); rest.reason != noReason || restZ < 1 {
			return f.orFew(), false
		}
	}
	return leakOf(known, f.Evidence, normal(z)), true
}

const forever = time.Duration(math.MaxInt64)

func (f Finding) orFew() Finding {
	if f.reason == noReason {
		f.reason = fewSamples
	}
	return f
}

// level compares old with young cohorts: the reason why the old ones are no plateau, or else how
// many standard errors they are above what would be none.
func level(known []Cohort) (Finding, float64) {
	oldest := known[len(known)-1]
	age, old := oldest.end(), oldHalf(known)
	young, recent := span(known, age/8, old.From), span(known, 0, age/8)
	f := Finding{Class: TooEarly, Evidence: old}
	if young.alive < fewest || old.sampled <= 0 {
		f.reason = fewSamples
		return f, 0
	}
	a, b := old.survivors(), young.survivors()
	first, second := span(known, age/8, age/4), span(known, age/4, old.From)
	since := span(known, age/8, oldest.From)
	switch {
	case less(a, b, 0.95) || less(second.survivors(), first.survivors(), 0.95):
		f.reason = shrinks
	case less(since.survivors(), oldest.survivors(), 0.5) || !keepComing(old, young, recent):
		f.reason = slows
	case old.alive < fewest || !isSpread(known, age, old):
		f.reason = fewSamples
	default:
		return f, ratioTest(a, b, least(b.share()))
	}
	return f, 0
}

// oldHalf are the cohorts of the older half of the time, at least the oldest one.
func oldHalf(known []Cohort) Cohort {
	oldest := known[len(known)-1]
	return span(known, min(oldest.end()/2, oldest.From), oldest.end())
}

// keepComing: where most blocks live, the load does not say how many to expect, but time does.
func keepComing(old, young, recent Cohort) bool {
	if less(young.survivors(), old.survivors(), 0.75) {
		return false
	}
	isSteady := rates(young, old) < doubt && rates(recent, old) < doubt
	return young.survivors().share() < 0.5 || isSteady
}

// less says that a's share is smaller than b's, by more than chance and below this part of it.
func less(a, b binomial, part float64) bool {
	return a.share() < part*b.share() && ratioTest(a, b, 1) < -doubt
}

// rates is large if the survivors of the recent cohort came at less than half the old one's rate.
func rates(recent, old Cohort) float64 {
	return fewer(recent.alive, recent.length().Seconds(), old.alive, old.length().Seconds(), 0.5)
}

// isSpread: survivors came at many times, not in a few bursts.
func isSpread(known []Cohort, age time.Duration, old Cohort) bool {
	intervals, with := 0, 0
	for _, c := range known {
		if c.From >= age/16 {
			intervals++
			if c.alive > 0 {
				with++
			}
		}
	}
	if with < min(spread, intervals) {
		return false
	}
	for part := age / 8; part < age; part *= 2 {
		c := span(known, part, 2*part)
		expected := c.sampled * old.survivors().share()
		if c.sampled > 0 && expected >= 5 && c.alive < expected/4 {
			return false
		}
	}
	return true
}

// leakOf says how much a leak is: its share of what is young, and all that is older.
func leakOf(known []Cohort, old Cohort, confidence float64) Finding {
	age := known[len(known)-1].end()
	f := Finding{Class: Leak, Evidence: old}
	var all Cohort
	var kept float64
	for _, c := range known {
		all = all.plus(c)
		if c.From >= age/8 {
			kept += float64(c.Live)
		} else {
			kept += min(float64(c.Live), old.Share()*float64(c.Allocated))
		}
	}
	f.Leaked = int64(kept)
	f.PerHour = int64(kept / age.Hours())
	// What is filled, or kept for a time, looks like a leak until it is full or the time is over:
	// if nothing ever died, only age speaks against that.
	if all.survivors().share() > 0.98 {
		confidence = min(confidence, 1-float64(LeakAge)/2/float64(age))
	}
	f.Confidence = confidence
	return f
}

// gap is a run of cohorts of which nothing lives.
type gap struct{ young, dead, old Cohort }

// largestGap has the most samples, or where there are none the most time.
func largestGap(known []Cohort) gap {
	var best gap
	for i := 0; i < len(known); i++ {
		j := i
		var dead Cohort
		for j < len(known) && known[j].alive <= 0 {
			dead = dead.plus(known[j])
			j++
		}
		more := dead.sampled > best.dead.sampled ||
			dead.sampled == best.dead.sampled && dead.length() > best.dead.length()
		if j > i && more {
			best = gap{sum(known[:i]), dead, sum(known[j:])}
		}
		i = max(i, j)
	}
	return best
}

func sum(cohorts []Cohort) Cohort {
	var all Cohort
	for _, c := range cohorts {
		all = all.plus(c)
	}
	return all
}

// findEnd: what lives is bounded, because all that is older, or that came since, has died.
func findEnd(known []Cohort, why reason, byGC bool) Finding {
	all := sum(known)
	f := Finding{Class: TooEarly, reason: why, Evidence: oldHalf(known)}
	if all.end() < LeakAge {
		f.reason = watchedShort
		return f
	}
	g := largestGap(known)
	if confidence := g.warmedUp(all); confidence > 0 {
		f.Class, f.Confidence, f.reason, f.Evidence = WarmUp, confidence, noReason, g.old
		return f
	}
	if mayHaveBegun(known) {
		f.reason = boundary
		return f
	}
	young := span(known, 0, churnAge)
	if float64(young.Live) >= mostShare*float64(all.Live-g.old.Live) {
		return g.churned(f, all, byGC)
	}
	return cached(f, known, byGC)
}

// mayHaveBegun: all that is younger than some age lives, and is old enough for a leak.  What is
// older has died, but the leak may be one that began then.
func mayHaveBegun(known []Cohort) bool {
	for n := len(known) - 1; n > 0 && known[n-1].From >= LeakAge; n-- {
		f, isLeak := plateau(known[:n])
		if isLeak && less(sum(known[n:]).survivors(), f.Evidence.survivors(), 0.5) {
			return true
		}
	}
	return false
}

// noLeak is how sure it is that no share of the dead was to be kept for ever.
func (g gap) noLeak() float64 { return 1 - math.Pow(1-hiddenShare, g.dead.sampled) }

// warmedUp: what lives came early, and nothing since for as long as that.  If it came evenly, it
// would hardly all be so old.  0: it is not so.
func (g gap) warmedUp(all Cohort) float64 {
	isQuiet := g.dead.sampled <= 0 && g.young.alive <= 0 // nothing was allocated since
	if g.old.alive <= 0 || g.old.Live < all.Live/2 || !isQuiet && g.noLeak() < sureShare ||
		g.dead.length() < max(LeakAge, g.old.length()*3/4) {
		return 0
	}
	early := float64(all.end()-g.dead.end()) / float64(all.end())
	byChance := math.Pow(early, g.old.alive)
	if byChance > warmChance {
		return 0
	}
	if isQuiet {
		return 1 - byChance
	}
	return min(1-byChance, g.noLeak())
}

// churned: little is older than churnAge, and no share of it would be hidden.
func (g gap) churned(f Finding, all Cohort, byGC bool) Finding {
	confidence := min(g.noLeak(), 1-float64(g.dead.From)/float64(all.end()))
	isSure := g.noLeak() >= sureShare || byGC && g.dead.sampled >= enoughByGC
	if !isSure || g.old.Live > all.Live/2 || g.dead.length() < max(g.dead.From, LeakAge/2) {
		return f
	}
	f.Class, f.Confidence, f.reason, f.Evidence = Churn, confidence, noReason, g.dead
	return f
}

// cached: it shrinks with age, so much that most of what is in use cannot be a leak.  What the
// start has left is none either.
func cached(f Finding, known []Cohort, byGC bool) Finding {
	all := sum(known)
	if all.survivors().share() < mostShare && staysLevel(known, f.Evidence.From) {
		f.reason = partStays
		return f
	}
	tail := f.Evidence.survivors()
	rest := span(known, f.Evidence.From, known[len(known)-1].From).survivors()
	if rest.n > 0 && rest.atMost() < tail.atMost() {
		tail = rest
	}
	ofInUse := all.sampled / max(all.alive, 1)
	f.most = tail.atMost() * ofInUse
	isEmpty := byGC && f.Evidence.alive <= 0 && f.Evidence.sampled >= enoughByGC
	if all.alive <= 0 || tail.share()*ofInUse > mostLeaked || f.most > 0.5 && !isEmpty {
		return f
	}
	f.Class, f.Confidence, f.reason = Cache, 1-min(f.most, 0.5), noReason
	return f
}

// staysLevel: the old half has ceased to shrink, which may be a leak under a cache.
func staysLevel(known []Cohort, from time.Duration) bool {
	oldest := known[len(known)-1]
	end := oldest.end()
	if less(span(known, from, oldest.From).survivors(), oldest.survivors(), 0.5) {
		end = oldest.From
	}
	middle := (from + end) / 2
	first, second := span(known, from, middle), span(known, middle, end)
	if second.sampled <= 0 && first.sampled > 0 { // the oldest is longer than half of it
		first, second = span(known, from, oldest.From), oldest
	}
	return second.alive >= fewest && first.alive >= fewest &&
		ratioTest(second.survivors(), first.survivors(), least(0)) >= sure
}
