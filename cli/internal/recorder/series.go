package recorder

import (
	"fmt"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/recordlayout"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/termtext"
)

// Series is the ring of the last hour as `watch` shows it.  The ring has the wall clock only: a
// step that no second explains is a gap, and the series goes on a second later.
func (b *Recording) Series() *series.Recording {
	r := &series.Recording{Header: series.Header{Program: b.Program, PID: int(b.PID),
		Wall: b.Start, Interval: time.Second, Version: b.ShimVersion}}
	last, _ := b.AccountBefore()
	mono := int64(0)
	var before, counted recordlayout.Time
	for i := range b.Seconds {
		m := &b.Seconds[i]
		if i > 0 {
			step := m.Time.Time().Sub(before.Time())
			if step <= 0 || step >= 3*time.Second {
				r.Events = append(r.Events, series.Event{Wall: m.Time.Time(), MonoNS: mono,
					Kind: series.EventGap, Text: gapText(step)})
			}
			mono += int64(max(step, time.Second))
		}
		before = m.Time
		row := series.Row{Wall: m.Time.Time(), MonoNS: mono}
		addSecond(&row, m)
		switch {
		case last == nil:
			addSampled(&row, m)
		case m.AccountTime != counted: // an account is in many seconds
			addOwners(&row, m, last)
			counted = m.AccountTime
		}
		r.Rows = append(r.Rows, row)
	}
	for _, note := range b.Notes {
		r.Ends = note
	}
	return r
}

func gapText(step time.Duration) string {
	if step <= 0 {
		return "the wall clock was set back by " + termtext.Duration(-step+time.Second)
	}
	return fmt.Sprintf("nothing was recorded for %s, or the wall clock was set forward",
		termtext.Duration(step))
}

func addSecond(row *series.Row, m *recordlayout.Second) {
	addFigures(row, map[string]recordlayout.Figure{
		series.RSS: m.RSS, series.RSSAnon: m.Anon, series.RSSFile: m.File,
		series.RSSShmem: m.Shmem, series.Swap: m.Swap, series.CgroupUsage: m.CgroupCurrent,
		series.CgroupLimit: m.CgroupLimit, series.GoInUse: m.GoHeapInUse,
		series.GoReleased: m.GoHeapReleased,
	})
	if m.SampleBytes > 0 { // 0: sampling was off
		row.Set(series.SampleBytes, float64(m.SampleBytes))
	}
}

// addSampled is for a recording without an account, which would know what is resident.
func addSampled(row *series.Row, m *recordlayout.Second) {
	addFigures(row, map[string]recordlayout.Figure{series.CLive: m.CLiveBytes,
		series.CMmap: m.CMappedBytes, series.ThreadStacks: m.ThreadStacks,
		series.CRetained: m.AllocatorFree})
}

func addFigures(row *series.Row, figures map[string]recordlayout.Figure) {
	for name, f := range figures {
		if f.IsKnown() {
			row.Set(name, float64(f))
		}
	}
}

// shortNames are figures that are owners too.
var shortNames = map[string]string{
	account.CLive: series.CLive, account.CRetained: series.CRetained,
	account.CMmap: series.CMmap, account.ThreadStacks: series.ThreadStacks,
}

func addOwners(row *series.Row, m *recordlayout.Second, last *account.Account) {
	a := accountAt(m, last)
	if a == nil {
		return
	}
	for _, o := range a.Owners {
		if o.Bytes == nil {
			continue
		}
		row.Set(series.OwnerName(o.Name), float64(*o.Bytes))
		if name := shortNames[o.Name]; name != "" {
			row.Set(name, float64(*o.Bytes))
		}
	}
}
