package memlimit

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"
)

// Kind says what an [Event] is about. This and everything else the package exports
// exists since cgo_bridge 0.1.0 and needs Go 1.21.
type Kind int

const (
	// Started: the limit was set for the first time.
	Started Kind = iota
	// Lowered: memory that is not Go's leaves less than the limit was.
	Lowered
	// Raised: there has been room for more for some time, or the live heap has outgrown the limit.
	Raised
	// NoRoom: what is not Go's leaves less than Go needs. The limit stays at
	// Figures.Floor, and memory may exceed its bound: raise the bound, or find out
	// what has the rest.
	NoRoom
	// Room: after NoRoom, there is enough again.
	Room
	// Growth: memory that is not Go's grows, and at its present slope leaves less
	// than Go needs within Options.Horizon.
	Growth
	// Returned: debug.FreeOSMemory was called, because Go did not come down to
	// the limit by itself and the headroom was being used.
	Returned
	// Ceiling: the program set a limit itself; it is the upper bound from now on.
	Ceiling
	// Failed: the figures cannot be read. The limit does not change until they can.
	Failed
	// Stopped: the limit is what it was before Start.
	Stopped
	// Collected: runtime.GC was called for C's memory (Options.CollectC), and what is not
	// Go's went down by Freed.
	Collected
)

var kindNames = [...]string{"started", "lowered", "raised", "no room", "room", "growth", "returned",
	"ceiling", "failed", "stopped", "collected"}

// String is a word or two, such as "lowered".
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return kindNames[k]
}

// Figures are what a decision is based on, in bytes.
type Figures struct {
	Limit       int64  // GOMEMLIMIT now; math.MaxInt64: none
	CgroupLimit int64  // the lowest limit of a cgroup that holds here; 0: none
	Bound       string // what decides: "cgroup /path", "Options.Limit", or "" if there is no bound
	BoundLimit  int64  // its limit
	Used        int64  // of BoundLimit, what is used and cannot be reclaimed
	// everything the Go runtime has and has not returned: what a memory limit limits
	Go        int64
	Untouched int64 // of Go, what is not resident, and so not in Used
	NonGo     int64 // Used less the resident part of Go
	Headroom  int64 // what is to stay free of BoundLimit
	Floor     int64 // what Go needs; the limit is not set lower
}

// An Event says what was done, or what is coming, and from which figures.
type Event struct {
	Kind     Kind
	Time     time.Time
	Previous int64 // GOMEMLIMIT before; equals Figures.Limit if it did not change
	Figures
	Slope    float64       // of NonGo, bytes a second; 0: not known, or it does not grow steadily
	TimeLeft time.Duration // Growth: until Go has less than Floor
	Freed    int64         // Collected: what is not Go's went down by so much
	Err      error         // Failed: why
	Reason   string        // a sentence
}

// String is the kind and the reason.
func (e Event) String() string { return e.Kind.String() + ": " + e.Reason }

// level is its level in a log.
func (e Event) level() slog.Level {
	switch e.Kind {
	case NoRoom, Growth, Returned, Failed:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

func (e Event) log(l *slog.Logger) {
	attributes := []slog.Attr{
		slog.String("reason", e.Reason), slog.Int64("limit", e.Limit),
		slog.Int64("previous", e.Previous),
		slog.String("bound", e.Bound), slog.Int64("bound_limit", e.BoundLimit),
		slog.Int64("used", e.Used),
		slog.Int64("non_go", e.NonGo), slog.Int64("go", e.Go), slog.Int64("floor", e.Floor),
		slog.Int64("headroom", e.Headroom),
	}
	if e.Kind == Growth {
		attributes = append(attributes, slog.Float64("bytes_per_second", e.Slope),
			slog.Duration("time_left", e.TimeLeft))
	}
	if e.Kind == Collected {
		attributes = append(attributes, slog.Int64("freed", e.Freed))
	}
	l.LogAttrs(context.Background(), e.level(), "memory limit "+e.Kind.String(), attributes...)
}

// size is for people: 512.0 MiB.
func size(n int64) string {
	if n == math.MaxInt64 {
		return "none"
	}
	v, unit := float64(n), "B"
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if math.Abs(v) < 1024 {
			break
		}
		v, unit = v/1024, u
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, unit)
}
