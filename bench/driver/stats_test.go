package main

import (
	"math"
	"testing"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values            []float64
		median, low, high float64
	}{
		{[]float64{3}, 3, 3, 3},
		{[]float64{4, 2}, 3, 2.2, 3.8},
		{[]float64{11, 1, 10, 2, 9, 3, 8, 4, 7, 5, 6}, 6, 2, 10},
		{[]float64{math.NaN(), 5, 1}, 3, 1.4, 4.6},
	} {
		s := spreadOf(c.values)
		if !near(s.median, c.median) || !near(s.low, c.low) || !near(s.high, c.high) {
			t.Errorf("spread of %v is %v, want %v (%v-%v)", c.values, s, c.median, c.low, c.high)
		}
	}
	if s := spreadOf(nil); s.n != 0 || !math.IsNaN(s.median) || s.String() != "" {
		t.Errorf("spread of nothing is %+v %q", s, s)
	}
}

// A round in which the machine was twice as slow has the same ratio; a round that one of the two
// lacks does not count.
func TestRatiosAreOfTheSameRound(t *testing.T) {
	r := newRounds()
	plain, shim := key{"tree", "glibc"}, key{"tree", "512KiB"}
	for round, slow := range []float64{1, 2, 4} {
		r.add(plain, wall, round, 100*slow)
		r.add(shim, wall, round, 110*slow)
	}
	r.add(plain, wall, 3, 1)
	r.add(shim, wall, 4, 1e9)
	r.amounts[plain], r.amounts[shim] = 10, 10
	s := r.cost(shim, "glibc", wall)
	if s.n != 3 || !near(s.median, 1.1) || !near(s.low, 1.1) || !near(s.high, 1.1) {
		t.Errorf("cost is %+v, want 1.1 in each of 3 rounds", s)
	}
	if s := r.cost(key{"tree", "absent"}, "glibc", wall); s.n != 0 {
		t.Errorf("cost of what was not measured is %+v", s)
	}
}

// A slow profiler does a tenth of the work: its ratio is by unit of work, its memory as it is.
func TestShareOfTheWork(t *testing.T) {
	r := newRounds()
	plain, slow := key{"tree", "tcmalloc"}, key{"tree", "gperftools"}
	r.add(plain, wall, 0, 100)
	r.add(slow, wall, 0, 500)
	r.add(plain, peak, 0, 1000)
	r.add(slow, peak, 0, 1500)
	r.amounts[plain], r.amounts[slow] = 100, 10
	if s := r.cost(slow, "tcmalloc", wall); !near(s.median, 50) {
		t.Errorf("ratio by unit is %v, want 50", s.median)
	}
	if d := r.against(slow, "tcmalloc", peak, difference); d[0] != 500 {
		t.Errorf("memory added is %v, want 500", d[0])
	}
}

func TestDecide(t *testing.T) {
	const least, enough = 0.005, 3
	for name, c := range map[string]struct {
		more []float64
		want outcome
	}{
		"nothing measured":  {nil, unknown},
		"peer needs less":   {[]float64{-0.1, -0.2, -0.3}, peerWins},
		"we need less":      {[]float64{0.1, 0.2, 0.3}, weWin},
		"rounds disagree":   {[]float64{-0.1, 0.1, 0.2}, tooClose},
		"hardly anything":   {[]float64{0.001, 0.002, 0.003}, tooClose},
		"too few rounds":    {[]float64{-0.1, -0.2}, tooClose},
		"one outlier in 21": {append(twenty(-0.1), 9), peerWins},
	} {
		more := map[int]float64{}
		for i, v := range c.more {
			more[i] = v
		}
		if got := decide(more, least, enough); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func twenty(v float64) []float64 {
	all := make([]float64, 20)
	for i := range all {
		all[i] = v
	}
	return all
}
