package memlimit

import "runtime/metrics"

// goFigures is what the runtime says of itself, in bytes but for the last.
type goFigures struct {
	held     int64 // all it has, less released: what a memory limit bounds
	spans    int64 // of held, what is in the heap's arenas: objects, gaps, free, stacks
	released int64 // of the arenas, returned to the system
	live     int64 // objects that the last collection found; 0 before the first
	unused   int64 // gaps in spans that have objects
	stacks   int64 // of goroutines
	goal     int64 // the heap at which the next collection is to end
	cycles   int64 // collections so far
}

// Their order is that of readGo.
var goMetrics = []string{
	"/memory/classes/total:bytes",
	"/memory/classes/heap/released:bytes",
	"/memory/classes/heap/objects:bytes",
	"/memory/classes/heap/unused:bytes",
	"/memory/classes/heap/free:bytes",
	"/memory/classes/heap/stacks:bytes",
	"/gc/heap/live:bytes",
	"/gc/heap/goal:bytes",
	"/gc/cycles/total:gc-cycles",
}

func readGo() goFigures {
	samples := make([]metrics.Sample, len(goMetrics))
	for i, name := range goMetrics {
		samples[i].Name = name
	}
	metrics.Read(samples)
	n := func(i int) int64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return int64(samples[i].Value.Uint64())
	}
	return goFigures{
		held: n(0) - n(1), released: n(1), spans: n(2) + n(3) + n(4) + n(5), unused: n(3),
		stacks: n(5), live: n(6), goal: n(7), cycles: n(8),
	}
}

const (
	floorLeast  = 8 << 20
	floorMargin = 4 // of the live heap, a quarter: as GOGC=25 leaves
)

// floor is what Go needs to get on without collecting all the time. Gaps count
// only as far as there is something live beside them: those of a heap that shrinks go.
func (g goFigures) floor() int64 {
	return max(floorLeast, g.live+g.live/floorMargin+min(g.unused, g.live)+g.stacks+g.tables())
}

// growth is what the runtime may take more, without a collection on the way, under a limit.
func (g goFigures) growth(limit int64) int64 {
	return max(0, min(limit, g.goal+g.unused+g.stacks+g.tables())-g.held)
}

// tables is what the runtime has outside of the arenas.
func (g goFigures) tables() int64 { return max(0, g.held-g.spans) }

// untouched is what of held is not resident, by what of the arenas is. seen is how
// much of the arenas was looked at, released memory included; what was not seen is
// taken to be resident. The runtime's tables follow the heap they are for.
func (g goFigures) untouched(resident, seen int64) int64 {
	if g.spans <= 0 {
		return 0
	}
	missed := max(0, g.spans+g.released-seen)
	n := min(g.spans, max(0, g.spans-resident-missed))
	return n + int64(float64(n)/float64(g.spans)*float64(g.tables()))
}
