package memlimit

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"
)

// The real thing, bounded by a given limit.
func TestStart(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	before := debug.SetMemoryLimit(-1)
	var mu sync.Mutex
	var log bytes.Buffer
	var kinds []Kind
	c, err := Start(Options{Limit: 1 << 30, Interval: 20 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(&log, nil)), OnEvent: func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			kinds = append(kinds, e.Kind)
		}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Start(Options{Limit: 1 << 30}); err != ErrRunning {
		t.Error(err)
	}
	s := c.State()
	if now := debug.SetMemoryLimit(-1); now != s.Limit || now >= 1<<30 || s.NonGo < 0 ||
		s.Used <= 0 || s.Go <= 0 || s.Bound == "" || s.Previous != before {
		t.Errorf("%s: %+v", size(now), s)
	}
	for c.State().Time == s.Time {
		time.Sleep(time.Millisecond)
	}
	var all sync.WaitGroup
	for i := 0; i < 4; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			c.State()
			c.Stop()
		}()
	}
	all.Wait()
	if now := debug.SetMemoryLimit(-1); now != before {
		t.Errorf("%s, was %s", size(now), size(before))
	}
	mu.Lock()
	defer mu.Unlock()
	if len(kinds) < 2 || kinds[0] != Started || kinds[len(kinds)-1] != Stopped {
		t.Error(kinds)
	}
	text := log.String()
	if !strings.Contains(text, `msg="memory limit started" reason="GOMEMLIMIT is `) ||
		!strings.Contains(text, " non_go=") {
		t.Error(text)
	}
	// And again.
	c, err = Start(Options{Limit: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	c.Stop()
}

// Stop may be called from the callback, also while Start has not returned.
func TestStopInCallback(t *testing.T) {
	w := newWorld()
	o, _ := Options{}.check()
	var c *Controller
	o.OnEvent = func(e Event) {
		if e.Kind == Lowered {
			c.Stop()
		}
	}
	c, err := begin(o, w)
	if err != nil {
		t.Fatal(err)
	}
	w.nonGo = 300 * mib
	w.advance(time.Second)
	c.look()
	if w.set != math.MaxInt64 || !c.State().Stopped {
		t.Error(size(w.set))
	}
}

func TestNoLimit(t *testing.T) {
	w := newWorld()
	w.cgroup = 0
	if _, err := begin(Options{}, w); !errors.Is(err, ErrNoLimit) {
		t.Error(err)
	}
	w.err = errors.New("gone")
	if _, err := begin(Options{}, w); !errors.Is(err, w.err) {
		t.Error(err)
	}
	if w.sets != 0 {
		t.Error("something was set")
	}
}

func TestNames(t *testing.T) {
	if len(kindNames) != int(Collected)+1 || Growth.String() != "growth" ||
		Kind(99).String() != "Kind(99)" {
		t.Error(kindNames)
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB",
		3 << 30: "3.0 GiB", math.MaxInt64: "none", -5 << 20: "-5.0 MiB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
