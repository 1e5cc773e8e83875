package difference

import (
	"math"
	"slices"
	"testing"

	"cgoheap.example/cli/internal/sampling"
)

const interval = 512 << 10

// crowd has 48 stacks of all sizes, each with as much in use as 2 to 200 samples stand for.
func crowd(seed uint64) *model {
	var sizes []int64
	for i := range 48 {
		sizes = append(sizes, []int64{16 << 10, 64 << 10, 512 << 10, 1 << 20}[i%4])
	}
	m := newModel(seed, interval, sizes...)
	for i, size := range sizes {
		m.allocate(i, int([]int64{2, 20, 200}[i%3]*interval/size)+1)
	}
	return m
}

// churn replaces blocks: in each stack as many are allocated as are freed.
func (m *model) churn(share float64) {
	for i, s := range m.stacks {
		n := int(share * float64(len(s.live)))
		for done := 0; done < n; done++ { // one by one: some of the new ones go, too
			m.allocate(i, 1)
			m.free(i, 1)
		}
	}
}

// alarms is the share of rounds in which any stack seems to have changed though none did.
func alarms(t *testing.T, rounds int, share float64, o *Options) float64 {
	t.Helper()
	n := 0
	for seed := range rounds {
		m := crowd(uint64(seed))
		before := m.look()
		m.churn(share)
		after := m.look()
		if o.Processes == TwoProcesses {
			after = crowd(uint64(seed) + 1e6).look()
		}
		d, err := Compare(before, after, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Rows) > 0 {
			n++
		}
	}
	return float64(n) / float64(rounds)
}

// No more false alarms than the confidence allows, however much is replaced meanwhile.  At 80 % few
// rounds show whether there are too many.
func TestFalseAlarms(t *testing.T) {
	const rounds, allowed = 150, 0.2
	sure := allowed + 2*math.Sqrt(allowed*(1-allowed)/rounds)
	for _, c := range []struct {
		figure    sampling.Figure
		share     float64
		processes Processes
	}{
		{sampling.InUseBytes, 0.02, OneProcess}, {sampling.InUseObjects, 0.3, OneProcess},
		{sampling.InUseBytes, 2, OneProcess}, {sampling.InUseBytes, 0, TwoProcesses},
	} {
		o := &Options{Figure: c.figure, Confidence: 1 - allowed, Processes: c.processes}
		got := alarms(t, rounds, c.share, o)
		t.Logf("%v, %v replaced, %s: %.3f", c.figure, c.share, c.processes, got)
		if got > sure {
			t.Errorf("%v, %v of the blocks replaced, %s: false alarms in %.3f of the rounds, "+
				"%.2f is stated", c.figure, c.share, c.processes, got, allowed)
		}
	}
}

// leak is how many blocks had leaked when the diff first names the stack, and nothing else.
func leakFound(t *testing.T, seed uint64, o *Options) int {
	t.Helper()
	m := crowd(seed)
	const leaking, step = 8, 64 // 200 samples of 16 KiB blocks are in use there
	before := m.look()
	for leaked := step; leaked <= 400*step; leaked += step {
		m.allocate(leaking, step)
		d, err := Compare(before, m.look(), o)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(d.Rows, func(r Row) bool {
			return r.GoCaller == "main.stack8" && r.Change > 0
		}) {
			return leaked
		}
	}
	return 400 * step
}

// A leak in a large stable heap is found far earlier than by adding the errors of the two profiles.
func TestGrowthIsFoundEarlier(t *testing.T) {
	one, two := 0, 0
	sum := options()
	sum.Processes = TwoProcesses
	for seed := range uint64(3) {
		one += leakFound(t, seed, options())
		two += leakFound(t, seed, sum)
	}
	t.Logf("found after %d KiB, by the sum of errors after %d KiB", one*16/3, two*16/3)
	if one*3 > two {
		t.Errorf("found after %d blocks, by the sum of errors after %d", one/3, two/3)
	}
}
