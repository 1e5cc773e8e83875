package cohort

import (
	"math/rand"
	"testing"
	"time"

	"cgoheap.example/cli/internal/account"
)

// looks at so many runs of a load give these classes.
func looks(runs int, of load, minutes, perMinute float64) map[Class]int {
	classes := map[Class]int{}
	for seed := range runs {
		r := rand.New(rand.NewSource(int64(seed)))
		h := historyOf(of(r, minutes, perMinute), minutes)
		classes[h.Judge(nil).Class]++
	}
	return classes
}

// steadyLoads leak nothing.  From is the minute from which on each block has lived as long as
// others will.
var steadyLoads = map[string]struct {
	load load
	from float64
}{
	"a queue of 30 seconds":                 {fixed(0.5), 11},
	"a queue of 5 minutes":                  {fixed(5), 11},
	"a queue of 9 minutes":                  {fixed(9), 15},
	"sessions of 30 minutes":                {fixed(30), 60},
	"exponential, a second":                 {exponential(1.0 / 60), 11},
	"exponential, a minute":                 {exponential(1), 11},
	"exponential, 5 minutes":                {exponential(5), 15},
	"exponential, 10 minutes":               {exponential(10), 30},
	"exponential, 30 minutes":               {exponential(30), 60},
	"Pareto, exponent 0.7":                  {pareto(0.7), 11},
	"Pareto, exponent 1":                    {pareto(1), 11},
	"Pareto, exponent 1.5":                  {pareto(1.5), 11},
	"batches each 5 minutes, for one":       {batches(5, 1), 11},
	"batches each 3 minutes, for 6":         {batches(3, 6), 15},
	"batches each 15 minutes, until a next": {batches(15, 15), 30},
	"waves of 20 minutes":                   {waves(20, 0.1), 11},
	"waves of an hour":                      {waves(60, 5), 15},
	"a pool that grows by a block":          {pool(1), 11},
	"a pool that grows by slabs":            {pool(20), 11},
	"a random cache, full after 2 minutes":  {randomCache(2), 11},
	"a random cache, full after 8 minutes":  {randomCache(8), 30},
	"a random cache, full after 20 minutes": {randomCache(20), 60},
	"an LRU cache, full after 2 minutes":    {lru(2), 11},
	"an LRU cache, full after 8 minutes":    {lru(8), 30},
	"an LRU cache, full after 20 minutes":   {lru(20), 60},
}

// False alarms: of all looks at steady loads, none says leak.
func TestSteadyLoadsAreNoLeaks(t *testing.T) {
	total := 0
	for name, s := range steadyLoads {
		for _, minutes := range []float64{11, 15, 20, 30, 60, 150} {
			for _, perMinute := range []float64{1, 5, 20, 100} {
				if minutes < s.from {
					continue
				}
				runs := 12
				total += runs
				if n := looks(runs, s.load, minutes, perMinute)[Leak]; n > 0 {
					t.Errorf("%s, %g a minute, after %g minutes: %d of %d looks say leak",
						name, perMinute, minutes, n, runs)
				}
			}
		}
	}
	if total < 5000 {
		t.Errorf("%d looks", total)
	}
}

// The rate that is promised where it is worst: lifetimes as long as the test must just exclude, at
// the number of samples that lets most pass.
func TestFalseAlarmsAtTheBoundary(t *testing.T) {
	for _, perMinute := range []float64{2, 4, 8, 16} {
		const runs, minutes = 1000, 30
		if n := looks(runs, exponential(1.5*minutes), minutes, perMinute)[Leak]; n > runs/100 {
			t.Errorf("%g a minute: %d of %d", perMinute, n, runs)
		}
	}
}

// leakLoads, and after how many minutes most looks find the leak.
var leakLoads = []struct {
	name       string
	load       load
	perMinute  float64
	from       float64
	mayBeOther Class // at first
}{
	{"all, 5 a minute", leaking(1), 5, 20, ""},
	{"all, 1 a minute", leaking(1), 1, 60, ""},
	{"half", leaking(0.5), 100, 15, ""},
	{"one in ten", leaking(0.1), 1000, 15, ""},
	{"one in thirty", leaking(0.03), 1000, 15, ""},
	{"one in a hundred", leaking(0.01), 1000, 60, ""},
	{"each 2 minutes, a burst", batches(2, never), 20, 20, ""},
	{"after a warm-up", together(map[float64]load{0.1: during(0, 1, leaking(1)),
		0.10001: leaking(1)}), 500, 20, ""},
	{"beside a queue of 5 minutes", together(map[float64]load{0.1: leaking(1), 0.9: fixed(5)}),
		300, 60, Cache},
	{"beside lifetimes of a minute", together(map[float64]load{0.1: leaking(1),
		0.9: exponential(1)}), 300, 30, Cache},
}

func TestLeaksAreFound(t *testing.T) {
	for _, l := range leakLoads {
		const runs = 20
		if c := looks(runs, l.load, l.from, l.perMinute); c[Leak] < runs*3/4 {
			t.Errorf("%s, after %g minutes: %v", l.name, l.from, c)
		}
	}
}

// What is too early is never called anything else: no look at a leak, however early and however few
// the samples, says that it is none.
func TestLeaksAreNotAcquitted(t *testing.T) {
	for _, l := range leakLoads {
		for _, minutes := range []float64{3, 11, 15, 20, 30, 60, 120} {
			for _, part := range []float64{1, 0.3, 0.1} {
				const runs = 10
				for class, n := range looks(runs, l.load, minutes, l.perMinute*part) {
					if class != Leak && class != TooEarly && class != l.mayBeOther {
						t.Errorf("%s, %g a minute, after %g minutes: %d of %d looks say %s",
							l.name, l.perMinute*part, minutes, n, runs, class)
					}
				}
			}
		}
	}
}

// Other loads have the class that they should.
func TestClasses(t *testing.T) {
	const churn = 1.0 / 60
	for name, c := range map[string]struct {
		load      load
		perMinute float64
		minutes   float64
		want      Class
	}{
		"churn":                {exponential(churn), 100, 20, Churn},
		"churn of few samples": {exponential(churn), 3, 20, TooEarly},
		"a queue":              {fixed(5), 50, 20, Cache},
		"a random cache":       {randomCache(2), 50, 20, Cache},
		"an LRU cache":         {lru(2), 100, 30, Cache},
		"warm-up":              {during(0, 2, leaking(1)), 10, 20, WarmUp},
		"a leak that stopped":  {during(0, 15, leaking(1)), 10, 60, WarmUp},
		"warm-up and churn": {together(map[float64]load{0.5: during(0, 1, leaking(1)),
			0.50001: exponential(churn)}), 200, 30, WarmUp},
		"too short":  {leaking(1), 100, 9, TooEarly},
		"never seen": {fixed(1), 0.0001, 30, TooEarly},
		"a leak that began late": {together(map[float64]load{0.5: exponential(churn),
			0.50001: during(40, 1e9, leaking(1))}), 100, 60, TooEarly},
	} {
		const runs = 20
		if got := looks(runs, c.load, c.minutes, c.perMinute); got[c.want] < runs*9/10 {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

// A leak's bytes and rate are those that leak, not those of the churn beside it.
func TestWorth(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	const perMinute, minutes = 1000, 60
	f := historyOf(leaking(0.1)(r, minutes, perMinute), minutes).Judge(nil)
	want := int64(0.1 * perMinute * minutes * sampleBytes)
	near := func(got, want int64) bool { return got > want*9/10 && got < want*11/10 }
	if f.Class != Leak || !near(f.Leaked, want) || !near(f.PerHour, want) || f.Confidence < 0.99 {
		t.Errorf("%+v, want %d", f, want)
	}
}

// What was there at a GC and is in use still is not what the next one frees, unless that was long
// ago.
func TestOutlived(t *testing.T) {
	const minute = time.Minute
	h := &History{Cohorts: []Cohort{{From: 0, To: minute, Allocated: 100, Live: 40},
		{From: minute, To: 2 * minute, Allocated: 100, Live: 70}}}
	for since, want := range map[time.Duration]bool{minute: true, 0: true, minute + 1: false,
		2 * minute: false, Never: false} {
		if h.outlived(since, &account.Account{}) != want {
			t.Errorf("a GC %v ago: outlived is %v", since, !want)
		}
	}
	h.Older = 120
	if unknown := (&account.Account{}); !h.outlived(minute+1, unknown) ||
		h.outlived(2*minute, unknown) {
		t.Error("what is older than the cohorts is older than a GC of a minute ago")
	}
	debt, survived := int64(100), int64(95)
	h.Older = 0
	known := &account.Account{Debt: &debt, DebtSurvived: &survived}
	if !h.outlived(minute+1, known) || h.outlived(2*minute, known) {
		t.Error("nearly all of the debt survived a GC of a minute ago")
	}
}

// What a GC frees, or may, is a leak only once it has outlived one.
func TestLeaksThatWaitForGC(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	const minute = time.Minute
	for _, c := range []struct {
		freedBy string
		sinceGC time.Duration // 0: not known
		want    Class
	}{
		{"finalizer", 0, TooEarly}, {"finalizer", Never, TooEarly},
		{"cleanup", 40 * minute, TooEarly},
		{"finalizer", minute, Leak}, {"finalizer", 20 * minute, Leak},
		{"", 0, Leak}, {"", Never, TooEarly}, {"", 40 * minute, TooEarly}, {"", minute, Leak},
		{"", 20 * minute, Leak}, {"c", Never, Leak}, {"go", 40 * minute, Leak},
	} {
		h := historyOf(leaking(1)(r, 30, 20), 30)
		h.FreedBy = c.freedBy
		sinceGC := &c.sinceGC
		if c.sinceGC == 0 {
			sinceGC = nil
		}
		if f := h.Judge(sinceGC); f.Class != c.want {
			t.Errorf("freed by %q, a GC %v ago: %s, %s", c.freedBy, c.sinceGC, f.Class, f.Says())
		}
	}
	// A collection ten minutes ago has freed what there was.
	h := historyOf(fixedUntil(20)(r, 30, 20), 30)
	h.FreedBy = "finalizer"
	since := 10 * minute
	if f := h.Judge(&since); f.Class == Leak {
		t.Errorf("%s", f.Says())
	}
}

// In the first hour little that all lives is not called a leak; what mostly dies, and what is old,
// is.
func TestSmallAndNew(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for _, c := range []struct {
		load    load
		minutes float64
		want    Class
	}{{leaking(1), 30, TooEarly}, {leaking(1), 90, Leak}, {leaking(0.1), 30, Leak}} {
		h := historyOf(c.load(r, c.minutes, 2000), c.minutes)
		for i := range h.Cohorts { // of small blocks, each of which was sampled
			h.Cohorts[i].Allocated /= sampleBytes / 32
			h.Cohorts[i].Live /= sampleBytes / 32
		}
		if f := h.Judge(nil); f.Class != c.want {
			t.Errorf("after %g minutes: %s", c.minutes, f.Says())
		}
	}
}

// fixedUntil is freed at a minute, what comes later is not.
func fixedUntil(minute float64) load {
	return func(r *rand.Rand, minutes, perMinute float64) []block {
		return arrivals(r, minutes, perMinute, func(t float64) float64 {
			if t < minute {
				return minute
			}
			return never
		})
	}
}

// The test of a ratio has the size that it says.
func TestRatioTest(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	const runs = 20000
	for _, c := range []struct{ n, share, ratio float64 }{
		{200, 0.9, 0.8}, {2000, 0.05, 0.7}, {60, 1, 0.85}, {400, 0.5, 1},
	} {
		high := 0
		for range runs {
			old, young := binomial{n: c.n}, binomial{n: c.n}
			for range int(c.n) {
				if r.Float64() < c.share*c.ratio {
					old.k++
				}
				if r.Float64() < c.share {
					young.k++
				}
			}
			if ratioTest(old, young, c.ratio) > sure {
				high++
			}
		}
		if rate := float64(high) / runs; rate > 0.0085 || rate < 0.001 {
			t.Errorf("%+v: %.4f are above %g", c, rate, sure)
		}
	}
}
