package memlimit

import (
	"fmt"
	"time"
)

const (
	collectNear     = 2                // times the headroom: less is left
	collectAhead    = 2                // seconds, at the present speed
	collectWorth    = 2                // of the headroom, a half has come since the last one
	collectPart     = 10               // of what is not Go's, a tenth has
	collectLittle   = 4                // of that, a quarter came back
	collectRest     = time.Second      // until the next
	collectMost     = 10 * time.Minute // twice as long after each of which little came
	collectShare    = 20               // and this many times as long as one took
	collectSettle   = 200 * time.Millisecond
	collectPatience = 30 * time.Second // for finalizers that still free
)

// A collector decides when a collection is worth its time for C's memory: finalizers and cleanups
// then free what Go counts with a few bytes each.
type collector struct {
	bound  string
	cycles int64 // collections so far, as of the last look
	lowest int64 // of what is not Go's, since the last collection
	rest   time.Duration
	noMore time.Time // until then
	now    *collection
}

// A collection is one that was asked for, until it is known what came of it.
type collection struct {
	before  Figures
	grown   int64     // what is not Go's, since the collection before
	ended   time.Time // zero: it is under way
	took    time.Duration
	skipped bool  // the debt was small
	lowest  int64 // of what is not Go's, since it ended
}

// see follows what is not Go's from one collection to the next.
func (k *collector) see(f *Figures, cycles int64) {
	if k.bound != f.Bound || k.cycles != cycles {
		k.bound, k.cycles, k.lowest = f.Bound, cycles, f.NonGo
	}
	k.lowest = min(k.lowest, f.NonGo)
}

// wants: there is little room left, and much has come since the last collection.
func (k *collector) wants(at time.Time, f *Figures, gap int64, speed float64) bool {
	isNear := gap < collectNear*f.Headroom || float64(gap) < collectAhead*speed
	return f.Bound != "" && isNear && k.now == nil && !at.Before(k.noMore) &&
		f.NonGo-k.lowest >= worthOf(f)
}

// worthOf is what waits at least for a collection that is worth its time.
func worthOf(f *Figures) int64 { return max(1, f.Headroom/collectWorth, f.NonGo/collectPart) }

func (k *collector) begin(f *Figures) *collection {
	k.now = &collection{before: *f, grown: f.NonGo - k.lowest, lowest: f.NonGo}
	return k.now
}

// settle says what came of a collection; nil: there was none, or it still frees.
func (k *collector) settle(at time.Time, f *Figures) *Event {
	c := k.now
	if c == nil || c.ended.IsZero() {
		return nil
	}
	falls, since := f.NonGo < c.lowest, at.Sub(c.ended)
	c.lowest = min(c.lowest, f.NonGo)
	if !c.skipped && (since < collectSettle || falls && since < collectPatience) {
		return nil
	}
	k.now = nil
	freed := c.before.NonGo - c.lowest
	if freed >= c.grown/collectLittle {
		k.rest = collectRest
	} else {
		k.rest = min(2*max(k.rest, collectRest), collectMost)
	}
	wait := max(k.rest, collectShare*c.took)
	k.noMore = at.Add(wait)
	if c.skipped {
		return nil
	}
	return &Event{Kind: Collected, Time: at, Previous: f.Limit, Figures: *f, Freed: freed,
		Reason: fmt.Sprintf("of %s of %s only %s was left, and what is not Go's had grown by %s "+
			"since the last collection: runtime.GC took %s, and %s came back; the next not "+
			"before %s", size(c.before.BoundLimit), c.before.Bound,
			size(c.before.BoundLimit-c.before.Used), size(c.grown),
			c.took.Round(time.Millisecond), size(freed), wait.Round(time.Millisecond))}
}

// collect runs a collection beside the looks, which go on.
func (c *Controller) collect(now *collection) {
	go func() {
		if debt := c.opts.Debt; debt != nil {
			bytes, isKnown := debt()
			now.skipped = isKnown && bytes < worthOf(&now.before)
		}
		begun := c.world.now()
		if !now.skipped {
			c.world.collect()
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		now.ended = c.world.now()
		now.took = now.ended.Sub(begun)
	}()
}

// collectForC is the part of a look that is about C's memory.
func (c *Controller) collectForC(at time.Time, f *Figures, cycles int64) (events []Event) {
	k, p := &c.collector, c.policy
	if !c.opts.CollectC {
		return nil
	}
	k.see(f, cycles)
	if e := k.settle(at, f); e != nil {
		events = append(events, *e)
	}
	if !c.freeing && k.wants(at, f, p.lastGap, p.speed) {
		c.collect(k.begin(f))
	}
	return events
}
