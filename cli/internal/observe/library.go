package observe

import (
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/series"
)

// An account walks the page tables of the process, which costs it processor time: it may take
// this share of one processor.  One of more than 50 ms takes more: a figure without a value for
// a minute counts as not known.
const (
	accountShare    = 0.001
	maxAccountPause = 50 * time.Second
)

// library is the account on the library's socket.
type library struct {
	client *attach.Client
	every  time.Duration // 0: such that it has its share
	most   time.Duration // but not longer; 0: maxAccountPause
	took   time.Duration // of a busy machine's accounts the shortest says what one costs
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
	return r, l.pause(time.Duration(a.TookNS)), nil
}

// pause after an account that took so long.
func (l *library) pause(took time.Duration) time.Duration {
	if l.took > 0 {
		took = min(took, l.took+l.took/4)
	}
	l.took = took
	pause := time.Duration(float64(took) / accountShare)
	if l.most > 0 {
		pause = min(pause, l.most)
	}
	return min(pause, maxAccountPause)
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
