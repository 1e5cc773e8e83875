package cause

import (
	"fmt"
	"math"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/drift"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/termtext"
)

// Forecast is when the memory limit is reached at the present slope.
type Forecast struct {
	Usage, Limit        float64
	In, Soonest, Latest time.Duration
	Part                string  // the figure that most of the growth is of, "" not known
	PartShare           float64 // of the growth, 0 to 1
	Holder              string  // who holds most of that part's growth, "" not known
	HolderShare         float64 // of the part's growth
}

// reason is the longest time that a slope says something about.
const reason = 7 * 24 * time.Hour

// Forecast for a limit in bytes; 0: the cgroup's.  grown is the growth of C memory by stack
// (holders.GrowSince), nil where it is not known.  False: the limit is not known, or what cannot
// be reclaimed does not surely grow.
func (w *Watcher) Forecast(limit float64, grown *holders.Summary) (Forecast, bool) {
	usage := w.unreclaimable()
	if limit <= 0 {
		limit = w.now(series.CgroupLimit)
	}
	state := w.State(series.RSSAnon)
	if state.Shape != drift.Growing || !(limit > 0) || math.IsNaN(usage) {
		return Forecast{}, false
	}
	when, ok := w.slope(series.RSSAnon, state).When(usage, limit)
	if !ok {
		return Forecast{}, false
	}
	f := Forecast{Usage: usage, Limit: limit, In: duration(when.Seconds),
		Soonest: duration(when.Soonest), Latest: duration(when.Latest)}
	f.Part, f.PartShare = w.part(state)
	if f.Part == series.CLive || f.Part == series.CMmap {
		f.Holder, f.HolderShare = holder(grown, f.Part == series.CLive)
	}
	return f, true
}

func duration(seconds float64) time.Duration {
	return time.Duration(min(seconds, 10*reason.Seconds()) * float64(time.Second))
}

// parts of anonymous memory that do not overlap.
var parts = []string{series.CLive, series.CRetained, series.CMmap,
	series.OwnerName(account.GoHeap), goStacks, series.ThreadStacks}

// part is what grew most since the growth began, and its share.
func (w *Watcher) part(s drift.State) (name string, share float64) {
	all, most := w.rise(series.RSSAnon, s.Since), 0.0
	for _, figure := range parts {
		if n := w.rise(figure, s.Since); w.knows(figure) && n > most {
			name, most = figure, n
		}
	}
	if all <= 0 || most <= 0 {
		return "", 0
	}
	return name, min(1, most/all)
}

// holder is who holds most of the growth of C's blocks, or of its mappings.
func holder(grown *holders.Summary, blocks bool) (name string, share float64) {
	if grown == nil {
		return "", 0
	}
	byCaller, all := map[string]int64{}, int64(0)
	for i := range grown.Rows {
		r := &grown.Rows[i]
		if r.Growth == nil || (r.Mapped == nil) != blocks {
			continue
		}
		byCaller[r.GoCaller] += *r.Growth
		all += *r.Growth
	}
	most := int64(0)
	for caller, n := range byCaller {
		if n > most {
			name, most = caller, n
		}
	}
	if all <= 0 {
		return "", 0
	}
	return name, min(1, float64(most)/float64(all))
}

// String: "At 84 % of 2.0 GiB; at this slope the limit is reached in 3 h 10 min (2 h to 6 h);
// 80 % of the growth is C live, of which 74 % is main.audit_actor."
func (f Forecast) String() string {
	text := fmt.Sprintf("At %.0f %% of %s; at this slope the limit is reached in %s",
		100*f.Usage/f.Limit, termtext.Bytes(int64(f.Limit)), span(f.In))
	soonest, latest := span(f.Soonest), span(f.Latest)
	if f.In <= reason && soonest != latest {
		text += fmt.Sprintf(" (%s to %s)", soonest, latest)
	}
	if f.Part == "" {
		return text + "."
	}
	text += fmt.Sprintf("; %.0f %% of the growth is %s", 100*f.PartShare, partLabel(f.Part))
	if f.Holder != "" {
		text += fmt.Sprintf(", of which %.0f %% is %s", 100*f.HolderShare,
			termtext.Escape(f.Holder))
	}
	return text + "."
}

// partLabel: an owner's resident bytes are just the owner here.
func partLabel(name string) string {
	if owner, ok := series.OwnerOf(name); ok {
		return account.Label(owner)
	}
	return label(name)
}

// span is a time as precise as a forecast may be.
func span(d time.Duration) string {
	minutes := int(d.Round(time.Minute).Minutes())
	switch {
	case d > reason:
		return "more than a week"
	case minutes < 1:
		return "less than a minute"
	case minutes < 60:
		return fmt.Sprintf("%d min", minutes)
	case minutes < 24*60:
		return pair(minutes/60, "h", minutes%60/10*10, "min")
	}
	return pair(minutes/60/24, "d", minutes/60%24, "h")
}

func pair(big int, bigUnit string, small int, smallUnit string) string {
	if small == 0 {
		return fmt.Sprintf("%d %s", big, bigUnit)
	}
	return fmt.Sprintf("%d %s %d %s", big, bigUnit, small, smallUnit)
}
