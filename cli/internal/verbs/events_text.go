package verbs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"cgoheap.example/cli/internal/stacks"
	"cgoheap.example/cli/internal/termtext"
)

// event has the members that the text shows.
type event struct {
	Kind        string
	Wall        string
	Thread      int64
	Size        int64
	Estimated   int64 `json:"estimated_bytes"`
	Stack       string
	Frames      []eventFrame
	Again       bool
	AgeNS       int64 `json:"age_ns"`
	State       string
	SampleBytes uint64 `json:"sample_bytes"`
	Cycles      *int64
	PauseNS     *int64 `json:"pause_ns"`
	LiveBytes   *int64 `json:"heap_live_bytes"`
	GoalBytes   *int64 `json:"heap_goal_bytes"`
	Account     struct {
		RSS int64 `json:"rss_bytes"`
	}
	AllocBytes   int64 `json:"alloc_bytes"`
	AllocObjects int64 `json:"alloc_objects"`
	FreeBytes    int64 `json:"free_bytes"`
	FreeObjects  int64 `json:"free_objects"`
	Count        int64
}

// eventsText makes lines for people.
type eventsText struct {
	names   map[string]string // of stacks: the Go caller and the C leaf
	callers stacks.CallerRule
}

func newEventsText() *eventsText { return &eventsText{names: map[string]string{}} }

// mostNames bounds what is kept; a process that makes more stacks is one to sample less.
const mostNames = 100_000

func (x *eventsText) name(e *event) string {
	var names []string
	for _, f := range e.Frames {
		names = append(names, cmp.Or(f.Function, "?"))
	}
	frames := stacks.Named(names)
	caller, leaf := x.callers.UserCaller(frames), stacks.CLeaf(frames)
	return termtext.Escape(strings.TrimSpace(caller + "  " + leaf))
}

// of returns the line for one event; "" for what is only there to be looked up.
func (x *eventsText) of(line []byte) []byte {
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		return nil
	}
	if e.Kind == "stack" {
		if len(x.names) >= mostNames {
			clear(x.names)
		}
		x.names[e.Stack] = x.name(&e)
		return nil
	}
	text := x.text(&e)
	if text == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339Nano, e.Wall)
	if err != nil {
		return nil
	}
	return []byte(at.Local().Format("15:04:05.000") + "  " + text + "\n")
}

func (x *eventsText) text(e *event) string {
	what := cmp.Or(x.names[e.Stack], "stack "+termtext.Escape(e.Stack))
	switch e.Kind {
	case "alloc":
		if e.Again {
			return fmt.Sprintf("%-7s %10s  the realloc failed: still there", "kept", stood(e))
		}
		return fmt.Sprintf("%-7s %10s  thread %d  %s", e.Kind, stood(e), e.Thread, what)
	case "free":
		return fmt.Sprintf("%-7s %10s  thread %d  %s, held for %s", e.Kind, stood(e), e.Thread,
			what, termtext.Duration(time.Duration(e.AgeNS)))
	case "go":
		return fmt.Sprintf("%-7s %10s  in %s, %s freed: %s", "go", termtext.Bytes(e.AllocBytes),
			termtext.CountOf(int(e.AllocObjects), "object", "objects"),
			termtext.Bytes(e.FreeBytes), what)
	case "gc":
		return fmt.Sprintf("%-7s %10s  live, goal %s, %s", "gc", termtext.BytesOrDash(e.LiveBytes),
			termtext.BytesOrDash(e.GoalBytes), cyclesOf(e))
	case "account":
		return fmt.Sprintf("%-7s %10s  RSS", "account", termtext.Bytes(e.Account.RSS))
	case "sampling":
		if e.State == "dormant" {
			return "sampling is off: no allocation is an event until cgoheap sampling PID on"
		}
		return "sampling " + termtext.Interval(e.SampleBytes)
	case "lost":
		return fmt.Sprintf("lost    %10s  this reader was too slow", termtext.Count(e.Count))
	}
	return ""
}

// stood is what the sample stands for.
func stood(e *event) string {
	return termtext.Estimate(termtext.Bytes(e.Estimated), e.Estimated != e.Size)
}

func cyclesOf(e *event) string {
	if e.Cycles == nil || e.PauseNS == nil {
		return "cycles not known"
	}
	return fmt.Sprintf("%s, paused for %s", termtext.CountOf(int(*e.Cycles), "cycle", "cycles"),
		time.Duration(*e.PauseNS).Round(time.Microsecond))
}
