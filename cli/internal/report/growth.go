package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/drift"
	"cgoheap.example/cli/internal/sampling"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/termtext"
)

// Growth between first and last, and how sure it is.

// growth is a row of the table.
type growth struct {
	Label, First, Last, Change, Rate, Error string
	weight                                  float64
}

const maxGrowths = 20

// growths are the figures that changed, most first; owners and other bytes come before counts.
func (in *Input) growths() []growth {
	var list []growth
	rows := in.current()
	for _, name := range series.Names(rows) {
		about := series.About(name)
		if about.Kind != series.Gauge {
			continue
		}
		g, ok := in.growthOf(rows, name, about)
		same := func(o growth) bool {
			return o.Label == g.Label && o.First == g.First && o.Last == g.Last
		}
		if ok && !slices.ContainsFunc(list, same) { // C live is an owner and a figure
			list = append(list, g)
		}
	}
	if len(list) == 0 {
		list = in.growthOfAccounts()
	}
	slices.SortStableFunc(list, func(a, b growth) int { return cmp.Compare(b.weight, a.weight) })
	return list[:min(len(list), maxGrowths)]
}

func (in *Input) growthOf(
	rows []series.Row, name string, about series.Figure,
) (growth, bool) {
	seconds, values := series.Points(rows, name)
	n := len(values)
	if n < 2 || values[0] == values[n-1] {
		return growth{}, false
	}
	change := values[n-1] - values[0]
	g := growth{Label: shown(about.Label), First: figure(values[0], about.Unit),
		Last: figure(values[n-1], about.Unit), Change: signed(change, about.Unit),
		weight: math.Abs(change)}
	if owner, ok := series.OwnerOf(name); ok {
		g.Label = ownerLabel(owner)
	}
	if about.Unit != series.Bytes { // below all bytes
		g.weight = math.Abs(change) / (1 + math.Abs(values[0]))
	}
	points := make([]drift.Point, n)
	for i := range points {
		points[i] = drift.Point{Seconds: seconds[i], Value: values[i]}
	}
	slope, ok := drift.SlopeOf(points)
	switch {
	case !ok:
		g.Rate, g.Error = "too few samples", in.errorOf(name)
	case !slope.Sure():
		g.Rate = "not certain"
		g.Error = hourly(slope.Low, about.Unit) + " to " + hourly(slope.High, about.Unit)
	default:
		g.Rate = hourly(slope.PerSecond, about.Unit)
		g.Error = hourly(slope.Low, about.Unit) + " to " + hourly(slope.High, about.Unit)
	}
	return g, true
}

// errorOf the difference of two looks: figures are counted, but for C memory by samples.
func (in *Input) errorOf(name string) string {
	isC := name == series.OwnerName(account.CLive) || name == series.CLive
	if a := in.Account; a != nil && isC && !a.Owner(account.CLive).Exact {
		if e := a.CLiveEstimate.StandardError; e != nil {
			before := e
			if in.Grown != nil && in.Grown.Last != nil &&
				in.Grown.Last.CLiveEstimate.StandardError != nil {
				before = in.Grown.Last.CLiveEstimate.StandardError
			}
			most := sampling.BetweenLooks(float64(*before), float64(*e))
			return "at most ± " + termtext.Bytes(int64(most)) + " (samples)"
		}
		return "estimated"
	}
	return "counted at both times"
}

// growthOfAccounts is since the last look of explain, or an hour before the end.
func (in *Input) growthOfAccounts() []growth {
	if in.Grown == nil || in.Account == nil {
		return nil
	}
	var list []growth
	for _, o := range in.Grown.Owners {
		if o.Bytes == nil || *o.Bytes == 0 {
			continue
		}
		now := account.Known(in.Account.Owner(o.Name).Bytes)
		g := growth{Label: ownerLabel(o.Name), First: termtext.Bytes(now - *o.Bytes),
			Last: termtext.Bytes(now), Change: termtext.Growth(*o.Bytes),
			Rate: "too short a time", Error: in.errorOf(series.OwnerName(o.Name)),
			weight: math.Abs(float64(*o.Bytes))}
		if o.Rate != nil {
			g.Rate = termtext.Growth(*o.Rate)
		}
		list = append(list, g)
	}
	return list
}

// growthTime is the window, in words.
func (in *Input) growthTime() string {
	switch {
	case span(in.current()) > 0:
		return "within " + termtext.Duration(span(in.current()))
	case in.Grown != nil:
		return fmt.Sprintf("within %s, since %s UTC", termtext.Duration(in.Grown.Elapsed),
			in.Grown.Since.UTC().Format(time.DateTime))
	}
	return ""
}

func hourly(perSecond float64, unit series.Unit) string {
	rate := 3600 * perSecond
	if unit == series.Count {
		rate = math.Round(10*rate) / 10
	}
	return signed(rate, unit)
}

func signed(v float64, unit series.Unit) string {
	if v > 0 {
		return "+" + figure(v, unit)
	}
	return figure(v, unit)
}

// figure as people read it.
func figure(v float64, unit series.Unit) string {
	switch unit {
	case series.Bytes:
		return termtext.Bytes(int64(math.Max(math.Min(v, 1<<62), -1<<62)))
	case series.Percent:
		return fmt.Sprintf("%.1f %%", v)
	case series.Ratio:
		return fmt.Sprintf("%.1f %%", 100*v)
	case series.Nanoseconds:
		return termtext.Duration(time.Duration(v))
	}
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return termtext.Count(int64(v))
	}
	return fmt.Sprintf("%.6g", v)
}

func percent(n, of int64) string {
	if of <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}
