package verbs

import (
	"fmt"
	"time"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/program"
	"cgoheap.example/cli/internal/termtext"
)

// headline names the process and says how its library is.
func headline(s *attach.Status, p *attach.Process) string {
	state := termtext.Escape(s.State) + " " + termtext.Interval(s.SampleBytes)
	if s.RemainingNS != nil && *s.RemainingNS > 0 {
		state += " for " + termtext.Duration(time.Duration(*s.RemainingNS).Round(time.Second)) +
			" more"
	}
	return fmt.Sprintf("%s (%d)  %s  up %s", p.Program(), p.PID, state,
		termtext.Duration(time.Duration(s.UptimeNS)))
}

// cautions are what a reader has to know before any figure.
func cautions(s *attach.Status, pid int) []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	off := termtext.Duration(time.Duration(s.OffNS))
	switch {
	case s.State == "dormant":
		sampled := ""
		if on := s.UptimeNS - s.OffNS; s.OffNS > 0 && on >= int64(time.Second) {
			sampled = fmt.Sprintf(" (it sampled for %s of %s)",
				termtext.Duration(time.Duration(on)), termtext.Duration(time.Duration(s.UptimeNS)))
		}
		add("dormant: new allocations are not recorded%s; cgoheap sampling %d on", sampled, pid)
	case s.OffNS > 0 && s.OffNS >= s.UptimeNS/100 && s.OnNS != nil:
		add("sampling began %s ago, and was off for %s of %s: what was allocated then is "+
			"not recorded",
			termtext.Duration(time.Duration(*s.OnNS)), off,
			termtext.Duration(time.Duration(s.UptimeNS)))
	case s.OffNS > 0 && s.OffNS >= s.UptimeNS/100:
		add("sampling was off for %s of %s: what was allocated then is not recorded", off,
			termtext.Duration(time.Duration(s.UptimeNS)))
	}
	if s.State != "dormant" && s.ConfiguredSampleBytes > 0 &&
		s.SampleBytes > s.ConfiguredSampleBytes {
		why := ""
		if s.Overhead != nil && s.Overhead.RaisedFor != nil {
			why = ", to limit its use of " + termtext.Escape(*s.Overhead.RaisedFor)
		}
		add("sampling is coarser than requested: %s, not %s%s", termtext.Interval(s.SampleBytes),
			termtext.Interval(s.ConfiguredSampleBytes), why)
	}
	if n := s.DroppedSamples(); n > 0 {
		add("%s: figures are too low; cgoheap doctor %d says why",
			termtext.CountOf(int(n), "sample was dropped", "samples were dropped"), pid)
	}
	if n := s.Dropped[attach.MissedFree]; n > 0 {
		add("%s: some of the blocks may be freed", termtext.CountOf(int(n), "free was missed",
			"frees were missed"))
	}
	if program.ExportsMalloc(attach.ProcPath(pid, "exe")) {
		add("malloc is defined inside the executable: its blocks are missing; cgoheap doctor %d "+
			"says what to do", pid)
	}
	return lines
}

// unboundedCost says what that takes, and how to bound it.
func unboundedCost(s *attach.Status, pid int) string {
	takes := ""
	if s.Overhead != nil && s.Overhead.CPURatio > 0 {
		takes = fmt.Sprintf(" and takes %.3g%% of one core now", s.Overhead.CPURatio*100)
	}
	return fmt.Sprintf("every allocation is recorded, which costs 1 to 2 us each%s: "+
		"CGOHEAP_MAX_CPU does not limit it, and it does not end on its own; "+
		"cgoheap sampling %d on --sample-bytes 1 --for 1m ends it, --sample-bytes 524288 is "+
		"the default", takes, pid)
}
