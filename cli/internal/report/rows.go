package report

import (
	"time"

	"cgoheap/cli/internal/account"
	"cgoheap/cli/internal/recorder"
	"cgoheap/cli/internal/recordlayout"
	"cgoheap/cli/internal/series"
)

// Rows of other things than recordings of watch, and an account of a row.

const unexplained = "unexplained"

// rowOf is an account as a sample.
func rowOf(a *account.Account, wall time.Time, mono int64) series.Row {
	r := series.Row{Wall: wall, MonoNS: mono}
	r.Set(series.RSS, float64(a.RSS))
	for _, o := range a.Owners {
		if o.Bytes != nil {
			r.Set(series.OwnerName(o.Name), float64(*o.Bytes))
		}
	}
	r.Set(series.OwnerName(unexplained), float64(a.Unexplained))
	owner := func(name string) *int64 { return a.Owner(name).Bytes }
	for name, value := range map[string]*int64{
		series.RSSAnon: a.Process.RSSAnon, series.RSSFile: a.Process.RSSFile,
		series.RSSShmem: a.Process.RSSShmem, series.Swap: a.Process.VMSwap,
		series.VMSize: a.Process.VMSize, series.VMData: a.Process.VMData,
		series.VMStack: a.Process.VMStk, series.Threads: a.Process.Threads,
		series.CgroupUsage: a.Cgroup.Current, series.CgroupLimit: a.Cgroup.Limit,
		series.GoInUse: a.Go.HeapInUse, series.GoGoal: a.Go.GCGoal,
		series.GoReleased: a.Go.HeapReleased, series.GoLive: a.Go.HeapLive,
		series.Goroutines: a.Go.Goroutines, series.CLive: owner(account.CLive),
		series.CRetained: owner(account.CRetained), series.CMmap: owner(account.CMmap),
		series.ThreadStacks: owner(account.ThreadStacks),
		series.SampleBytes:  a.CLiveEstimate.SampleBytes,
	} {
		if value != nil {
			r.Set(name, float64(*value))
		}
	}
	return r
}

// accountOf is as much of an account as a sample has; nil: it has no owners.
func accountOf(r *series.Row) *account.Account {
	a := &account.Account{Time: r.Wall}
	figure := func(name string) *int64 {
		v, ok := r.Value(name)
		if !ok {
			return nil
		}
		n := int64(v)
		return &n
	}
	for _, name := range series.Names([]series.Row{*r}) {
		owner, isOwner := series.OwnerOf(name)
		switch {
		case isOwner && owner == unexplained:
			a.Unexplained = *figure(name)
		case isOwner:
			a.Owners = append(a.Owners,
				account.Owner{Name: owner, Bytes: figure(name), Exact: true})
		}
	}
	rss := figure(series.RSS)
	if rss == nil || len(a.Owners) == 0 {
		return nil
	}
	a.RSS = *rss
	a.Process = account.Process{VMRSS: rss, RSSAnon: figure(series.RSSAnon),
		RSSFile: figure(series.RSSFile), RSSShmem: figure(series.RSSShmem),
		VMData: figure(series.VMData), VMStk: figure(series.VMStack),
		VMSize: figure(series.VMSize), VMSwap: figure(series.Swap),
		Threads: figure(series.Threads)}
	a.Cgroup.Current, a.Cgroup.Limit = figure(series.CgroupUsage), figure(series.CgroupLimit)
	a.Go = account.Go{HeapInUse: figure(series.GoInUse), HeapReleased: figure(series.GoReleased),
		HeapLive: figure(series.GoLive), GCGoal: figure(series.GoGoal),
		Goroutines: figure(series.Goroutines)}
	return a
}

// rowsOfSeconds are the figures of a recorder's file.  Its seconds have wall time only; a clock
// that was set back must not turn time round.
func rowsOfSeconds(b *recorder.Recording, owners []account.Owner) []series.Row {
	var rows []series.Row
	for i := range b.Seconds {
		m := &b.Seconds[i]
		wall := m.Time.Time()
		mono := wall.UnixNano()
		if n := len(rows); n > 0 {
			mono = max(mono, rows[n-1].MonoNS+1)
		}
		r := series.Row{Wall: wall, MonoNS: mono}
		for name, figure := range map[string]recordlayout.Figure{
			series.RSS: m.RSS, series.RSSAnon: m.Anon, series.RSSFile: m.File,
			series.RSSShmem: m.Shmem, series.Swap: m.Swap, series.CgroupUsage: m.CgroupCurrent,
			series.CgroupLimit: m.CgroupLimit, series.CLive: m.CLiveBytes,
			series.CRetained: m.AllocatorFree, series.CMmap: m.CMappedBytes,
			series.ThreadStacks: m.ThreadStacks, series.GoInUse: m.GoHeapInUse,
			series.GoReleased: m.GoHeapReleased,
		} {
			if figure.IsKnown() {
				r.Set(name, float64(figure))
			}
		}
		r.Set(series.SampleBytes, float64(m.SampleBytes))
		setOwners(&r, m, owners)
		rows = append(rows, r)
	}
	return rows
}

// setOwners: the account of a second has the owners in the order of the last account.
func setOwners(r *series.Row, m *recordlayout.Second, owners []account.Owner) {
	if m.AccountTime == 0 {
		return
	}
	set := func(name string, pages uint32) {
		if pages != ^uint32(0) {
			r.Set(series.OwnerName(name), float64(pages)*recordlayout.PageBytes)
		}
	}
	for i, o := range owners {
		if i < len(m.OwnerPages) {
			set(o.Name, m.OwnerPages[i])
		}
	}
	set(unexplained, m.UnexplainedPages)
}
