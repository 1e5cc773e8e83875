package observe

import (
	"time"

	"cgoheap/cli/internal/account"
	"cgoheap/cli/internal/attach"
	"cgoheap/cli/internal/series"
)

// An account walks the page tables of the process, which costs it processor time: it may take
// this share of one processor.
const accountShare = 0.001

// accountPause after one that took so long.
func accountPause(took time.Duration) time.Duration {
	return time.Duration(float64(took) / accountShare)
}

// library is the account on the library's socket.
type library struct {
	client *attach.Client
	every  time.Duration // 0: as accountPause says
}

func (l *library) name() string { return "the library's account" }

func (l *library) read() (series.Row, time.Duration, error) {
	var r series.Row
	a, _, err := l.client.Account()
	if err != nil {
		return r, 0, err
	}
	addAccount(&r, a)
	if s, err := l.client.Status(); err == nil {
		r.Set(series.SampleBytes, float64(s.SampleBytes))
		if s.State == "dormant" {
			delete(r.Values, series.SampleBytes)
		}
	}
	if l.every > 0 {
		return r, l.every, nil
	}
	return r, accountPause(time.Duration(a.TookNS)), nil
}

func addAccount(r *series.Row, a *account.Account) {
	set := func(name string, n *int64) {
		if n != nil {
			r.Set(name, float64(*n))
		}
	}
	for _, o := range a.Owners {
		set(series.OwnerName(o.Name), o.Bytes)
	}
	set(series.CLive, a.Owner(account.CLive).Bytes)
	set(series.CRetained, a.Owner(account.CRetained).Bytes)
	set(series.CMmap, a.Owner(account.CMmap).Bytes)
	set(series.ThreadStacks, a.Owner(account.ThreadStacks).Bytes)
	addGo(r, &a.Go)
}

func addGo(r *series.Row, g *account.Go) {
	for name, n := range map[string]*int64{
		series.GoInUse: g.HeapInUse, series.GoReleased: g.HeapReleased, series.GoGoal: g.GCGoal,
		series.GoLive: g.HeapLive, series.Goroutines: g.Goroutines,
	} {
		if n != nil {
			r.Set(name, float64(*n))
		}
	}
}
