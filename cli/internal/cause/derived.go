package cause

import (
	"maps"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/series"
)

// Figures that rules need and that follow from others; they are in no recording.
const (
	goFree    = "go_free_bytes"    // resident memory of Go's heap that is not in use
	pauseEach = "gc_pause_each_ns" // mean pause of the cycles of the last minute
)

// pauses keeps the totals of a minute, from which the mean pause follows.
type pauses struct {
	at     float64
	pause  float64
	cycles float64
	each   float64 // 0: not known yet
}

// derived is the row with what follows from it.
func (w *Watcher) derived(row series.Row) series.Row {
	row.Values = maps.Clone(row.Values)
	if resident, ok := row.Value(series.OwnerName(account.GoHeap)); ok {
		if inUse, ok := row.Value(series.GoInUse); ok {
			row.Set(goFree, max(0, resident-inUse))
		}
	}
	pause, havePause := row.Value(series.GCPause)
	cycles, haveCycles := row.Value(series.GCCycles)
	if havePause && haveCycles {
		w.pauses.add(row.Seconds(), pause, cycles)
		if w.pauses.each > 0 {
			row.Set(pauseEach, w.pauses.each)
		}
	}
	return row
}

func (p *pauses) add(at, pause, cycles float64) {
	const minute, leastCycles = 60, 3
	switch {
	case p.at == 0 || cycles < p.cycles || pause < p.pause: // the first, or another process
		*p = pauses{at: at, pause: pause, cycles: cycles}
	case at-p.at >= minute && cycles-p.cycles >= leastCycles:
		*p = pauses{at, pause, cycles, (pause - p.pause) / (cycles - p.cycles)}
	}
}
