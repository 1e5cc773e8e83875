package memlimit

import (
	"fmt"
	"math"
	"time"
)

// A measurement is all that is known at one moment.
type measurement struct {
	at        time.Time
	golang    goFigures
	untouched int64
	bounds    []bound
}

const (
	lowerStep  = 4  // of the headroom: a smaller difference does not lower the limit
	raiseStep  = 2  // of the headroom: a smaller difference does not raise it
	holdLooks  = 10 // intervals for which there must have been room before a raise
	holdMost   = 16 // times as long, after raises that did not last
	holdLasted = 4  // times hold: a raise that is undone within that did not last
	trendLooks = 100
	// between two FreeOSMemory; twice as long after each that did not help
	freeRest   = 10 * time.Second
	freeMost   = 10 * time.Minute
	freeShare  = 20 // and this many times as long as one took
	lookLeast  = 20 * time.Millisecond
	lookShare  = 50 // times as long as a look took: 2 % of a CPU
	countBurst = 10
	lookAhead  = 4 // looks until what grows is at its limit
	// bytes a second that nothing grows by, from standstill, between two looks
	lookSpeed = 256 << 20
)

// A policy decides. It reads nothing and sets nothing.
type policy struct {
	opts    Options
	ceiling int64 // MaxInt64: none
	limit   int64 // as it was set last
	begun   bool  // it was set

	recent  lowest
	hold    time.Duration
	raised  time.Time // the last raise, if it has not been undone; else zero
	lacking bool

	trend      trend
	trendOf    string // the bound
	warned     time.Duration
	warnedAt   time.Time
	isWarned   bool
	last       measurement
	lastGap    int64   // how much more the kernel lets be used before it kills
	reach      int64   // what of that Go may take at any moment
	speed      float64 // at which the gap closes, bytes a second
	lastNonGo  int64
	over       int // looks in a row at which Go had more than its limit
	freeNoMore time.Time
	freeRest   time.Duration
}

func newPolicy(o Options, ceiling int64) *policy {
	hold := holdLooks * o.Interval
	return &policy{opts: o, ceiling: ceiling, hold: hold, recent: lowest{width: hold},
		trend:    trend{window: trendLooks * o.Interval},
		freeRest: freeRest}
}

// weigh finds the bound that leaves Go the least, and what that is.
func (p *policy) weigh(m *measurement) (f Figures, want int64) {
	f = Figures{Limit: p.limit, Go: m.golang.held, Untouched: m.untouched,
		Floor: max(p.opts.Floor, m.golang.floor())}
	want = math.MaxInt64
	for _, b := range m.bounds {
		headroom := p.opts.headroom(b.limit)
		nonGo := max(0, b.used-(m.golang.held-m.untouched))
		if b.cgroup && (f.CgroupLimit == 0 || b.limit < f.CgroupLimit) {
			f.CgroupLimit = b.limit
		}
		if left := b.limit - headroom - nonGo; left < want {
			want = left
			f.Bound, f.BoundLimit, f.Used, f.NonGo, f.Headroom = b.name, b.limit, b.used, nonGo,
				headroom
		}
	}
	return f, want
}

// next is what the limit is to be, the same as now if it is to stay.
func (p *policy) next(at time.Time, f *Figures, want int64) int64 {
	want = min(max(want, f.Floor), p.ceiling)
	lowest := min(p.recent.with(at, want), want)
	switch {
	case !p.begun:
		return want
	case p.limit-want >= max(1, f.Headroom/lowerStep):
		return min(want, max(want-p.lead(at, f), f.Floor))
	case lowest-p.limit >= max(1, f.Headroom/raiseStep):
		return lowest
	case min(f.Floor, p.ceiling)-p.limit >= max(1, f.Headroom/lowerStep):
		return min(f.Floor, p.ceiling)
	}
	return p.limit
}

// lead is what NonGo will have grown by when Go has come down: a second's worth, at
// most the headroom again.
func (p *policy) lead(at time.Time, f *Figures) int64 {
	seconds := at.Sub(p.last.at).Seconds()
	if f.Bound != p.trendOf || seconds <= 0 {
		return 0
	}
	return min(f.Headroom, max(0, int64(float64(f.NonGo-p.lastNonGo)/seconds)))
}

// changes: whether it would set another limit by these figures.
func (p *policy) changes(m *measurement) bool {
	f, want := p.weigh(m)
	return p.next(m.at, &f, want) != p.limit
}

// step decides, and says what it decided. The limit to set is p.limit then.
func (p *policy) step(m *measurement) (f Figures, events []Event) {
	f, want := p.weigh(m)
	say := func(kind Kind, previous int64, format string, args ...any) {
		events = append(events, Event{Kind: kind, Time: m.at, Previous: previous, Figures: f,
			Slope: p.trend.slope(), Reason: fmt.Sprintf(format, args...)})
	}
	previous, first := p.limit, !p.begun
	if first {
		previous = p.ceiling
	}
	p.limit, p.begun = p.next(m.at, &f, want), true
	f.Limit = p.limit
	p.recent.add(m.at, min(max(want, f.Floor), p.ceiling))
	p.watch(m, &f)
	switch {
	case first:
		say(Started, previous, "GOMEMLIMIT is %s: %s", size(p.limit), f.why())
	case p.limit < previous:
		p.lowered(m.at)
		say(Lowered, previous, "GOMEMLIMIT goes from %s to %s: %s", size(previous), size(p.limit),
			f.why())
	case p.limit > previous:
		p.raised = m.at
		say(Raised, previous, "GOMEMLIMIT goes from %s to %s: %s", size(previous), size(p.limit),
			f.why())
	default:
		p.settled(m.at)
	}
	p.judge(&f, want, say)
	p.warn(m.at, &f, &events)
	return f, events
}

func (f *Figures) why() string {
	if f.Bound == "" {
		return "no cgroup has a limit now, and none is given"
	}
	text := fmt.Sprintf("of %s of %s, %s is not Go's and %s has to stay free", size(f.BoundLimit),
		f.Bound, size(f.NonGo), size(f.Headroom))
	if f.Limit == f.Floor {
		text += ", and Go needs this much"
	}
	return text
}

func (p *policy) lowered(at time.Time) {
	if !p.raised.IsZero() && at.Sub(p.raised) < holdLasted*p.hold {
		p.hold = min(2*p.hold, holdMost*holdLooks*p.opts.Interval)
	}
	p.raised = time.Time{}
	p.recent = lowest{width: p.hold}
}

func (p *policy) settled(at time.Time) {
	if base := holdLooks * p.opts.Interval; !p.raised.IsZero() &&
		at.Sub(p.raised) > holdMost*base && p.hold > base {
		p.hold = base
		p.recent = lowest{width: base}
	}
}

// judge says when there is not enough for Go, and when there is again.
func (p *policy) judge(f *Figures, want int64, say func(Kind, int64, string, ...any)) {
	switch {
	case !p.lacking && want < f.Floor:
		p.lacking = true
		say(NoRoom, p.limit, "%s of %s of %s is not Go's: that leaves %s, and Go needs %s. Make "+
			"the limit larger, or find who has the rest",
			size(f.NonGo), size(f.BoundLimit), f.Bound,
			size(max(0, f.BoundLimit-f.Headroom-f.NonGo)), size(f.Floor))
	case p.lacking && want >= f.Floor+f.Headroom/lowerStep:
		p.lacking = false
		say(Room, p.limit, "there is enough for Go again: %s", f.why())
	}
}

// watch follows what is not Go's over minutes, and how fast the bound comes nearer.
func (p *policy) watch(m *measurement, f *Figures) {
	if f.Bound != p.trendOf {
		p.trend = trend{window: p.trend.window}
		p.trendOf = f.Bound
	}
	if f.Bound != "" {
		p.trend.add(m.at, float64(f.NonGo))
	}
	gap := nearest(m.bounds)
	if seconds := m.at.Sub(p.last.at).Seconds(); !p.last.at.IsZero() && seconds > 0 {
		p.speed = max(float64(p.lastGap-gap)/seconds, p.speed/2)
	}
	p.lastNonGo = f.NonGo
	p.last, p.lastGap, p.reach = *m, gap, m.golang.growth(p.limit)
	if m.golang.held-p.limit >= max(1, f.Headroom/lowerStep) {
		p.over++
	} else {
		p.over, p.freeRest = 0, freeRest
	}
}

// nearest is how much more the kernel lets be used before it kills.
func nearest(bounds []bound) int64 {
	gap := int64(math.MaxInt64)
	for _, b := range bounds {
		gap = min(gap, b.limit-b.used)
	}
	return gap
}

func (p *policy) warn(at time.Time, f *Figures, events *[]Event) {
	slope := p.trend.slope()
	left := f.BoundLimit - f.Headroom - f.Floor - f.NonGo
	seconds := float64(left) / slope // of a slope of 0, infinite
	soon := slope > 0 && left > 0 && seconds <= p.opts.Horizon.Seconds() &&
		p.trend.rise() >= float64(f.Headroom/lowerStep)
	if !soon {
		if p.isWarned && at.Sub(p.warnedAt) > p.trend.window {
			p.isWarned = false
		}
		return
	}
	rest := time.Duration(seconds * float64(time.Second))
	if p.isWarned && rest > p.warned/2 {
		return
	}
	p.isWarned, p.warned, p.warnedAt = true, rest, at
	*events = append(*events, Event{Kind: Growth, Time: at, Previous: p.limit, Figures: *f,
		Slope: slope, TimeLeft: rest,
		Reason: fmt.Sprintf("memory that is not Go's is %s and grows by %s a minute: in %s it "+
			"leaves less of %s of %s than the %s that Go needs",
			size(f.NonGo), size(int64(slope*60)), rest.Round(time.Second), size(f.BoundLimit),
			f.Bound, size(f.Floor))})
}

// pace is when to look again, after a look that took so long.
func (p *policy) pace(took time.Duration) time.Duration {
	seconds := min(max(0, float64(p.lastGap-p.reach))/lookSpeed, max(0, float64(p.lastGap))/max(1,
		p.speed*lookAhead))
	wait := p.opts.Interval
	if seconds < wait.Seconds() {
		wait = time.Duration(seconds * float64(time.Second))
	}
	return max(wait, lookLeast, lookShare*took)
}

// mustFree: Go does not come down by itself, and there is no time left, a second at most.
func (p *policy) mustFree(f *Figures) bool {
	soon := p.lastGap < f.Headroom/2 || float64(p.lastGap) < p.speed
	return p.over >= 2 && soon && !p.last.at.Before(p.freeNoMore)
}

// freeing: FreeOSMemory is called.
func (p *policy) freeing(at time.Time) {
	p.freeNoMore = at.Add(p.freeRest)
	p.freeRest = min(2*p.freeRest, freeMost)
}

// freed: it has ended, after so long.
func (p *policy) freed(at time.Time, took time.Duration) {
	if rest := at.Add(freeShare * took); rest.After(p.freeNoMore) {
		p.freeNoMore = rest
	}
}

// lowest is the minimum of a series over the last width at least, and twice that
// at most: two buckets, so that it needs no memory.
type lowest struct {
	width            time.Duration
	since            time.Time // of the present bucket
	present, before  int64
	complete, filled bool // before is known; present is
}

func (l *lowest) add(at time.Time, n int64) {
	switch {
	case !l.filled:
		l.since, l.present, l.filled = at, n, true
	case at.Sub(l.since) >= l.width:
		l.before, l.complete = min(l.present, n), true
		l.since, l.present = at, n
	default:
		l.present = min(l.present, n)
	}
}

// with is the minimum with one more; of too short a series it is the least there is.
func (l lowest) with(at time.Time, n int64) int64 {
	l.add(at, n)
	if !l.complete {
		return 0
	}
	return min(l.before, l.present)
}
