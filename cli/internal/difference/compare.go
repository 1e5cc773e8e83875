package difference

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/sampling"
	"cgoheap.example/cli/internal/stacks"
)

// Options of a comparison.
type Options struct {
	Figure     sampling.Figure
	Confidence float64
	Processes  Processes
	Normalize  bool // scale the second profile to the first one's total
	All        bool // the limits of what did not surely change are wanted, too
	Callers    *stacks.CallerRule
}

// Row is how one stack changed, in bytes or objects.  Before and After are rounded estimates.
type Row struct {
	holders.RowKey
	Stack   []string `json:"stack"` // leaf first
	Before  int64    `json:"before"`
	After   int64    `json:"after"`
	Change  int64    `json:"change"`
	Low     int64    `json:"low"` // of the change
	High    int64    `json:"high"`
	Changed bool     `json:"changed"` // by more than its sampling error

	change sampling.Estimate
}

// Sum is of several rows.
type Sum struct {
	Stacks int   `json:"stacks"`
	Before int64 `json:"before"`
	After  int64 `json:"after"`
	Change int64 `json:"change"`
	Low    int64 `json:"low"`
	High   int64 `json:"high"`
}

// Difference is what changed between two profiles.
type Difference struct {
	Before, After *Moment
	IsOne         bool // both are of one process
	IsRestart     bool
	IsSame        bool  // both are one profile
	Rows          []Row // what changed for sure, by the size that it has at least
	Noise         []Row // what changed by less than its sampling error, largest first
	Same          int   // stacks of which nothing came or went
	Total, Rest   Sum   // of all stacks; of Noise
	Tested        int   // stacks that chance may have changed
	RowConfidence float64
	Notes         []string

	o    *Options
	keys func(s *profile.Sample) (class, stack string)
}

// Compare takes the older profile first.
func Compare(before, after *Moment, o *Options) (*Difference, error) {
	p, err := pairOf(before, after, o.Processes)
	if err != nil {
		return nil, err
	}
	d := &Difference{Before: before, After: after, IsOne: p.isOne, IsRestart: p.isRestart,
		IsSame: p.isOne && !before.Time.IsZero() && before.Time.Equal(after.Time),
		Notes:  p.notes, o: o}
	factor := 1.0
	if o.Normalize {
		if factor, err = p.normalize(o.Figure); err != nil {
			return nil, err
		}
	}
	d.keys = p.keys()
	rows := d.rowsOf(p, factor)
	d.judge(rows)
	return d, nil
}

// normalize is what the second profile's figures are multiplied by, as pprof's -normalize does.
func (p *pair) normalize(f sampling.Figure) (float64, error) {
	if p.isOne {
		return 0, fmt.Errorf("--normalize is for two processes: %s and %s are of one, and its "+
			"growth would be scaled away", p.before.Label, p.after.Label)
	}
	from, to := p.before.Total(f), p.after.Total(f)
	if from <= 0 || to <= 0 {
		return 0, fmt.Errorf("--normalize needs a total above 0 in both profiles: %d and %d",
			from, to)
	}
	return float64(from) / float64(to), nil
}

// class is the samples of one stack, size and labels: their figures then and now.
type class struct {
	before, after sampling.Figures
	size          float64
}

// keys name the class and the stack of a sample.  What a reader can tell apart is a stack; where a
// profile was cut off, stacks that are not in both are with those that were not shown.
func (p *pair) keys() func(s *profile.Sample) (class, stack string) {
	both := func(string) bool { return true }
	if p.before.hasFrame(frameRest) || p.after.hasFrame(frameRest) {
		inBoth := p.inBoth()
		both = func(stack string) bool { return inBoth[stack] }
	}
	return func(s *profile.Sample) (string, string) {
		stack := stackOf(s)
		if !both(stack) {
			stack = sampling.OriginOf(s) + "\x00" + frameRest
		}
		var b strings.Builder
		b.WriteString(stack)
		if p.isOne {
			for _, l := range s.Location {
				fmt.Fprintf(&b, "\x00%x", l.Address)
			}
		}
		for _, name := range sortedKeys(s.Label) {
			fmt.Fprintf(&b, "\x00%s\x01%s", name, s.Label[name])
		}
		fmt.Fprint(&b, "\x00", s.NumLabel["bytes"])
		return b.String(), stack
	}
}

func stackOf(s *profile.Sample) string {
	return sampling.OriginOf(s) + "\x00" +
		strings.Join(stacks.NamesOf(stacks.FramesOf(s)), "\x00")
}

func (p *pair) inBoth() map[string]bool {
	had, both := map[string]bool{}, map[string]bool{}
	for _, s := range p.before.Profile.Sample {
		had[stackOf(s)] = true
	}
	for _, s := range p.after.Profile.Sample {
		key := stackOf(s)
		both[key] = had[key]
	}
	return both
}

func sortedKeys(labels map[string][]string) []string {
	names := make([]string, 0, len(labels))
	for name := range labels {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// gathered is one stack while it is summed.
type gathered struct {
	frames  []stacks.Frame
	origin  string
	classes map[string]*class
}

func (d *Difference) gather(p *pair) map[string]*gathered {
	all := map[string]*gathered{}
	add := func(m *Moment, to func(c *class, f sampling.Figures)) {
		for _, s := range m.Profile.Sample {
			key, stack := d.keys(s)
			g := all[stack]
			if g == nil {
				g = &gathered{framesOf(s, stack), sampling.OriginOf(s), map[string]*class{}}
				all[stack] = g
			}
			if g.classes[key] == nil {
				g.classes[key] = &class{}
			}
			to(g.classes[key], m.design.Sample(s))
		}
	}
	add(p.before, func(c *class, f sampling.Figures) { c.before = c.before.Plus(f) })
	add(p.after, func(c *class, f sampling.Figures) { c.after = c.after.Plus(f) })
	return all
}

func framesOf(s *profile.Sample, stack string) []stacks.Frame {
	if strings.HasSuffix(stack, "\x00"+frameRest) {
		return stacks.Named([]string{frameRest})
	}
	return stacks.FramesOf(s)
}

func (d *Difference) rowsOf(p *pair, factor float64) []Row {
	reclaimed := p.reclaimed()
	var rows []Row
	for _, g := range d.gather(p) {
		row := Row{Stack: stacks.NamesOf(g.frames)}
		row.RowKey = holders.RowKey{Origin: g.origin,
			GoCaller: d.o.Callers.GoCaller(g.frames), CLeaf: stacks.CLeaf(g.frames)}
		var before, after float64
		for _, c := range g.classes {
			c.after = c.after.Times(factor)
			before += c.before[d.o.Figure].Value()
			after += c.after[d.o.Figure].Value()
			row.change = row.change.Plus(p.change(c, d.o.Figure, reclaimed[g.origin]))
		}
		row.Before, row.After = round(before), round(after)
		row.Change = round(row.change.Value())
		rows = append(rows, row)
	}
	return rows
}

// change of one class.  In one process only the blocks that came or went are uncertain; that is
// known from what was allocated in all, unless the stack was removed meanwhile to make room, with
// its count.
func (p *pair) change(c *class, f sampling.Figure, reclaimed float64) sampling.Estimate {
	mayBeReborn := c.before[sampling.AllocObjects].Value() <= reclaimed
	if !p.isOne || p.before.onlyOld || reclaimed > 0 && mayBeReborn {
		return c.after[f].Minus(c.before[f])
	}
	return sampling.Grown(c.before, c.after, f)
}

// reclaimed objects, by origin, between the two moments: no stack with more was removed.
func (p *pair) reclaimed() map[string]float64 {
	sum := map[string]float64{}
	add := func(m *Moment, sign float64) {
		for _, s := range m.Profile.Sample {
			if isFrame(s, frameReclaimed) {
				sum[sampling.OriginOf(s)] +=
					sign * m.design.Sample(s)[sampling.AllocObjects].Value()
			}
		}
	}
	add(p.before, -1)
	add(p.after, 1)
	return sum
}

func round(v float64) int64 { return int64(math.Round(v)) }

// atLeast is by how much a row changed for sure.
func (r *Row) atLeast() int64 {
	if r.Low > 0 {
		return r.Low
	}
	return -r.High
}

func bySize(size func(r *Row) int64) func(a, b Row) int {
	return func(a, b Row) int {
		return cmp.Or(cmp.Compare(size(&b), size(&a)), cmp.Compare(b.After, a.After),
			slices.Compare(a.Stack, b.Stack))
	}
}
