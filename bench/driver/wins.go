package main

import (
	"fmt"
	"math"
	"strings"
)

// A match is a way to use cgoheap, and a peer that does the same thing.
type match struct{ ours, peer string }

var matches = []match{
	{"512KiB", "jemalloc-prof"},
	{"512KiB", "tcmalloc-sampler"},
	{"every", "heaptrack"},
	{"every", "gperftools"},
}

// compared are the metrics in which less is better.
var compared = []struct {
	metric metric
	title  string
}{
	{wall, "wall time added"},
	{cpu, "processor time added"},
	{instructions, "instructions added"},
	{peak, "peak RSS added"},
	{size, "size of the profile"},
	{request, "time to the profile"},
}

// An outcome is who needs less.
type outcome int

const (
	unknown outcome = iota
	peerWins
	weWin
	tooClose // the rounds, or a difference below a twentieth, do not tell
)

// What is said before the workloads of an outcome.
var outcomes = []string{peerWins: "**the peer wins** in ", weWin: "cgoheap wins in ",
	tooClose: "too close to tell in ", unknown: ""}

// decide looks at how much more the peer costs than we do, in each round: a side wins where the
// usual range of rounds lies on one side of zero, the median by LEAST. Of fewer rounds than ENOUGH
// nothing is said.
func decide(more map[int]float64, least float64, enough int) outcome {
	s := spreadOf(values(more))
	switch {
	case s.n == 0:
		return unknown
	case s.n < enough || math.Abs(s.median) < least:
		return tooClose
	case s.high < 0:
		return peerWins
	case s.low > 0:
		return weWin
	}
	return tooClose
}

// enough is how many rounds say something: a count of instructions is the same in each.
func (what metric) enough() int {
	if what == instructions {
		return 1
	}
	return 3
}

// compare is of one workload.
func (r *rounds) compare(w string, m match, what metric) (outcome, string) {
	ours, peer := byName(m.ours), byName(m.peer)
	cost := func(p profiler, f func(x, y float64) float64) map[int]float64 {
		return r.against(key{w, p.name}, p.base, what, f)
	}
	switch what {
	case wall, cpu, instructions:
		a, b := cost(ours, ratio), cost(peer, ratio)
		return decide(pairwise(b, a, difference), 0.005, what.enough()), fmt.Sprintf(
			"%s against %s", times(spreadOf(values(b)).median), times(spreadOf(values(a)).median))
	case peak:
		a, b := cost(ours, difference), cost(peer, difference)
		return decide(pairwise(b, a, difference), 256, what.enough()), fmt.Sprintf(
			"%s against %s", signedMiB(spreadOf(values(b)).median),
			signedMiB(spreadOf(values(a)).median))
	}
	a, b := r.median(key{w, ours.name}, what), r.median(key{w, peer.name}, what)
	show := sizeText
	if what == request {
		show = duration
	}
	text := fmt.Sprintf("%s against %s", show(b), show(a))
	switch {
	case math.IsNaN(a) || math.IsNaN(b):
		return unknown, ""
	case b < a/1.05:
		return peerWins, text
	case a < b/1.05:
		return weWin, text
	}
	return tooClose, text
}

// wins says in words where a peer wins, by match and metric.
func wins(r *rounds, w []workload) string {
	var b strings.Builder
	for _, m := range matches {
		fmt.Fprintf(&b, "**%s** against %s:\n\n", byName(m.peer).title, byName(m.ours).title)
		said := false
		for _, c := range compared {
			if line := r.compareAll(w, m, c.metric); line != "" {
				fmt.Fprintf(&b, "- %s: %s.\n", c.title, line)
				said = true
			}
		}
		if !said {
			b.WriteString("Nothing was measured of it here.\n")
		}
		if line := r.compareCallers(w, m); line != "" {
			fmt.Fprintf(&b, "- Go caller in the stacks: %s.\n", line)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// compareAll is a line: in which workloads who needs less of it.
func (r *rounds) compareAll(w []workload, m match, what metric) string {
	names := make([][]string, len(outcomes))
	for _, x := range w {
		o, text := r.compare(x.name, m, what)
		if o == peerWins {
			text = x.name + " (" + text + ")"
		} else {
			text = x.name
		}
		names[o] = append(names[o], text)
	}
	var parts []string
	for o, title := range outcomes {
		if title != "" && len(names[o]) != 0 {
			parts = append(parts, title+strings.Join(names[o], ", "))
		}
	}
	return strings.Join(parts, "; ")
}

// compareCallers says whose stacks reach the Go code that asked.
func (r *rounds) compareCallers(w []workload, m match) string {
	with := func(profiler string) (names string, looked bool) {
		var all []string
		for _, x := range w {
			found := r.callers[key{x.name, profiler}]
			looked = looked || found != ""
			if found == "yes" {
				all = append(all, x.name)
			}
		}
		return or(strings.Join(all, ", "), "none"), looked
	}
	ours, us := with(m.ours)
	theirs, them := with(m.peer)
	if !us || !them {
		return ""
	}
	return "cgoheap's in " + ours + "; the peer's in " + theirs
}

func byName(name string) profiler {
	for _, p := range profilers {
		if p.name == name {
			return p
		}
	}
	panic("no profiler " + name)
}
