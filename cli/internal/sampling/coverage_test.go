package sampling

import (
	"fmt"
	"math"
	"os"
	"sync"
	"testing"
)

// tally compares one figure's estimates with the truth.
type tally struct {
	n, covered         float64
	estimate, truth    float64
	deviation, squares float64 // sums over all estimates
	width, needed      float64 // of intervals, and of those of a normal distribution
}

func (y *tally) add(e Estimate, truth, variance float64) {
	low, high := e.Interval(0.95)
	y.n++
	y.estimate += e.Value()
	y.truth += truth
	y.deviation += e.Value() - truth
	y.squares += (e.Value() - truth) * (e.Value() - truth)
	y.width += high - low
	y.needed += 2 * 1.96 * math.Sqrt(variance)
	// The profile's figures are whole.
	if low <= truth+0.5 && truth-0.5 <= high {
		y.covered++
	}
}

func (y *tally) merge(o *tally) {
	y.n += o.n
	y.covered += o.covered
	y.width += o.width
	y.needed += o.needed
	y.estimate += o.estimate
	y.truth += o.truth
	y.deviation += o.deviation
	y.squares += o.squares
}

func (y *tally) bias() float64 { return y.estimate/y.truth - 1 }

// biasError is the standard error of bias.
func (y *tally) biasError() float64 {
	return math.Sqrt(y.squares-y.deviation*y.deviation/y.n) / y.truth
}

func (y *tally) coverage() float64 { return y.covered / y.n }

// Classes of stacks, by how many samples of equal weight are as good as theirs.
var classes = []float64{1, 3, 10, 30, 100, math.Inf(1)}

func className(i int) string {
	if i == len(classes)-1 {
		return "total"
	} else if math.IsInf(classes[i+1], 1) {
		return fmt.Sprintf("over %g", classes[i])
	}
	return fmt.Sprintf("%g to %g", classes[i], classes[i+1])
}

func classOf(expected float64) int {
	for i := len(classes) - 2; i >= 0; i-- {
		if expected >= classes[i] {
			return i
		}
	}
	return -1
}

// result is what many replays of one trace gave: by class (the last is the total) and figure.
type result [][figures]tally

func newResult() result { return make(result, len(classes)) }

func (r result) merge(o result) {
	for c := range r {
		for f := range r[c] {
			r[c][f].merge(&o[c][f])
		}
	}
}

// compare replays with one seed.
func (r result) compare(tr *trace, s schedule, seed int, total truth,
	stacks map[uint16]*truth) error {
	p, err := tr.replay(seed, s)
	if err != nil {
		return err
	}
	d, err := Of(p)
	if err != nil {
		return err
	}
	got := map[uint16]Figures{}
	for _, s := range p.Sample {
		stack := stackOf(s)
		if stacks[stack] == nil {
			return fmt.Errorf("%s: a sample of an unknown stack %#x", tr.name, stack)
		}
		got[stack] = got[stack].Plus(d.Sample(s))
	}
	sum := d.Total(p)
	for f := range figures {
		r[len(classes)-1][f].add(sum[f], total.is[f], total.variance[f])
		for stack, of := range stacks {
			class := classOf(of.samples(f))
			if class < 0 {
				continue
			}
			e, found := got[stack]
			if !found {
				e = d.Absent(0)
			}
			r[class][f].add(e[f], of.is[f], of.variance[f])
		}
	}
	return nil
}

func (tr *trace) compare(t *testing.T, s schedule, seeds int) result {
	t.Helper()
	total, stacks := tr.truths(s)
	sum := newResult()
	var all, one sync.Mutex
	var wait sync.WaitGroup
	next := 0
	for range 2 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for {
				one.Lock()
				seed := next
				next++
				one.Unlock()
				if seed >= seeds {
					return
				}
				r := newResult()
				if err := r.compare(tr, s, seed+1, total, stacks); err != nil {
					t.Error(err)
					return
				}
				all.Lock()
				sum.merge(r)
				all.Unlock()
			}
		}()
	}
	wait.Wait()
	return sum
}

// stacks sums the stacks of at least `from` samples.
func (r result) stacks(f Figure, from float64) *tally {
	sum := &tally{}
	for c := range len(classes) - 1 {
		if classes[c] >= from {
			sum.merge(&r[c][f])
		}
	}
	return sum
}

func (r result) total(f Figure) *tally { return &r[len(classes)-1][f] }

var schedules = []struct {
	name string
	of   func(interval uint32) schedule
}{
	{"constant", func(i uint32) schedule { return schedule{{i, 0}} }},
	{"changed", func(i uint32) schedule {
		return schedule{{i, 0}, {i * 8, 0.3}, {i / 4, 0.5}, {i * 2, 0.8}}
	}},
}

// check has limits that 30 seeds keep to, and that a weight that is wrong by 2 % breaks.
func (r result) check(t *testing.T, name, schedule string) {
	t.Helper()
	for f := range figures {
		total := r.total(f)
		if b := math.Abs(total.bias()); b > 0.003+4*total.biasError() {
			t.Errorf("%s, %s: %v is biased by %.2f %% (standard error %.2f %%)", name, schedule, f,
				100*total.bias(), 100*total.biasError())
		}
		least, most := 0.92, 0.985
		if !f.IsBytes() { // of unequal blocks the smallest may not be sampled at all
			least, most = 0.80, 0.995
		}
		if schedule != "constant" { // one sample more could be a coarse one
			most = 0.995
		}
		if c := r.stacks(f, 3).coverage(); c < least || c > most {
			t.Errorf("%s, %s: the intervals of stacks' %v cover %.1f %%", name, schedule, f, 100*c)
		}
		if c := total.coverage(); c < 0.8 {
			t.Errorf("%s, %s: the intervals of all %v cover %.1f %%", name, schedule, f, 100*c)
		}
		if w := total.width / total.needed; !(w < 2) {
			t.Errorf("%s, %s: the intervals of all %v are %.2f times as wide as they need be", name,
				schedule, f, w)
		}
	}
}

// TestLibrarysFiguresAreRight replays traces through the library's own sampler and tables.
func TestLibrarysFiguresAreRight(t *testing.T) {
	if _, err := os.Stat(replayer); err != nil {
		t.Skip("make unit builds " + replayer)
	}
	for _, r := range recipes {
		tr := r.trace()
		tr.write(t)
		for _, s := range schedules {
			tr.compare(t, s.of(tr.interval), 30).check(t, tr.name, s.name)
		}
	}
}
