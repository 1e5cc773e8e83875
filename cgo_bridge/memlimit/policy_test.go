package memlimit

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// 512 MiB less 5 %.
const usable = 512*mib - 512*mib/20

func TestFollows(t *testing.T) {
	w := newWorld()
	w.nonGo = 100 * mib
	r := start(t, w, Options{})
	r.want(usable-100*mib, "started")
	w.nonGo = 106 * mib // less than a quarter of the headroom
	r.pass(time.Minute, nil)
	r.want(usable-100*mib, "")
	w.nonGo = 110 * mib
	lead := int64(4 * mib / r.c.State().Next.Seconds()) // a second's worth of growth
	r.pass(r.c.State().Next, nil)
	r.want(usable-110*mib-lead, "lowered")
	w.nonGo = 20 * mib
	r.pass(28*time.Second, nil)
	r.want(usable-110*mib-lead, "")
	r.pass(40*time.Second, nil)
	r.want(usable-20*mib, "raised")
	r.c.Stop()
	r.want(math.MaxInt64, "stopped")
	w.nonGo = 300 * mib
	r.c.look()
	r.c.Stop()
	r.want(math.MaxInt64, "")
	if s := r.c.State(); !s.Stopped || s.Limit != math.MaxInt64 {
		t.Errorf("%+v", s)
	}
}

// A slice that is made and not filled is not in the cgroup's usage: it will be.
func TestUntouchedMemoryIsGos(t *testing.T) {
	w := newWorld()
	w.nonGo = 100 * mib
	r := start(t, w, Options{})
	w.held += 200 * mib
	w.untouched = 200 * mib
	r.pass(5*time.Minute, nil)
	r.want(usable-100*mib, "started")
	w.untouched = 0
	r.pass(5*time.Minute, nil)
	r.want(usable-100*mib, "")
}

// Also where counting is dear: a slice that is filled at once is not taken for C memory.
func TestTouchedAtOnce(t *testing.T) {
	w := newWorld()
	w.nonGo, w.counting = 100*mib, 50*time.Millisecond
	r := start(t, w, Options{})
	for i := 0; i < 20; i++ {
		w.held, w.untouched = 350*mib, 200*mib
		r.pass(time.Minute, nil)
		w.untouched = 0
		r.pass(time.Second, nil)
		w.held = 150 * mib
		r.pass(time.Minute, nil)
	}
	r.want(usable-100*mib, "started")
}

// C memory that comes and goes: its peaks count, whatever the period.
func TestDoesNotFlap(t *testing.T) {
	for _, period := range []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute,
		10 * time.Minute} {
		w := newWorld()
		r := start(t, w, Options{})
		highest := int64(0)
		r.pass(6*time.Hour, func(since time.Duration) {
			phase := float64(since%period) / float64(period)
			w.nonGo = 100*mib + int64(150*mib*math.Abs(2*phase-1))
			if since > time.Hour {
				highest = max(highest, w.set)
			}
		})
		// After the first hour it stays below what the peaks leave.
		changes := 0
		for _, e := range r.events {
			if e.Time.Sub(w.clock) > -5*time.Hour && (e.Kind == Lowered || e.Kind == Raised) {
				changes++
			}
		}
		t.Logf("period %v: %d changes in all, %d after the first hour", period, len(r.events),
			changes)
		if changes > 5 || highest > usable-225*mib {
			t.Errorf("period %v: %d changes in five hours, limit up to %s", period, changes,
				size(highest))
		}
	}
}

func TestFloorAndNoRoom(t *testing.T) {
	w := newWorld()
	floor := w.live + w.live/4
	r := start(t, w, Options{})
	w.held = floor
	w.nonGo = usable - floor + 10*mib
	r.pass(time.Minute, nil)
	r.want(floor, "started, lowered, no room")
	w.nonGo = usable - floor - 2*mib
	r.pass(time.Minute, nil)
	r.want(floor, "")
	w.nonGo = usable - floor - 10*mib
	r.pass(time.Minute, nil)
	r.want(floor, "room") // 10 MiB are no raise
	// The live heap grows: at once.
	w.live = 100 * mib
	r.pass(5*time.Second, nil)
	r.want(125*mib, "raised, no room")

	w = newWorld()
	w.nonGo = 400 * mib
	start(t, w, Options{Floor: 200 * mib}).want(200*mib, "started, no room")
}

func TestLimitBefore(t *testing.T) {
	w := newWorld()
	w.set = 300 * mib // GOMEMLIMIT
	r := start(t, w, Options{})
	r.want(300*mib, "started")
	w.nonGo = 300 * mib
	r.pass(time.Minute, nil)
	if w.set >= usable-300*mib+1 {
		t.Error(size(w.set))
	}
	w.nonGo = 0
	r.pass(10*time.Minute, nil)
	r.want(300*mib, "lowered, raised, raised")
	w.set = 200 * mib // the program's own
	r.pass(time.Minute, nil)
	r.want(200*mib, "ceiling")
	w.set = math.MaxInt64
	r.pass(10*time.Second, nil)
	r.want(usable, "ceiling, lowered")
	w.set = 0
	r.pass(time.Minute, nil)
	r.want(0, "ceiling")
	r.c.Stop()
	r.want(0, "stopped")
	w.set = 77 * mib
	r.c.Stop()
	r.want(77*mib, "")
}

// The program's own limit, set after the last look, is not undone by Stop.
func TestStopKeepsTheProgramsLimit(t *testing.T) {
	w := newWorld()
	r := start(t, w, Options{})
	w.set = 77 * mib
	r.c.Stop()
	r.want(77*mib, "started, ceiling, stopped")
}

func TestCgroupLimitChanges(t *testing.T) {
	w := newWorld()
	r := start(t, w, Options{})
	w.cgroup = 256 * mib
	r.pass(5*time.Second, nil)
	r.want(256*mib-16*mib, "started, lowered")
	w.cgroup = 0 // taken away
	r.pass(5*time.Minute, nil)
	r.want(math.MaxInt64, "raised")
	w.err = errors.New("gone")
	r.pass(time.Minute, nil)
	r.want(math.MaxInt64, "failed")
	if s := r.c.State(); s.Err != w.err {
		t.Errorf("%+v", s)
	}
	w.err, w.cgroup = nil, 512*mib
	r.pass(5*time.Second, nil)
	r.want(usable, "lowered")
	if s := r.c.State(); s.Err != nil {
		t.Errorf("%+v", s)
	}
}

// Go that allocates comes down by itself; Go that does not is helped, not too often.
func TestFreeOSMemory(t *testing.T) {
	w := newWorld()
	w.held, w.goal = usable, 600*mib
	r := start(t, w, Options{})
	grow := func(time.Duration) { w.nonGo = min(w.nonGo+mib, 14*mib) }
	r.pass(20*time.Second, grow)
	<-w.freed
	if n := w.freedTimes(); n != 1 && n != 2 || !strings.Contains(r.kinds(), "lowered, returned") {
		t.Errorf("freed %d times in 20 s", n)
	}

	w = newWorld()
	w.held, w.goal = usable, 600*mib
	r = start(t, w, Options{})
	r.pass(20*time.Second, func(s time.Duration) {
		grow(s)
		w.held = min(w.held, w.set)
	})
	if w.freedTimes() != 0 {
		t.Error(r.events)
	}
}

// It looks more often the nearer the limit is, and never so often that it costs.
func TestPace(t *testing.T) {
	w := newWorld()
	r := start(t, w, Options{})
	far := r.c.State().Next
	w.cgroup = 1 << 40
	if next := r.c.look(); next != defaultInterval {
		t.Error(next)
	}
	w.cgroup, w.goal = 512*mib, 600*mib
	near := r.c.look()
	if far < time.Second || near > 150*time.Millisecond || near < lookLeast {
		t.Error(far, near)
	}
	w.took = 10 * time.Millisecond
	if next := r.c.look(); next < 50*w.took {
		t.Error(next)
	}
	w.took = 0
	w.nonGo = 400 * mib
	if next := r.c.look(); next != lookLeast {
		t.Error(next)
	}
	// Counting the pages of a large heap takes its own share, and does not delay looks.
	w = newWorld()
	w.goal, w.counting = 600*mib, 100*time.Millisecond
	r = start(t, w, Options{})
	looks := 0
	r.pass(10*time.Minute, func(time.Duration) { looks++ })
	if w.counts > 10*60/5+countBurst+2 || w.counts < 10*60/10 || looks < 1000 {
		t.Errorf("%d counts, %d looks", w.counts, looks)
	}
}

func TestGrowth(t *testing.T) {
	w := newWorld()
	r := start(t, w, Options{})
	grow := func(perMinute float64) func(time.Duration) {
		base := w.nonGo
		return func(since time.Duration) { w.nonGo = base + int64(perMinute*mib*since.Minutes()) }
	}
	// 486 less 50 for Go: 20 MiB a minute take 22 minutes.
	r.pass(11*time.Minute, grow(20))
	for _, e := range r.events {
		if e.Kind == Growth {
			t.Errorf("too early: %v", e)
		}
	}
	r.events = nil
	r.pass(10*time.Minute, grow(20))
	var warnings []Event
	for _, e := range r.events {
		if e.Kind == Growth {
			warnings = append(warnings, e)
			left := float64(usable-50*mib-e.NonGo) / (20 * mib)
			if math.Abs(e.TimeLeft.Minutes()-left) > 0.5 || math.Abs(e.Slope*60/mib-20) > 1 {
				t.Errorf("%v left, %g a minute, true are %g and 20", e.TimeLeft, e.Slope*60/mib,
					left)
			}
		}
	}
	if len(warnings) < 3 || len(warnings) > 6 || warnings[0].TimeLeft < 9*time.Minute {
		t.Errorf("%d warnings: %v", len(warnings), warnings)
	}
	if s := r.c.State(); s.Slope == 0 {
		t.Errorf("%+v", s)
	}
}

func TestNoGrowth(t *testing.T) {
	series := map[string]func(time.Duration) float64{
		"constant": func(time.Duration) float64 { return 100 },
		"shrinks":  func(d time.Duration) float64 { return 400 - 10*d.Minutes() },
		"step": func(
			d time.Duration) float64 {
			return 50 + 300*math.Floor(min(1, d.Minutes()/7))
		},
		"ramp once": func(d time.Duration) float64 { return min(300, 1000*d.Minutes()) },
		"waves":     func(d time.Duration) float64 { return 200 + 150*math.Sin(d.Seconds()/7) },
		"slow":      func(d time.Duration) float64 { return 100 + d.Minutes() },
	}
	for name, f := range series {
		w := newWorld()
		r := start(t, w, Options{})
		r.pass(15*time.Minute, func(d time.Duration) { w.nonGo = int64(f(d) * mib) })
		for _, e := range r.events {
			if e.Kind == Growth {
				t.Errorf("%s: %v", name, e)
			}
		}
	}
	w := newWorld()
	r := start(t, w, Options{Horizon: -1})
	r.pass(20*time.Minute, func(d time.Duration) { w.nonGo = int64(20 * mib * d.Minutes()) })
	if strings.Contains(r.kinds(), "growth") {
		t.Error("not asked for")
	}
}

// The bound that leaves least decides, with the usage of its own cgroup.
func TestTightestBound(t *testing.T) {
	o, _ := Options{}.check()
	p := newPolicy(o, math.MaxInt64)
	m := measurement{golang: goFigures{held: 100 * mib}, bounds: []bound{
		{"cgroup /a/b", true, 1000 * mib, 200 * mib}, {"cgroup /a", true, 2000 * mib, 1800 * mib},
		{"Options.Limit", false, 1500 * mib, 190 * mib},
	}}
	f, want := p.weigh(&m)
	if f.Bound != "cgroup /a" || f.NonGo != 1700*mib || f.CgroupLimit != 1000*mib ||
		f.Headroom != 100*mib || want != 200*mib {
		t.Errorf("%+v %s", f, size(want))
	}
}

func TestHeadroom(t *testing.T) {
	for _, c := range []struct {
		o     Options
		limit int64
		want  int64
	}{
		{Options{}, 1000 * mib, 50 * mib}, {Options{}, 100 * mib, 16 * mib},
		{Options{}, 40 * mib, 10 * mib},
		{Options{Headroom: 7 * mib}, 1000 * mib, 7 * mib}, {Options{HeadroomShare: 0.5}, 1000 * mib,
			500 * mib},
	} {
		o, err := c.o.check()
		if got := o.headroom(c.limit); err != nil || got != c.want {
			t.Errorf("%+v of %s: %s, want %s (%v)", c.o, size(c.limit), size(got),
				size(c.want), err)
		}
	}
}

func TestOptionsRefused(t *testing.T) {
	for name, o := range map[string]Options{
		"Limit": {Limit: -1}, "Headroom": {Headroom: -1}, "HeadroomShare": {HeadroomShare: 1},
		"Floor": {Floor: -1}, "Interval": {Interval: -1},
	} {
		if _, err := Start(o); err == nil || !strings.Contains(err.Error(), "invalid Options."+
			name+" ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Start(Options{HeadroomShare: math.NaN()}); err == nil {
		t.Error("NaN is taken")
	}
}

func TestGoFigures(t *testing.T) {
	g := goFigures{held: 110 * mib, spans: 100 * mib, released: 50 * mib, live: 40 * mib,
		unused: 5 * mib, stacks: 3 * mib, goal: 90 * mib}
	if n := g.floor(); n != 40*mib+10*mib+5*mib+3*mib+10*mib {
		t.Error(size(n))
	}
	if n := (goFigures{}).floor(); n != floorLeast {
		t.Error(size(n))
	}
	// 60 of the heap's 100 are not there, and so of the tables' 10.
	if n := g.untouched(40*mib, 150*mib); n != 66*mib {
		t.Error(size(n))
	}
	if n := g.untouched(140*mib, 150*mib); n != 0 { // huge pages
		t.Error(size(n))
	}
	if n := g.untouched(0, 0); n != 0 { // nothing could be seen
		t.Error(size(n))
	}
	if n := g.untouched(40*mib, 140*mib); n != 55*mib { // 10 were not
		t.Error(size(n))
	}
	held := readGo()
	if held.held <= held.spans || held.spans <= 0 || held.goal <= 0 {
		t.Errorf("%+v", held)
	}
}
