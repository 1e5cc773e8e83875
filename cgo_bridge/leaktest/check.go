package leaktest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"cgoheap.example/cgo_bridge"
	"cgoheap.example/cgo_bridge/leaktest/suppress"
)

// A check is one comparison, from begin to end.
type check struct {
	name    string // of the test; "" of Main, around all others
	label   string // unique; the label's value
	options *options
	status  *cgo_bridge.LibraryStatus // at the begin

	// The registry's lock protects these.
	before       snapshot
	isOverlapped bool // by a check that is neither around it nor within it

	leaks        []*held // largest first
	unattributed held    // only amounts
	unknown      string  // why it cannot be told; "" it can
}

// registry has the checks that have begun and not ended, and the labels of the rest.
var registry = struct {
	sync.Mutex
	active map[*check]bool
	byName map[string]string // of every label that was given out, its check's name
	count  int
}{active: map[*check]bool{}, byName: map[string]string{}}

// maxLabelName: the library keeps the begin of a long label.
const maxLabelName = 40

func begin(name string, o *options) *check {
	c := &check{name: name, options: o}
	registry.Lock()
	defer registry.Unlock()
	registry.count++
	short := name
	if len(short) > maxLabelName {
		short = strings.ToValidUTF8(short[:maxLabelName], "")
	}
	c.label = fmt.Sprintf("%d %s", registry.count, short)
	registry.byName[c.label] = name
	for other := range registry.active {
		if !isWithin(name, other.name) && !isWithin(other.name, name) {
			c.isOverlapped, other.isOverlapped = true, true
		}
	}
	registry.active[c] = true
	return c
}

// isWithin: a subtest's name begins with that of the test around it.
func isWithin(name, around string) bool {
	return around == "" || name == around || strings.HasPrefix(name, around+"/")
}

func (c *check) forget() {
	registry.Lock()
	defer registry.Unlock()
	delete(registry.active, c)
}

func (c *check) takeBefore() error {
	err := settle()
	if err == nil {
		c.status, err = cgo_bridge.Status(context.Background())
	}
	var before snapshot
	if err == nil {
		before, err = takeSnapshot()
	}
	registry.Lock()
	defer registry.Unlock()
	c.before = before
	return err
}

const (
	firstPause = 5 * time.Millisecond
	mostPause  = 250 * time.Millisecond
)

// end compares until nothing is held, or the time to wait is over.
func (c *check) end(isParallel bool) {
	deadline := time.Now().Add(c.options.wait)
	var after snapshot
	err := settle()
	for pause := firstPause; err == nil; pause = min(2*pause, mostPause) {
		if after, err = takeSnapshot(); err != nil {
			break
		}
		c.compare(after, isParallel)
		if c.bytes() <= c.options.limit || time.Now().After(deadline) {
			break
		}
		time.Sleep(pause)
		err = settle()
	}
	if err != nil {
		c.unknown = err.Error()
	} else {
		c.unknown = c.whatWasMissed(isParallel)
	}
	c.handOn(after, isParallel)
}

// whose a stack's memory is, by its label.
type whose int

const (
	ours    whose = iota // the test's, or of a subtest
	others               // of another check
	nobodys              // no label, or that of a check that has ended
)

// whoseIs holds the registry's lock.
func (c *check) whoseIs(label string) whose {
	name, isKnown := registry.byName[label]
	switch {
	case label == c.label, isKnown && isWithin(name, c.name):
		return ours
	case isKnown:
		for other := range registry.active {
			if other.label == label {
				return others
			}
		}
	}
	return nobodys
}

// compare finds what has grown.
func (c *check) compare(after snapshot, isParallel bool) {
	registry.Lock()
	defer registry.Unlock()
	c.leaks, c.unattributed = nil, held{}
	for key, h := range after {
		grown := &held{bytes: h.bytes, blocks: h.blocks, origin: h.origin, stack: h.stack}
		if b := c.before[key]; b != nil {
			grown.bytes, grown.blocks = h.bytes-b.bytes, h.blocks-b.blocks
		}
		owner := c.whoseIs(h.label)
		if grown.bytes <= 0 || owner == others || c.isIgnored(h.stack) {
			continue
		}
		if owner == nobodys && (isParallel || c.isOverlapped) {
			c.unattributed.bytes += grown.bytes
			c.unattributed.blocks += grown.blocks
			continue
		}
		c.leaks = append(c.leaks, grown)
	}
}

func suppressFrames(stack []frame) []suppress.Frame {
	frames := make([]suppress.Frame, len(stack))
	for i := range stack {
		frames[i] = stack[i].Frame
	}
	return frames
}

func (c *check) isIgnored(stack []frame) bool {
	frames := suppressFrames(stack)
	return suppress.IsStartup(frames) || c.options.ignored.Match(frames) != nil ||
		c.options.defaults.Match(frames) != nil
}

// handOn makes what this check has judged the baseline of the checks around it.
func (c *check) handOn(after snapshot, isParallel bool) {
	registry.Lock()
	defer registry.Unlock()
	delete(registry.active, c)
	for around := range registry.active {
		if !isWithin(c.name, around.name) {
			continue
		}
		for key, h := range after {
			owner := c.whoseIs(h.label)
			if owner == ours || owner == nobodys && !isParallel && !c.isOverlapped {
				around.before[key] = h
			}
		}
	}
}

func (c *check) bytes() (sum int64) {
	for _, h := range c.leaks {
		sum += h.bytes
	}
	return sum
}

// ---- what the library has not seen ----

var exact sync.Mutex

// switchTime is what threads may take to follow a change of the interval.
const switchTime = 1100 * time.Millisecond

// prepare makes the library record every allocation. An error says why nothing can be known.
func prepare(ctx context.Context) error {
	exact.Lock()
	defer exact.Unlock()
	s, err := cgo_bridge.Status(ctx)
	if err != nil {
		return err
	}
	if s.State == "sampling" && s.ConfiguredSampleBytes == 1 && s.RemainingNS == nil {
		return nil
	}
	_, err = cgo_bridge.Sampling(ctx, cgo_bridge.SamplingOptions{
		Switch: cgo_bridge.SamplingOn, SampleBytes: 1})
	if err == nil {
		time.Sleep(switchTime)
	}
	return err
}

// whatWasMissed is a sentence, or "" if every allocation of the test was recorded.
func (c *check) whatWasMissed(isParallel bool) string {
	s, err := cgo_bridge.Status(context.Background())
	if err != nil {
		return err.Error()
	}
	grown := func(reason string) int64 { return s.Dropped[reason] - c.status.Dropped[reason] }
	switch {
	case s.State != "sampling" || s.SampleBytes != 1:
		return "sampling was turned off or made coarser meanwhile (CGOHEAP_MAX_CPU, or the program)"
	case grown("live_full") > 0:
		return "there was no room to record every block: raise CGOHEAP_MAX_MEMORY (--max-memory)"
	case grown("reentered")+grown("no_stack") > 0:
		return "some calls could not be recorded"
	case isParallel && grown("labels") > 0:
		return "there was no room for goroutine labels, which tell parallel tests apart"
	case isParallel && strings.HasPrefix(s.GoroutineLabels, "unknown"):
		return "goroutine labels, which tell parallel tests apart, cannot be read: " +
			s.GoroutineLabels
	}
	return ""
}
