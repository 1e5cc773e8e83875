// Package cohort knows, for each stack, what of each past interval's allocations still lives, and
// what that makes it: a leak, a cache, a warm-up or churn.
//
// A heap profile that was asked for with labels=age has a sample for each stack and interval.
// A block that was sampled when it was allocated is followed until it is freed, so of n sampled
// blocks of an interval k live: a binomial figure, whatever else is unknown.
package cohort

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/sampling"
	"cgoheap.example/cli/internal/stacks"
)

// Cohort is what was allocated in one interval of the past, and what of that lives.
type Cohort struct {
	From, To        time.Duration // ages; To 0: not known how old its oldest blocks are
	Allocated, Live int64         // bytes
	sampled, alive  float64       // blocks behind these figures
}

// MarshalJSON writes null for what is not known.
func (c Cohort) MarshalJSON() ([]byte, error) {
	o := struct {
		From      int64  `json:"from_ns"`
		To        *int64 `json:"to_ns"`
		Allocated int64  `json:"allocated_bytes"`
		Live      int64  `json:"live_bytes"`
	}{From: int64(c.From), Allocated: c.Allocated, Live: c.Live}
	if c.To > 0 {
		to := int64(c.To)
		o.To = &to
	}
	return json.Marshal(o)
}

// end of a cohort: one that is open is taken to be as long as all that is younger.
func (c Cohort) end() time.Duration {
	if c.To > 0 {
		return c.To
	}
	return 2 * c.From
}

func (c Cohort) length() time.Duration { return c.end() - c.From }

// plus sums two cohorts; their ages are joined.
func (c Cohort) plus(o Cohort) Cohort {
	if c == (Cohort{}) {
		return o
	}
	sum := Cohort{From: min(c.From, o.From), To: max(c.To, o.To),
		Allocated: c.Allocated + o.Allocated, Live: c.Live + o.Live,
		sampled: c.sampled + o.sampled, alive: c.alive + o.alive}
	if c.To == 0 || o.To == 0 {
		sum.To = 0
	}
	return sum
}

// Share of the bytes that lives.
func (c Cohort) Share() float64 {
	if c.Allocated <= 0 {
		return 0
	}
	return min(1, float64(c.Live)/float64(c.Allocated))
}

// History is the cohorts of one stack, or of several, youngest first.
type History struct {
	Cohorts []Cohort
	Older   int64  // live bytes that were allocated before the cohorts began
	FreedBy string // who frees such blocks, by the label freed_by; "" not known
	freed   map[string]int64
}

// InUse is all live bytes.
func (h *History) InUse() int64 {
	n := h.Older
	for _, c := range h.Cohorts {
		n += c.Live
	}
	return n
}

// Survives is the share of all that was allocated in the cohorts that still lives; nil: nothing is
// known to have been allocated.
func (h *History) Survives() *float64 {
	var all Cohort
	for _, c := range h.Cohorts {
		all = all.plus(c)
	}
	if all.Allocated <= 0 {
		return nil
	}
	share := all.Share()
	return &share
}

func (h *History) add(age ages, c Cohort, freedBy string) {
	if freedBy != "" {
		h.freed[freedBy] += c.Live
		if h.FreedBy == "" || h.freed[freedBy] > h.freed[h.FreedBy] {
			h.FreedBy = freedBy
		}
	}
	if age.isOlder {
		h.Older += c.Live
		return
	}
	at, found := slices.BinarySearchFunc(h.Cohorts, c, func(a, b Cohort) int {
		return cmp.Compare(a.From, b.From)
	})
	if found {
		h.Cohorts[at] = h.Cohorts[at].plus(c)
		return
	}
	h.Cohorts = slices.Insert(h.Cohorts, at, c)
}

// ages is what a label says.
type ages struct {
	from, to time.Duration
	isOlder  bool // than any cohort
}

// A process is not trusted: figures beyond these are taken for these.
const (
	oldest    = 20 * 365 * 24 * time.Hour
	mostBytes = 1 << 50
)

// parseAges reads "10m-15m", "1h-" and "older".
func parseAges(text string) (ages, error) {
	if text == "older" {
		return ages{isOlder: true}, nil
	}
	from, to, found := strings.Cut(text, "-")
	var a ages
	var err error
	if a.from, err = time.ParseDuration(from); err == nil && to != "" {
		a.to, err = time.ParseDuration(to)
	}
	isBad := a.from < 0 || a.from > oldest || a.to > oldest || to != "" && a.to <= a.from
	if err != nil || !found || isBad {
		return ages{}, fmt.Errorf("the profile has an age %q", text)
	}
	return a, nil
}

// ErrNoAges is of a profile of a library that knows no labels=age.
var ErrNoAges = errors.New("the profile's samples have no label age")

// Row is the cohorts of the stacks of one row of a table.
type Row struct {
	History          // of all stacks
	Stacks  []*Stack // those with most in use first
}

// Stack is the cohorts of one stack.
type Stack struct {
	History
	Frames []string // leaf first
}

// Read gives the rows of a profile with ages.
func Read(p *profile.Profile, callers *stacks.CallerRule) (*Table, error) {
	design, err := sampling.Of(p)
	if err != nil {
		return nil, err
	}
	t := &Table{Rows: map[holders.RowKey]*Row{}, isEstimate: !design.IsExact()}
	byStack := map[string]*Stack{}
	bytes := readBytes(p)
	for _, s := range p.Sample {
		label := s.Label["age"]
		if len(label) != 1 {
			if sampling.OriginOf(s) == "go" {
				continue
			}
			return nil, ErrNoAges
		}
		age, err := parseAges(label[0])
		if err != nil {
			return nil, err
		}
		c := Cohort{From: age.from, To: age.to}
		c.Allocated, c.Live = bytes.of(s)
		all, used := design.Blocks(s)
		c.alive = max(0, min(used, mostBytes))
		c.sampled = max(c.alive, min(all, mostBytes))
		t.add(s, age, c, byStack, callers)
	}
	t.takeBounds(p.Comments)
	for _, r := range t.Rows {
		slices.SortStableFunc(r.Stacks, func(a, b *Stack) int {
			return cmp.Compare(b.InUse(), a.InUse())
		})
		r.fill(t.intervals)
		for _, s := range r.Stacks {
			s.fill(t.intervals)
		}
	}
	return t, nil
}

// valueBytes reads what was allocated and what lives from samples.  A thread's stack is allocated
// with its size and lives with what was touched of it, so the two have no share: there allocated is
// what as many stacks have, as those that live.
type valueBytes struct {
	allocated, allocatedObjects, inUse int     // indexes of values
	touched                            float64 // bytes of a stack that lives
}

func readBytes(p *profile.Profile) *valueBytes {
	v := &valueBytes{allocated: holders.SampleTypeIndex(p, "alloc_space"),
		allocatedObjects: holders.SampleTypeIndex(p, "alloc_objects"),
		inUse:            holders.SampleTypeIndex(p, "inuse_space")}
	inUseObjects := holders.SampleTypeIndex(p, "inuse_objects")
	var live, count float64
	for _, s := range p.Sample {
		if isThreadStack(s) {
			live += float64(clamp(s.Value[v.inUse]))
			count += float64(clamp(s.Value[inUseObjects]))
		}
	}
	if count > 0 {
		v.touched = live / count
	}
	return v
}

func isThreadStack(s *profile.Sample) bool { return sampling.OriginOf(s) == "thread_stack" }

func (v *valueBytes) of(s *profile.Sample) (allocated, live int64) {
	allocated, live = clamp(s.Value[v.allocated]), clamp(s.Value[v.inUse])
	if isThreadStack(s) {
		allocated = clamp(int64(float64(clamp(s.Value[v.allocatedObjects])) * v.touched))
	}
	return max(allocated, live), live
}

func clamp(bytes int64) int64 { return max(0, min(bytes, mostBytes)) }

// Table is all rows of a profile.
type Table struct {
	Rows       map[holders.RowKey]*Row
	intervals  History // all that there are
	isEstimate bool    // blocks are sampled
}

// boundsComment lists the bounds of all intervals, as ages: "ages: 0s 2.3s 7.3s; the last is ...".
const boundsComment = "ages: "

// takeBounds adds the intervals in which no stack allocated anything.
func (t *Table) takeBounds(comments []string) {
	for _, c := range comments {
		text, ok := strings.CutPrefix(c, boundsComment)
		if !ok {
			continue
		}
		text, _, _ = strings.Cut(text, ";")
		bounds := strings.Fields(text)
		for i := 1; i < len(bounds); i++ {
			if age, err := parseAges(bounds[i-1] + "-" + bounds[i]); err == nil {
				t.intervals.add(age, Cohort{From: age.from, To: age.to}, "")
			}
		}
	}
	if known := t.intervals.Cohorts; len(known) > 0 && known[0].From > 0 {
		t.intervals.add(ages{}, Cohort{To: known[0].From}, "")
	}
}

// fill adds the intervals in which nothing was allocated, since the oldest in which something was.
func (h *History) fill(all History) {
	if len(h.Cohorts) == 0 {
		return
	}
	for _, c := range all.Cohorts {
		if c.From < h.Cohorts[len(h.Cohorts)-1].From {
			h.add(ages{}, Cohort{From: c.From, To: c.To}, "")
		}
	}
}

func (t *Table) add(s *profile.Sample, age ages, c Cohort, byStack map[string]*Stack,
	callers *stacks.CallerRule) {
	frames := stacks.FramesOf(s)
	key := holders.KeyOf(s, frames, callers)
	row := t.Rows[key]
	if row == nil {
		row = &Row{History: History{freed: map[string]int64{}}}
		t.Rows[key] = row
	}
	id := stackID(s)
	stack := byStack[id]
	if stack == nil {
		stack = &Stack{History: History{freed: map[string]int64{}}, Frames: stacks.NamesOf(frames)}
		byStack[id] = stack
		row.Stacks = append(row.Stacks, stack)
	}
	freedBy := ""
	if label := s.Label["freed_by"]; len(label) == 1 {
		freedBy = label[0]
	}
	t.intervals.add(age, Cohort{From: c.From, To: c.To}, "")
	row.add(age, c, freedBy)
	stack.add(age, c, freedBy)
}

// stackID tells stacks apart, whatever labels of goroutines they ran under.
func stackID(s *profile.Sample) string {
	var b strings.Builder
	fmt.Fprint(&b, sampling.OriginOf(s))
	for _, l := range s.Location {
		fmt.Fprintf(&b, " %d", l.ID)
	}
	return b.String()
}
