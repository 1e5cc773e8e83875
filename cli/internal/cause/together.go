package cause

import (
	"fmt"
	"math"

	"cgoheap.example/cli/internal/drift"
)

const (
	togetherSeconds = 30 // of the segments whose changes are compared
	// Two changes that begin so near each other happen together.
	sameTime = 60
)

// together says which series from elsewhere changed with the growth; "" where none did.
func (w *Watcher) together(g growth) string {
	said := ""
	for _, name := range w.externals() {
		if t := drift.TogetherOf(w.points(g.name), w.points(name), togetherSeconds); t.Strong() {
			said = joined(said, fmt.Sprintf("It grew when %s did: rank correlation %.2f over %d "+
				"changes of %d s.", label(name), t.Rank, t.N, togetherSeconds))
			continue
		}
		if t := drift.FollowsOf(w.points(g.name), w.points(name), togetherSeconds); t.Strong() {
			said = joined(said, fmt.Sprintf("It grew faster when %s was high: rank correlation "+
				"%.2f over %d changes of %d s.", label(name), t.Rank, t.N, togetherSeconds))
			continue
		}
		if at := changed(w.State(name)); math.Abs(at-g.state.Since) <= sameTime {
			said = joined(said, fmt.Sprintf("%s rose at the same time, at %s.",
				upperFirst(label(name)), w.clock(at)))
		}
	}
	return said
}

// changed is when a series began to grow, or rose; NaN: it did not.
func changed(s drift.State) float64 {
	switch s.Shape {
	case drift.Growing:
		return s.Since
	case drift.Stepped:
		return s.Step.Seconds
	}
	return math.NaN()
}

// grownMost is the owner's figure that grew most since then.
func (w *Watcher) grownMost(since float64) (name string, grew float64) {
	for figure := range w.detectors {
		if ownerOf(figure) == "" {
			continue
		}
		if n := w.rise(figure, since); n > grew {
			name, grew = figure, n
		}
	}
	return name, grew
}
