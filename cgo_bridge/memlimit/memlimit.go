package memlimit

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Options for [Start]. The zero value is fine for a program in a container.
type Options struct {
	// Limit is a limit on this process alone, in bytes, besides the cgroup's.
	// 0: only the cgroup's limit counts.
	Limit int64

	// Headroom is the part of a limit that has to stay free, in bytes. 0: HeadroomShare decides.
	Headroom int64
	// HeadroomShare is the headroom as a share of the limit, less than 1, but at least
	// 16 MiB (a quarter of a limit below 64 MiB). 0: 0.05.
	HeadroomShare float64

	// Floor is the least that Go needs, in bytes: the limit is not set lower, and not
	// lower than the live heap needs by the runtime's figures.
	Floor int64

	// Interval is the time between two looks when nothing happens. 0: 3 s. The
	// time before a raise (10 intervals) and that of the trend (100) follow it.
	Interval time.Duration

	// Horizon is how far ahead Growth looks. 0: 10 min; negative: no Growth events.
	Horizon time.Duration

	// CollectC has Go collect for C's memory: what finalizers and cleanups free waits for
	// a collection, and Go counts a few bytes of each block. If less than twice the headroom
	// is left, or what is left would be gone in 2 s, and what is not Go's has grown by half
	// of the headroom and by a tenth since the last collection, runtime.GC is called, and
	// an event says what came of it ([Collected]). The next call comes after a second at
	// the earliest, and after 20 times as long as the last one took; a call that brings back
	// less than a quarter of that growth doubles the second, up to 10 min.
	CollectC bool
	// Debt, if not nil, is asked before each such call how much C memory waits for a
	// collection: cgo_bridge.Debt, which needs the preloaded library. If that is known and
	// less than the growth would have to be, there is no call. Without it the growth decides.
	Debt func() (bytes int64, known bool)

	// Logger gets each event, if it is not nil: at level Warn what needs attention
	// (NoRoom, Growth, Returned, Failed), at Info the rest.
	Logger *slog.Logger

	// OnEvent, if not nil, is called with each event: the first ones by Start, Stopped by
	// Stop (perhaps while another call is still running), the others by the controller's
	// goroutine. That goroutine does not look during a call, so OnEvent should not block.
	// It may call State and Stop.
	OnEvent func(Event)
}

const (
	defaultInterval = 3 * time.Second
	defaultHorizon  = 10 * time.Minute
	defaultHeadroom = 0.05
	headroomLeast   = 16 << 20
	headroomMost    = 4 // of a small limit, a quarter is enough
)

var (
	// ErrNoLimit: there is nothing to follow. Test with [errors.Is].
	ErrNoLimit = errors.New("memlimit: no memory cgroup of this process has a limit, and none " +
		"is given: " +
		"run it in a container or unit with a memory limit, or set Options.Limit")

	// ErrRunning: Start was called twice. Two controllers would undo each other's limit.
	ErrRunning = errors.New("memlimit: already running in this process: call Stop of that " +
		"Controller first, or call Start only once")
)

func (o Options) check() (Options, error) {
	bad := func(name string, value any, want string) (Options, error) {
		return o, fmt.Errorf("memlimit: invalid Options.%s %v: expected %s", name, value, want)
	}
	switch {
	case o.Limit < 0:
		return bad("Limit", o.Limit, "a number of bytes, or 0 for the cgroup's limit only")
	case o.Headroom < 0:
		return bad("Headroom", o.Headroom, "a number of bytes, or 0 for a share of the limit")
	case !(o.HeadroomShare >= 0 && o.HeadroomShare < 1):
		return bad("HeadroomShare", o.HeadroomShare, "at least 0 and less than 1, such as 0.05")
	case o.Floor < 0:
		return bad("Floor", o.Floor, "a number of bytes, or 0")
	case o.Interval < 0:
		return bad("Interval", o.Interval, "a time, or 0 for 3s")
	}
	if o.HeadroomShare == 0 {
		o.HeadroomShare = defaultHeadroom
	}
	if o.Interval == 0 {
		o.Interval = defaultInterval
	}
	if o.Horizon == 0 {
		o.Horizon = defaultHorizon
	}
	return o, nil
}

func (o *Options) headroom(limit int64) int64 {
	if o.Headroom > 0 {
		return o.Headroom
	}
	return max(int64(o.HeadroomShare*float64(limit)), min(headroomLeast, limit/headroomMost))
}

// A world is what a controller lives in: the system, or that of a test.
type world interface {
	now() time.Time
	golang() goFigures
	bounds() ([]bound, error)
	residentHeap() (resident, seen int64)
	setLimit(int64) int64 // of debug.SetMemoryLimit: negative asks only
	freeOSMemory()
	collect()
}

// A Controller sets the memory limit until it is stopped. Its methods are safe for
// use by several goroutines.
type Controller struct {
	world world
	opts  Options
	quit  chan struct{}

	mu        sync.Mutex // what follows; never held while events are told
	policy    *policy
	state     State
	stopped   bool
	untouched int64
	counted   time.Time     // when pages were counted last
	counting  time.Duration // that took so long
	paid      time.Time     // until when the share of the CPU for that is used up
	freeing   bool
	collector collector
}

// State is what a controller knows and does.
type State struct {
	Figures
	Time time.Time     // of the last look
	Took time.Duration // that look
	Next time.Duration // until the next one
	// of NonGo, bytes a second; 0: it does not grow steadily, or is not known yet
	Slope float64
	// what Stop restores: the limit before Start, or the program's own since; math.MaxInt64: none
	Previous int64
	NoRoom   bool // as by the events NoRoom and Room
	// A collection by Options.CollectC has begun, and Collected has not been told yet.
	Collecting bool
	Stopped    bool
	Err        error // why the figures of the last look could not be read
}

var running atomic.Bool

// Start sets the limit and goes on to do so, in a goroutine, until Stop. The error
// is ErrNoLimit, ErrRunning, about an option, or about a file below /proc or the
// cgroup that cannot be read; then nothing was set and nothing runs.
func Start(opts Options) (*Controller, error) {
	opts, err := opts.check()
	if err != nil {
		return nil, err
	}
	if !running.CompareAndSwap(false, true) {
		return nil, ErrRunning
	}
	inHeap = new([64]byte)
	c, err := begin(opts, newSystem(opts.Limit))
	if err != nil {
		running.Store(false)
		return nil, err
	}
	go c.run(c.state.Next)
	return c, nil
}

func begin(opts Options, w world) (*Controller, error) {
	bounds, err := w.bounds()
	if err != nil {
		return nil, fmt.Errorf("memlimit: cannot read memory usage: %w", err)
	}
	if len(bounds) == 0 {
		return nil, ErrNoLimit
	}
	c := &Controller{world: w, opts: opts, quit: make(chan struct{}),
		policy: newPolicy(opts, w.setLimit(-1))}
	c.look()
	return c, nil
}

func (c *Controller) run(wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-c.quit:
			return
		case <-timer.C:
			timer.Reset(c.look())
		}
	}
}

// look reads, decides and sets; the time until the next one.
func (c *Controller) look() time.Duration {
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return c.opts.Interval
	}
	events := c.lookLocked()
	next := c.state.Next
	c.mu.Unlock()
	c.tell(events)
	return next
}

func (c *Controller) lookLocked() (events []Event) {
	p, begun := c.policy, c.world.now()
	m := measurement{at: begun, golang: c.world.golang()}
	bounds, err := c.world.bounds()
	if err != nil {
		return c.failed(begun, err)
	}
	m.bounds = bounds
	events = c.foreign(begun)
	m.untouched = min(c.untouched, m.golang.held)
	if c.mayCount(begun) && (begun.Sub(c.counted) >= c.opts.Interval || p.changes(&m)) {
		m.untouched = m.golang.untouched(c.world.residentHeap())
		c.didCount(begun, m.untouched)
	}
	figures, more := p.step(&m)
	events = append(events, more...)
	c.world.setLimit(p.limit)
	if p.mustFree(&figures) && !c.freeing {
		events = append(events, c.free(begun, figures))
	}
	events = append(events, c.collectForC(begun, &figures, m.golang.cycles)...)
	took := c.world.now().Sub(begun)
	next := p.pace(took)
	if c.counted == begun {
		next = p.pace(took - c.counting)
	}
	c.state = State{Figures: figures, Time: begun, Took: took, Next: next, Slope: p.trend.slope(),
		Previous: p.ceiling, NoRoom: p.lacking, Collecting: c.collector.now != nil}
	return events
}

// mayCount: pages are not counted more often than their share of the CPU allows, over
// some time: several times in a row they may be, since a change that is decided by
// an old count may be wrong.
func (c *Controller) mayCount(at time.Time) bool {
	return c.paid.Sub(at) <= countBurst*lookShare*c.counting
}

func (c *Controller) didCount(begun time.Time, untouched int64) {
	c.untouched, c.counted, c.counting = untouched, begun, c.world.now().Sub(begun)
	if c.paid.Before(begun) {
		c.paid = begun
	}
	c.paid = c.paid.Add(lookShare * c.counting)
}

func (c *Controller) failed(at time.Time, err error) (events []Event) {
	if c.state.Err == nil {
		events = []Event{{Kind: Failed, Time: at, Previous: c.state.Limit, Figures: c.state.Figures,
			Err:    err,
			Reason: fmt.Sprintf("cannot read memory usage, GOMEMLIMIT stays unchanged: %v", err)}}
	}
	c.state.Time, c.state.Err, c.state.Next = at, err, c.opts.Interval
	return events
}

// foreign: another hand has set the limit since, which is the program's own business and an upper
// bound.
func (c *Controller) foreign(at time.Time) []Event {
	p := c.policy
	now := c.world.setLimit(-1)
	if !p.begun || now == p.limit {
		return nil
	}
	ours := p.limit
	p.ceiling, p.limit, c.state.Limit = now, now, now
	p.recent = lowest{width: p.hold}
	f := c.state.Figures
	return []Event{{Kind: Ceiling, Time: at, Previous: ours, Figures: f,
		Reason: fmt.Sprintf("the program set GOMEMLIMIT to %s itself: that is the upper bound now",
			size(now))}}
}

// free has Go return what it can, beside the looks, which go on.
func (c *Controller) free(at time.Time, f Figures) Event {
	c.freeing = true
	c.policy.freeing(at)
	go func() {
		begun := c.world.now()
		c.world.freeOSMemory()
		ended := c.world.now()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.freeing = false
		c.policy.freed(ended, ended.Sub(begun))
	}()
	return Event{Kind: Returned, Time: at, Previous: f.Limit, Figures: f,
		Slope: c.policy.trend.slope(),
		Reason: fmt.Sprintf("Go has %s and does not come down to its limit of %s by itself, and "+
			"of %s of %s only %s is left: debug.FreeOSMemory",
			size(f.Go), size(f.Limit), size(f.BoundLimit), f.Bound, size(f.BoundLimit-f.Used))}
}

func (c *Controller) tell(events []Event) {
	for _, e := range events {
		if c.opts.Logger != nil {
			e.log(c.opts.Logger)
		}
		if c.opts.OnEvent != nil {
			c.opts.OnEvent(e)
		}
	}
}

// State is as of the last look.
func (c *Controller) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Stop restores the limit that was before Start, or that the program has set itself
// since; after it the controller sets none any more. It does not wait for a call of OnEvent that is
// under way, and may be called from there, and more than once.
func (c *Controller) Stop() {
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return
	}
	c.stopped, c.state.Stopped = true, true
	close(c.quit)
	events := c.foreign(c.world.now())
	ours := c.policy.limit
	c.world.setLimit(c.policy.ceiling)
	c.state.Limit = c.policy.ceiling
	events = append(events, Event{Kind: Stopped, Time: c.world.now(), Previous: ours,
		Figures: c.state.Figures,
		Reason:  fmt.Sprintf("GOMEMLIMIT is %s again", size(c.policy.ceiling))})
	running.Store(false)
	c.mu.Unlock()
	c.tell(events)
}

// system is the world of a real controller.
type system struct {
	cgroups hierarchy
	limit   int64 // given; 0: none
}

// newSystem: without a cgroup, a given limit is enough.
func newSystem(limit int64) *system {
	h, err := findHierarchy("")
	if err != nil {
		h = hierarchy{}
	}
	return &system{h, limit}
}

func (s *system) now() time.Time                       { return time.Now() }
func (s *system) golang() goFigures                    { return readGo() }
func (s *system) residentHeap() (resident, seen int64) { return residentHeap() }
func (s *system) setLimit(n int64) int64               { return debug.SetMemoryLimit(n) }
func (s *system) freeOSMemory()                        { debug.FreeOSMemory() }
func (s *system) collect()                             { runtime.GC() }

func (s *system) bounds() ([]bound, error) {
	list, err := s.cgroups.bounds()
	if err != nil || s.limit == 0 {
		return list, err
	}
	used, err := processUsed(s.cgroups.root)
	return append(list, bound{name: "Options.Limit", limit: min(s.limit, math.MaxInt64/2),
		used: used}), err
}
