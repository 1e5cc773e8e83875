package memlimit

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const mib = 1 << 20

// A fakeWorld has a process in a cgroup of its own, and a clock.
type fakeWorld struct {
	mu        sync.Mutex
	clock     time.Time
	cgroup    int64 // limit; 0: none
	nonGo     int64
	held      int64
	untouched int64
	live      int64
	goal      int64
	set       int64 // the memory limit
	sets      int
	err       error
	took      time.Duration // a look
	counting  time.Duration
	counts    int
	frees     int
	freed     chan struct{}
	cycles    int64
	debt      int64 // of nonGo, what a collection frees
	gcTook    time.Duration
	collected chan struct{}
}

func newWorld() *fakeWorld {
	return &fakeWorld{clock: time.Unix(1_000_000, 0), cgroup: 512 * mib, held: 100 * mib,
		live: 40 * mib, goal: 80 * mib,
		set: math.MaxInt64, freed: make(chan struct{}, 1000),
		collected: make(chan struct{}, 1000)}
}

func (w *fakeWorld) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *fakeWorld) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func (w *fakeWorld) freedTimes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.frees
}

func (w *fakeWorld) golang() goFigures {
	w.mu.Lock()
	defer w.mu.Unlock()
	return goFigures{held: w.held, spans: w.held, live: w.live, goal: w.goal, cycles: w.cycles}
}

func (w *fakeWorld) bounds() ([]bound, error) {
	w.advance(w.took)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || w.cgroup == 0 {
		return nil, w.err
	}
	return []bound{{"cgroup /test", true, w.cgroup, w.nonGo + w.held - w.untouched}}, nil
}

func (w *fakeWorld) residentHeap() (resident, seen int64) {
	w.counts++
	w.advance(w.counting)
	return w.held - w.untouched, w.held
}

func (w *fakeWorld) setLimit(n int64) int64 {
	was := w.set
	if n >= 0 && n != was {
		w.set = n
		w.sets++
	}
	return was
}

func (w *fakeWorld) freeOSMemory() {
	w.mu.Lock()
	w.frees++
	w.mu.Unlock()
	w.freed <- struct{}{}
}

func (w *fakeWorld) collect() {
	w.mu.Lock()
	w.cycles++
	w.nonGo, w.debt = w.nonGo-w.debt, 0
	w.clock = w.clock.Add(w.gcTook)
	w.mu.Unlock()
	w.collected <- struct{}{}
}

// A run is a controller whose looks the test makes.
type run struct {
	*testing.T
	w      *fakeWorld
	c      *Controller
	events []Event
}

func start(t *testing.T, w *fakeWorld, o Options) *run {
	t.Helper()
	r := &run{T: t, w: w}
	o.OnEvent = func(e Event) { r.events = append(r.events, e) }
	o, err := o.check()
	if err != nil {
		t.Fatal(err)
	}
	if r.c, err = begin(o, w); err != nil {
		t.Fatal(err)
	}
	return r
}

// pass lets time go by, with a look whenever the controller wants one; at each, the world may
// change. What a look starts ends before the time goes on, so that it takes what the world says.
func (r *run) pass(d time.Duration, change func(since time.Duration)) {
	begun := r.w.now()
	for next := r.c.State().Next; ; {
		if r.w.now().Add(next).Sub(begun) > d {
			return
		}
		r.w.advance(next)
		if change != nil {
			change(r.w.now().Sub(begun))
		}
		next = r.c.look()
		for r.underWay() {
			runtime.Gosched()
		}
	}
}

func (r *run) underWay() bool {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	now := r.c.collector.now
	return r.c.freeing || now != nil && now.ended.IsZero()
}

// kinds takes the events there were since the last call.
func (r *run) kinds() string {
	var list []string
	for _, e := range r.events {
		list = append(list, e.Kind.String())
	}
	r.events = nil
	return strings.Join(list, ", ")
}

func (r *run) want(limit int64, kinds string) {
	r.Helper()
	text := fmt.Sprint(r.events)
	if got := r.kinds(); r.w.set != limit || got != kinds {
		r.Errorf("limit %s, events %q, want %s and %q\n%s", size(r.w.set), got, size(limit),
			kinds, text)
	}
}
