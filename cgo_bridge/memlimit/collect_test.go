package memlimit

import (
	"strings"
	"testing"
	"time"
)

// allocates adds C memory at each look, of which a collection frees what waits for one, until so
// much is used.
func (w *fakeWorld) allocates(bytes int64, waits bool, until int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.nonGo+w.held+bytes > until {
		return
	}
	w.nonGo += bytes
	if waits {
		w.debt += bytes
	}
}

func (r *run) collections() (freed []int64) {
	for _, e := range r.events {
		if e.Kind == Collected {
			freed = append(freed, e.Freed)
		}
	}
	return freed
}

// A pool that finalizers free: Go's heap is small and never collects by itself.
func TestCollectC(t *testing.T) {
	w := newWorld()
	w.held, w.live, w.goal = 16*mib, 4*mib, 16*mib
	r := start(t, w, Options{CollectC: true})
	most := int64(0)
	r.pass(5*time.Minute, func(time.Duration) {
		w.allocates(4*mib, true, 1<<40)
		most = max(most, w.nonGo+w.held)
	})
	freed := r.collections()
	if most > w.cgroup || len(freed) < 2 {
		t.Fatalf("%s used at most, collections freed %v", size(most), freed)
	}
	for _, n := range freed {
		if n < w.cgroup/2 {
			t.Errorf("a collection for %s", size(n))
		}
	}
	if e := r.events[len(r.events)-1]; e.Kind == Collected &&
		!strings.Contains(e.Reason, "of 512.0 MiB of cgroup /test only") {
		t.Error(e)
	}
}

// Off by default, and then it is not survived.
func TestCollectCIsOff(t *testing.T) {
	w := newWorld()
	w.held, w.live, w.goal = 16*mib, 4*mib, 16*mib
	r := start(t, w, Options{})
	r.pass(5*time.Minute, func(time.Duration) { w.allocates(4*mib, true, 1<<30) })
	if w.cycles != 0 || w.nonGo+w.held < w.cgroup {
		t.Errorf("%d collections, %s used", w.cycles, size(w.nonGo+w.held))
	}
}

// C memory that no collection frees: the calls become rare.
func TestCollectCBacksOff(t *testing.T) {
	w := newWorld()
	w.held, w.live, w.goal, w.gcTook = 16*mib, 4*mib, 16*mib, 30*time.Millisecond
	r := start(t, w, Options{CollectC: true})
	var at []time.Time
	cycles := int64(0)
	r.pass(time.Hour, func(time.Duration) {
		w.mu.Lock()
		if w.cycles != cycles {
			cycles, at = w.cycles, append(at, w.clock)
		}
		if w.nonGo+w.held+4*mib > w.cgroup && !r.c.State().Collecting {
			w.nonGo = 400 * mib // the program helps itself
		}
		w.mu.Unlock()
		w.allocates(4*mib, false, w.cgroup)
	})
	if len(at) < 6 || len(at) > 20 {
		t.Errorf("%d collections in an hour that free nothing", len(at))
	}
	for i := 2; i < len(at); i++ {
		if gap := at[i].Sub(at[i-1]); gap < min(collectMost, collectRest<<i) {
			t.Errorf("collection %d came %s after the one before", i, gap)
		}
	}
	// One that helps ends that.
	w.mu.Lock()
	w.nonGo, w.debt = 100*mib, 0
	w.mu.Unlock()
	r.pass(collectMost, nil)
	r.events = nil
	r.pass(5*time.Minute, func(time.Duration) { w.allocates(4*mib, true, 1<<40) })
	if freed := r.collections(); len(freed) < 2 {
		t.Errorf("collections that help freed %v", freed)
	}
}

// No more of the CPU than a twentieth, however long one takes.
func TestCollectCCosts(t *testing.T) {
	w := newWorld()
	w.held, w.live, w.goal, w.gcTook = 16*mib, 4*mib, 16*mib, 2*time.Second
	r := start(t, w, Options{CollectC: true})
	r.pass(10*time.Minute, func(time.Duration) { w.allocates(32*mib, true, w.cgroup) })
	if n := len(r.collections()); n < 2 || n > 15 {
		t.Errorf("%d collections of 2 s in 10 min", n)
	}
}

// Nothing to gain: Go collects often enough itself, or there is room, or nothing has grown.
func TestCollectCIsNotCalled(t *testing.T) {
	for name, change := range map[string]func(w *fakeWorld){
		"Go collects": func(w *fakeWorld) {
			w.allocates(4*mib, false, w.cgroup)
			w.mu.Lock()
			w.cycles++
			w.mu.Unlock()
		},
		"there is room": func(w *fakeWorld) { w.allocates(4*mib, true, w.cgroup-64*mib) },
		"steady":        func(w *fakeWorld) { w.allocates(480*mib, false, w.cgroup) },
	} {
		w := newWorld()
		w.held, w.live, w.goal = 16*mib, 4*mib, 16*mib
		if name == "steady" {
			w.nonGo = 490 * mib
		}
		r := start(t, w, Options{CollectC: true})
		before := w.cycles
		r.pass(5*time.Minute, func(time.Duration) { change(w) })
		if len(r.collections()) != 0 || name != "Go collects" && w.cycles != before {
			t.Errorf("%s: %v", name, r.events)
		}
	}
}

// What the library knows of the debt decides, if it knows it.
func TestCollectCAsksForTheDebt(t *testing.T) {
	for name, c := range map[string]struct {
		bytes int64
		known bool
		calls bool
	}{
		"much": {400 * mib, true, true}, "little": {8 * mib, true, false},
		"not known": {0, false, true},
	} {
		w := newWorld()
		w.held, w.live, w.goal = 16*mib, 4*mib, 16*mib
		asked := make(chan bool, 1000)
		r := start(t, w, Options{CollectC: true, Debt: func() (int64, bool) {
			asked <- true
			return c.bytes, c.known
		}})
		r.pass(time.Minute+30*time.Second, func(time.Duration) {
			w.allocates(16*mib, true, w.cgroup)
		})
		if n := len(asked); n == 0 || n > 10 {
			t.Errorf("%s: asked %d times", name, n)
		}
		if called := len(r.collections()) > 0; called != c.calls {
			t.Errorf("%s: %d cycles, %v", name, w.cycles, r.events)
		}
	}
}

// It is told only when finalizers have stopped freeing.
func TestCollectCWaitsForFinalizers(t *testing.T) {
	w := newWorld()
	w.held, w.live, w.goal = 16*mib, 4*mib, 16*mib
	r := start(t, w, Options{CollectC: true})
	ran := false
	r.pass(5*time.Minute, func(time.Duration) {
		if ran = ran || w.cycles > 0; !ran {
			w.allocates(16*mib, false, w.cgroup)
			return
		}
		w.mu.Lock()
		if w.nonGo > 100*mib {
			w.nonGo -= 40 * mib // a finalizer after the other
			if !r.c.state.Collecting && len(r.collections()) == 0 {
				t.Error("it is not said that a collection is under way")
			}
		}
		w.mu.Unlock()
	})
	if freed := r.collections(); len(freed) != 1 || freed[0] < 300*mib {
		t.Errorf("freed %v\n%v", freed, r.events)
	}
}
