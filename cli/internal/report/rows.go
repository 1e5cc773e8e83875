package report

import (
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/series"
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

// holdTime is how long a figure of an account or of Go's stands: they are asked for less often than
// a sample is taken, and one without a value for a minute counts as not known.
const holdTime = time.Minute

// held fills in figures between two answers.  Another process has none of the last one's.
func held(rows []series.Row, events []series.Event) []series.Row {
	type answer struct {
		value float64
		mono  int64
	}
	last := map[string]answer{}
	list := make([]series.Row, len(rows))
	for i := range rows {
		r := &rows[i]
		for len(events) > 0 && events[0].MonoNS <= r.MonoNS {
			if events[0].Kind == series.EventRestart {
				clear(last)
			}
			events = events[1:]
		}
		list[i] = series.Row{Wall: r.Wall, MonoNS: r.MonoNS}
		for name, value := range r.Values {
			list[i].Set(name, value)
			if from := series.About(name).Source; from == series.Library || from == series.Go {
				last[name] = answer{value, r.MonoNS}
			}
		}
		for name, a := range last {
			if r.MonoNS-a.mono < int64(holdTime) {
				list[i].Set(name, a.value)
			}
		}
	}
	return list
}

// current are the rows of the last process, where there was another before.
func (in *Input) current() []series.Row {
	rows := in.Rows
	for _, e := range in.Events {
		if e.Kind != series.EventRestart {
			continue
		}
		for len(rows) > 1 && rows[0].MonoNS < e.MonoNS {
			rows = rows[1:]
		}
	}
	return rows
}
