package drift

import (
	"math"
	"math/rand"
	"reflect"
	"slices"
	"testing"
)

const (
	seriesOfKind = 20
	dayAt1Hz     = 24 * 3600
	megabytes    = 200e6 // the level of the series
)

func (d *Detector) isGrowing() bool {
	for _, t := range []*track{&d.low, &d.mid} {
		for i := range t.scales {
			if t.scales[i].growing {
				return true
			}
		}
	}
	return false
}

// alarms counts how often growth is said of a series, value by value as a watch sees it.
func alarms(seconds int, value func(int) float64) (begun int) {
	d, was := NewDetector(0), false
	for i := 0; i < seconds; i++ {
		if v := value(i); !math.IsNaN(v) {
			d.Add(Point{float64(i), v * megabytes})
		}
		is := d.isGrowing()
		if is && !was {
			begun++
		}
		was = is
	}
	return begun
}

// longestGrowth is the seconds for which a series grows.
const longestGrowth = 3 * dayAt1Hz

// found is the seconds with values from onset until growth is said, or infinity; early says that
// it was said before.
func found(onset int, perSecond float64, value func(int) float64) (seconds float64, early bool) {
	d, seen := NewDetector(0), 0.0
	for i := 0; i < onset+longestGrowth; i++ {
		v := value(i)
		if math.IsNaN(v) {
			continue
		}
		d.Add(Point{float64(i), (v + perSecond*float64(max(0, i-onset))) * megabytes})
		if i >= onset {
			seen++
		}
		if d.isGrowing() {
			return seen, i < onset
		}
	}
	return math.Inf(1), false
}

// TestSteadySeries: at most one false alarm in 24 hours, and 1 % a minute is found in 5 minutes.
func TestSteadySeries(t *testing.T) {
	var hours, all int
	t.Logf("%-24s %8s %7s %22s %10s", "noise", "hours", "alarms", "found after p50/p90", "in 5 min")
	for _, n := range noises {
		begun := 0
		var times []float64
		for seed := range seriesOfKind {
			seed := int64(seed)
			begun += alarms(dayAt1Hz, n.make(rand.New(rand.NewSource(seed))))
			for _, onset := range []int{warmUpSeconds, 1800 + 7*int(seed), 7200 + 11*int(seed)} {
				at, early := found(onset, 0.01/60, n.make(rand.New(rand.NewSource(100+seed))))
				if !early {
					times = append(times, at)
				}
			}
		}
		slices.Sort(times)
		in5, _ := slices.BinarySearch(times, 301)
		share := float64(in5) / float64(len(times))
		t.Logf("%-24s %8d %7d %14.0f s %4.0f s %8.0f %%", n.name, 24*seriesOfKind, begun,
			times[len(times)/2], times[len(times)*9/10], 100*share)
		if share < n.in5 {
			t.Errorf("%s: found in 5 minutes in %.0f %% of the series", n.name, 100*share)
		}
		hours += 24 * seriesOfKind
		all += begun
	}
	t.Logf("%d false alarms in %d hours of %d series: one in %d hours", all, hours,
		seriesOfKind*len(noises), hours/max(1, all))
	if all*24 > hours {
		t.Errorf("%d false alarms in %d hours", all, hours)
	}
}

// step is a rise that happens once, within some seconds.
type step struct{ at, takes, by float64 }

func withSteps(value func(int) float64, steps []step) func(int) float64 {
	return func(t int) float64 {
		v := value(t)
		for _, s := range steps {
			v += s.by * min(1, max(0, (float64(t)-s.at)/s.takes))
		}
		return v
	}
}

// TestSteps: a cache that fills once, or a few times, is told as that and not as growth.
func TestSteps(t *testing.T) {
	for _, count := range []int{1, 2, 4} {
		told, asGrowth, all := 0, 0, 0
		kinds := map[string]int{}
		for _, n := range noises {
			for seed := range seriesOfKind {
				r := rand.New(rand.NewSource(int64(200 + seed)))
				var steps []step
				at := 1200.0
				for range count {
					steps = append(steps, step{at + uniform(r, 0, 300), uniform(r, 1, 60),
						uniform(r, 0.1, 0.8)})
					at += uniform(r, 1500, 3000)
				}
				value := withSteps(n.make(r), steps)
				all++
				is, seen := shapesOf(value, int(at)+1200)
				if seen {
					told++
				}
				if is {
					asGrowth++
					kinds[n.name]++
				}
			}
		}
		t.Logf("%d steps: %d series, told as a step %d, as growth %d %v", count, all, told,
			asGrowth, kinds)
		if told*100 < all*95 || asGrowth*100 > all*(5+2*count) {
			t.Errorf("steps are not told from growth")
		}
	}
}

// shapesOf says whether growth and whether a step was said of a series.
func shapesOf(value func(int) float64, seconds int) (grows, stepped bool) {
	d := NewDetector(0)
	for i := range seconds {
		if v := value(i); !math.IsNaN(v) {
			d.Add(Point{float64(i), v * megabytes})
		}
		grows = grows || d.isGrowing()
		if i%30 == 0 {
			stepped = stepped || d.State().Shape == Stepped
		}
	}
	return grows, stepped
}

// TestGrowthEnds: growth that has ended is not said for ever, and is one growth.
func TestGrowthEnds(t *testing.T) {
	for _, n := range noises[:4] {
		value := withSteps(n.make(rand.New(rand.NewSource(1))), []step{{1800, 1800, 0.6}})
		d, begun, was := NewDetector(0), 0, false
		for i := range 4 * 3600 {
			d.Add(Point{float64(i), value(i) * megabytes})
			if is := d.isGrowing(); is != was {
				was = is
				begun++
			}
			if i == 3500 {
				s := d.State()
				if s.Shape != Growing || math.Abs(s.Since-1800) > 120 ||
					s.Slope.Low > megabytes*0.6/1800 || s.Slope.High < megabytes*0.6/1800 {
					t.Errorf("%s: %+v", n.name, s)
				}
			}
		}
		if begun != 2 {
			t.Errorf("%s: growth began and ended %d times", n.name, begun)
		}
	}
}

// TestSlope: the interval has the true slope about as often as it says, whatever the noise.
func TestSlope(t *testing.T) {
	t.Logf("%-10s %8s %8s %14s", "alike for", "points", "holds", "|z| above 3")
	for _, n := range []int{12, 30, 120} {
		for _, seconds := range []float64{0.1, 2, 5, 10} {
			holds, sure, all := 0, 0, 200
			for seed := range all {
				x := ar(rand.New(rand.NewSource(int64(seed))), seconds, 1)
				var points []Point
				for i := range n {
					points = append(points, Point{float64(i), 3*float64(i) + x()})
				}
				s, ok := SlopeOf(points)
				if !ok {
					t.Fatal("no slope")
				}
				if s.Low <= 3 && s.High >= 3 {
					holds++
				}
				for i := range points {
					points[i].Value -= 3 * float64(i)
				}
				if s, _ := SlopeOf(points); math.Abs(s.Z) > 3 {
					sure++
				}
			}
			t.Logf("%8.0f s %8d %6.0f %% %12.1f %%", seconds, n, 100*float64(holds)/float64(all),
				100*float64(sure)/float64(all))
			if float64(n) > 8*seconds && float64(holds) < 0.85*float64(all) {
				t.Errorf("the interval has the true slope in %d of %d", holds, all)
			}
		}
	}
}

func TestSlopeOfOutliers(t *testing.T) {
	var points []Point
	for i := range 40 {
		v := 2 * float64(i)
		if i%5 == 0 {
			v = 1e6
		}
		points = append(points, Point{float64(i), v})
	}
	if s, ok := SlopeOf(points); !ok || math.Abs(s.PerSecond-2) > 0.5 {
		t.Errorf("%+v", s)
	}
	if _, ok := SlopeOf(points[:4]); ok {
		t.Error("a slope of 4 points")
	}
	if _, ok := SlopeOf([]Point{{1, 1}, {1, 2}, {1, 3}, {1, 4}, {1, 5}}); ok {
		t.Error("a slope of one moment")
	}
}

// TestTogether: what two series without relation show is not taken for one.
func TestTogether(t *testing.T) {
	chance, all, missed, related := 0, 0, 0, 100
	for seed := range 1000 {
		r := rand.New(rand.NewSource(int64(seed)))
		x, y := ar(r, uniform(r, 1, 300), 1), ar(r, uniform(r, 1, 300), 1)
		var a, b, c []Point
		sum, up := 0.0, uniform(r, 0, 0.1)
		for i := range 3600 {
			at := float64(i)
			u := y()
			sum += max(0, u)
			a = append(a, Point{at, up*at + x()})
			b = append(b, Point{at, u})
			c = append(c, Point{at, sum + 3*x()})
		}
		all++
		if TogetherOf(a, b, 30).Strong() || FollowsOf(a, b, 30).Strong() {
			chance++
		}
		if seed < related && !FollowsOf(c, b, 30).Strong() && !TogetherOf(c, b, 30).Strong() {
			missed++
		}
	}
	t.Logf("unrelated series taken for related: %d of %d; related ones missed: %d of %d", chance,
		all, missed, related)
	if chance > all/200 || missed > related/3 {
		t.Error("wrong about relations")
	}
}

// TestSlowGrowth: longer windows find what is slow.
func TestSlowGrowth(t *testing.T) {
	t.Logf("%-12s %10s %10s %8s", "a hour", "p50", "p90", "found")
	for _, hourly := range []float64{0.12, 0.06, 0.03, 0.015} {
		var times []float64
		all, missed := 0, 0
		for _, n := range noises {
			for seed := range 3 {
				make := n.make(rand.New(rand.NewSource(int64(300 + seed))))
				at, early := found(26*3600, hourly/3600, make)
				all++
				switch {
				case math.IsInf(at, 1):
					missed++
				case !early:
					times = append(times, at)
				}
			}
		}
		slices.Sort(times)
		t.Logf("%9.1f %% %8.1f h %8.1f h %3d of %d", 100*hourly, times[len(times)/2]/3600,
			times[len(times)*9/10]/3600, len(times), all)
		if missed*10 > all {
			t.Errorf("%d of %d missed", missed, all)
		}
	}
}

// What is no number, or larger than anything that is measured, is as if it were not there.
func TestNoNumbers(t *testing.T) {
	var clean, points []Point
	for i := range 600 {
		p := Point{float64(i), float64(1000 + i)}
		clean, points = append(clean, p), append(points, p)
		for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e308, -1e308} {
			points = append(points, Point{float64(i), v})
		}
	}
	want, _ := SlopeOf(clean)
	if got, ok := SlopeOf(points); !ok || got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if _, ok := SlopeOf([]Point{{1, math.NaN()}, {2, math.NaN()}, {3, math.Inf(1)}}); ok {
		t.Error("a slope of no numbers")
	}
	if got, want := TogetherOf(points, points, 30), TogetherOf(clean, clean, 30); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	d, of := NewDetector(1), NewDetector(1)
	for _, p := range points {
		d.Add(p)
	}
	for _, p := range clean {
		of.Add(p)
	}
	if got, want := d.State(), of.State(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
