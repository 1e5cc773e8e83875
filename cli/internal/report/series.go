package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/termtext"
)

// Figures over time, as the page draws them.

// What a page of at most 1 MiB has room for.
const (
	maxCells   = 40000 // points of all columns
	maxPoints  = 1200  // a screen has no more columns
	minPoints  = 60
	maxColumns = 250
	maxMarks   = 200      // of events with a text
	maxGC      = 800      // ticks
	maxText    = 240      // columns of a name or a text
	maxCost    = 64 << 10 // of all texts of events
)

type seriesData struct {
	Times   []int64  `json:"t"` // in ms since the start, each less the one before it
	Columns []column `json:"columns"`
	Panels  []panel  `json:"panels"`
	Marks   []mark   `json:"marks"`

	left int // rows that are not drawn
}

type column struct {
	Name   string      `json:"name"`
	Label  string      `json:"label"`
	Unit   series.Unit `json:"unit"`
	Scale  float64     `json:"scale"`
	Deltas []*int64    `json:"deltas"` // each less the one before it, in Scale; null is a gap
}

type panel struct {
	Title   string `json:"title"`
	Note    string `json:"note,omitempty"`
	Stacked bool   `json:"stacked"`
	Columns []int  `json:"columns"`
}

type mark struct {
	Time int64  `json:"t"` // ms since the start
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// shown makes a text of the process safe for a page, and short.
func shown(text string) string {
	text = text[:min(len(text), 8*maxText)]
	return termtext.CutEnd(termtext.Escape(text), maxText)
}

// cost is at most what a text takes on the page: < > & are written as escapes.
func cost(text string) int {
	return len(text) + 5*strings.Count(text, "<") + 5*strings.Count(text, ">") +
		5*strings.Count(text, "&")
}

// drawn is nil if there is nothing over time.
func (in *Input) drawn() *seriesData {
	if len(in.Rows) < 2 {
		return nil
	}
	names := series.Names(in.Rows)
	names = names[:min(len(names), maxColumns)]
	points := min(maxPoints, max(minPoints, maxCells/max(1, len(names))))
	rows := thinned(held(in.Rows, in.Events), points)
	d := &seriesData{left: len(in.Rows) - len(rows)}
	begin, before := in.Rows[0].MonoNS, int64(0)
	for i := range rows {
		ms := (rows[i].MonoNS - begin) / 1e6
		d.Times = append(d.Times, ms-before)
		before = ms
	}
	for _, name := range names {
		d.Columns = append(d.Columns, columnOf(rows, name))
	}
	d.Panels = panelsOf(names)
	d.stack(rows)
	d.Marks = in.marks(begin)
	return d
}

// thinned keeps, of each few rows, those with the most and the least RSS: a peak of one second is
// what somebody looks for.  Rows are never joined: the figures of one belong together.
func thinned(rows []series.Row, points int) []series.Row {
	if len(rows) <= points {
		return rows
	}
	rss := func(i int) float64 {
		v, _ := rows[i].Value(series.RSS)
		return v
	}
	kept := []series.Row{rows[0]}
	inner := len(rows) - 2
	buckets := max(1, (points-2)/2)
	for b := range buckets {
		from, to := 1+b*inner/buckets, 1+(b+1)*inner/buckets
		if from == to {
			continue
		}
		low, high := from, from
		for i := from; i < to; i++ {
			if rss(i) < rss(low) {
				low = i
			}
			if rss(i) > rss(high) {
				high = i
			}
		}
		kept = append(kept, rows[min(low, high)])
		if low != high {
			kept = append(kept, rows[max(low, high)])
		}
	}
	return append(kept, rows[len(rows)-1])
}

func columnOf(rows []series.Row, name string) column {
	about := series.About(name)
	c := column{Name: shown(name), Label: shown(about.Label), Unit: about.Unit, Scale: 4096}
	if owner, ok := series.OwnerOf(name); ok {
		c.Name, c.Label = shown(owner), ownerLabel(owner)
	}
	most := 0.0
	for i := range rows {
		v, _ := rows[i].Value(name)
		most = max(most, math.Abs(v))
		for c.Scale > 1 && math.Mod(v, c.Scale) != 0 {
			c.Scale /= 4
		}
	}
	for i := range rows {
		if v, _ := rows[i].Value(name); v != math.Trunc(v) && most > 0 {
			c.Scale = most / 1e6
			break
		}
	}
	before := int64(0)
	for i := range rows {
		v, ok := rows[i].Value(name)
		if !ok {
			c.Deltas = append(c.Deltas, nil)
			continue
		}
		now := int64(math.Round(v / c.Scale))
		change := now - before
		before = now
		c.Deltas = append(c.Deltas, &change)
	}
	return c
}

// panels in the order of the page; what a recording does not have is left out.
var panelsWanted = []struct {
	title string
	names []string
}{
	{"Resident memory, by the kernel", []string{series.RSS, series.RSSAnon, series.RSSFile,
		series.RSSShmem, series.Swap}},
	{"The cgroup, with the page cache, and its limit",
		[]string{series.CgroupUsage, series.CgroupLimit}},
	{"Address space", []string{series.VMSize, series.VMData, series.VMStack}},
	{"Go's heap", []string{series.GoInUse, series.GoLive, series.GoGoal, series.GoReleased}},
	{"C memory and thread stacks", []string{series.CLive, series.CRetained, series.CMmap,
		series.ThreadStacks}},
	{"Threads and goroutines", []string{series.Threads, series.Goroutines}},
	{"Processor time of Go's collector", []string{series.GCCPU}},
	{"Time in which work waited for memory (the cgroup's pressure, 10 s)",
		[]string{series.CgroupPressureSome, series.CgroupPressureFull}},
}

const maxExternal = 12 // panels of series from elsewhere; the table has them all

func panelsOf(names []string) []panel {
	var panels []panel
	for _, wanted := range panelsWanted {
		p := panel{Title: wanted.title}
		for _, name := range wanted.names {
			if at := slices.Index(names, name); at >= 0 {
				p.Columns = append(p.Columns, at)
			}
		}
		if len(p.Columns) > 0 {
			panels = append(panels, p)
		}
	}
	external := 0
	for i, name := range names {
		_, isOwner := series.OwnerOf(name)
		about := series.About(name)
		if isOwner || about.Source != series.External || external == maxExternal {
			continue
		}
		external++
		panels = append(panels, panel{Title: shown(about.Label), Columns: []int{i}})
	}
	return panels
}

// stack puts the owners first, largest at the bottom; without owners what the kernel knows.
func (d *seriesData) stack(rows []series.Row) {
	size := make([]float64, len(d.Columns))
	var owners, kinds []int
	for i, name := range series.Names(rows)[:len(d.Columns)] {
		for r := range rows {
			v, _ := rows[r].Value(name)
			size[i] += v
		}
		switch _, isOwner := series.OwnerOf(name); {
		case isOwner && size[i] > 0:
			owners = append(owners, i)
		case name == series.RSSAnon || name == series.RSSFile || name == series.RSSShmem:
			kinds = append(kinds, i)
		}
	}
	slices.SortStableFunc(owners, func(a, b int) int { return int(sign(size[b] - size[a])) })
	p := panel{Title: "Owners of the RSS", Stacked: true, Columns: owners}
	if len(owners) == 0 {
		p = panel{Title: "The RSS by kind", Stacked: true, Columns: kinds,
			Note: "The owners are not known: this is what the kernel tells apart."}
	}
	if len(p.Columns) > 0 {
		d.Panels = append([]panel{p}, d.Panels...)
	}
}

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

// marks are the events, and what figures say of collections and of the interval where a recording
// has no events of these kinds.
func (in *Input) marks(begin int64) []mark {
	marks := []mark{}
	has := map[string]int{}
	ticks, room := 0, maxCost
	add := func(mono int64, kind, text string) {
		has[kind]++
		switch {
		case kind == series.EventGC && ticks < maxGC:
			ticks++
			text = ""
		case kind == series.EventGC || len(marks)-ticks >= maxMarks || room < 0:
			return
		}
		m := mark{(mono - begin) / 1e6, shown(kind), shown(text)}
		room -= cost(m.Kind + m.Text)
		marks = append(marks, m)
	}
	for _, e := range in.Events {
		add(e.MonoNS, e.Kind, e.Text)
	}
	noGC, noInterval := has[series.EventGC] == 0, has[series.EventInterval] == 0
	for i := 1; i < len(in.Rows); i++ {
		was, now := &in.Rows[i-1], &in.Rows[i]
		if a, b, ok := both(was, now, series.GCCycles); ok && noGC && b > a {
			add(now.MonoNS, series.EventGC, "")
		}
		if a, b, ok := both(was, now, series.SampleBytes); ok && noInterval && a != b {
			add(now.MonoNS, series.EventInterval, fmt.Sprintf("%s, before %s",
				termtext.Interval(uint64(b)), termtext.Interval(uint64(a))))
		}
	}
	return marks
}

func both(was, now *series.Row, name string) (a, b float64, ok bool) {
	a, hadIt := was.Value(name)
	b, hasIt := now.Value(name)
	return a, b, hadIt && hasIt
}
