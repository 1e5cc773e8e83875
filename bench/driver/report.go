package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const head = `# What cgoheap costs, beside its peers

Written by ` + "`make bench`" + `; do not edit. %s

**To reproduce it**: ` + "`make bench`" + ` (about 25 minutes), or ` + "`make bench-quick`" + ` (under 3 minutes, less certain), on a
machine with nothing else to do. A peer that is not installed gets a row that says so; ` + "`tools/setup bench`" + ` installs all.
The raw figures stay in ` + "`build/bench/rounds.tsv`" + `, a line each.

**To read it**: in each round every workload runs once under every profiler, in another order each time. A ratio is of one round's
run to the same round's run without the profiler: ×1.02 (1.00-1.05) is the median of the rounds' ratios, and their 10th and 90th
percentile. cgoheap and heaptrack are compared with glibc alone, jemalloc's and tcmalloc's profilers with the same allocator
without profiling, and the two allocators themselves with glibc. Compare figures of this page only with each other.
`

const quickNote = `
**This was a quick run: few rounds (%d), half the work, no instructions of DuckDB, other instructions and other scripts as far as the
time went. Its percentiles are hardly more than the extremes, and ratios within a few percent of each other are not told apart.**
`

const winsNote = `Computed from the rounds. A side wins where the usual range of the rounds' differences lies on its side; of sizes and
times to a profile, by a twentieth.

`

const pairNote = `32 bytes, 20 C frames deep, 1,000 blocks live. Instructions are those that the profiler adds; those of no profiler
are all of a pair, with its loop.

`

const detailsNote = `Wall and processor time are those of the work, without the program's start. Instructions are callgrind's, of a part of the work, in all
threads of the program; what the library's own thread takes is in the processor time. Peak RSS is what the profiler adds until the profile
is written. The profile is as the profiler writes it: cgoheap's has names and is compressed, the allocators' have addresses for another
tool to look up. The time to it is from the request to its last byte; heaptrack's is interpreting the record after the program's end,
which its own script does meanwhile on another core. The Go caller is looked for in the profile itself: is a function of the program's
package main in a stack? tcmalloc's heap profiler does a part of some workloads, being slow: its ratios are by unit of work.
`

// A page is what is rendered, and of what.
type page struct {
	strings.Builder
	rounds   *rounds
	out      string
	machine  map[string]string
	measured []workload
	shown    []profiler
}

func plain(text string) string { return unmarked(text) }

// render makes RESULTS.md of what measure left.
func render(o options) (string, error) {
	file, err := os.Open(filepath.Join(o.out, "rounds.tsv"))
	if err != nil {
		return "", err
	}
	defer file.Close()
	p := &page{out: o.out, machine: map[string]string{}}
	if p.rounds, err = readRounds(file); err != nil {
		return "", fmt.Errorf("%s: %w", file.Name(), err)
	}
	facts, err := os.ReadFile(filepath.Join(o.out, "machine.txt"))
	if err != nil {
		return "", err
	}
	for _, w := range workloads {
		if p.rounds.median(key{w.name, "glibc"}, wall) > 0 {
			p.measured = append(p.measured, w)
		}
	}
	for _, y := range profilers {
		if slices.ContainsFunc(workloads, func(w workload) bool {
			k := key{w.name, y.name}
			return p.rounds.values[k] != nil || p.rounds.failed[k] != ""
		}) {
			p.shown = append(p.shown, y)
		}
	}
	if len(p.measured) == 0 {
		return "", fmt.Errorf("%s has no run without a profiler", file.Name())
	}
	p.head(string(facts))
	p.summary()
	p.section("Where a peer wins", winsNote+wins(p.rounds, p.measured))
	p.pair()
	p.details()
	p.others()
	p.quotable()
	return strings.TrimRight(p.String(), "\n") + "\n", nil
}

func (p *page) section(title, text string) {
	fmt.Fprintf(p, "## %s\n\n%s\n", title, strings.TrimRight(text, "\n")+"\n")
}

func (p *page) head(facts string) {
	var list []string
	for line := range strings.Lines(facts) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		p.machine[name] = value
		if name != "date" && name != "run" {
			list = append(list, name+" "+value)
		}
	}
	fmt.Fprintf(p, head, fmt.Sprintf("Measured %s; rounds: %d.", p.machine["date"],
		p.rounds.count()))
	if p.machine["run"] == "quick" {
		fmt.Fprintf(p, quickNote, p.rounds.count())
	}
	fmt.Fprintf(p, "\n**Machine**: %s.\n\n", strings.Join(list, "; "))
}

// summary is the one table: wall time of each workload under each profiler.
func (p *page) summary() {
	t := table{{""}}
	for _, w := range p.measured {
		t[0] = append(t[0], w.name)
	}
	for _, y := range p.shown {
		cells := []string{y.title}
		for _, w := range p.measured {
			k := key{w.name, y.name}
			if y.base == "" {
				cells = append(cells, duration(p.rounds.median(k, wall)))
			} else {
				cells = append(cells, p.cost(k, y.base, wall))
			}
		}
		t.add(cells...)
	}
	p.section("Wall time", t.String()+p.missing())
}

func (p *page) cost(k key, base string, m metric) string {
	s := p.rounds.cost(k, base, m)
	if s.n == 0 && p.rounds.failed[k] != "" && m == wall {
		return "none"
	}
	return s.String()
}

// missing lists why there is no figure: each reason once.
func (p *page) missing() string {
	var b strings.Builder
	seen := map[string]bool{}
	for _, y := range p.shown {
		for _, w := range workloads {
			why := p.rounds.failed[key{w.name, y.name}]
			if why == "" || seen[y.name+why] {
				continue
			}
			seen[y.name+why] = true
			fmt.Fprintf(&b, "- %s (%s): %s\n", y.title, w.name, why)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "\nNot measured, or not in every round:\n\n" + b.String()
}

// addedInstructions is by unit of work.
func (p *page) addedInstructions(w string, y profiler) float64 {
	each := func(k key) float64 { return p.rounds.median(k, instructions) / p.rounds.counted[k] }
	n := each(key{w, y.name})
	if y.base != "" {
		n -= each(key{w, y.base})
	}
	return n
}

func (p *page) instructions(w string, y profiler) string {
	n := p.addedInstructions(w, y)
	switch {
	case y.base == "":
		return cell("%.1f", n)
	case math.Abs(n) < 0.05:
		return "+0.0"
	case n >= 100:
		return cell("%+.0f", n)
	}
	return cell("%+.1f", n)
}

func (p *page) pairTime(y profiler) float64 {
	k := key{"pairs", y.name}
	return p.rounds.median(k, wall) / p.rounds.amounts[k]
}

// pair is the table of a malloc and free pair.
func (p *page) pair() {
	if math.IsNaN(p.pairTime(profilers[0])) {
		return
	}
	t := table{{"", "instructions", "a pair", "ratio of times"}}
	for _, y := range p.shown {
		t.add(y.title, p.instructions("pairs", y), duration(p.pairTime(y)),
			p.cost(key{"pairs", y.name}, y.base, wall))
	}
	p.section("A malloc and free pair", pairNote+t.String())
}

// details is a table for each workload.
func (p *page) details() {
	fmt.Fprintf(p, "## Each workload\n\n%s\n", detailsNote)
	for _, w := range p.measured {
		t := table{{"", "wall", "processor", "instructions", "peak RSS", "profile", "time to it",
			"Go caller"}}
		for _, y := range p.shown {
			t.add(p.detail(w, y)...)
		}
		fmt.Fprintf(p, "### %s: %.0f %s\n\n%s\n", w.name,
			p.rounds.amounts[key{w.name, "glibc"}], w.title, t)
	}
}

func (p *page) detail(w workload, y profiler) []string {
	k, r := key{w.name, y.name}, p.rounds
	cells := []string{y.title}
	if y.base == "" {
		cells = append(cells, duration(r.median(k, wall)), duration(r.median(k, cpu)),
			number(r.median(k, instructions)), cell("%.1f MiB", r.median(k, peak)/1024))
	} else {
		cells = append(cells, p.cost(k, y.base, wall), p.cost(k, y.base, cpu),
			times(r.cost(k, y.base, instructions).median),
			signedMiB(spreadOf(values(r.against(k, y.base, peak, difference))).median))
	}
	caller := r.callers[k]
	if y.dump != nil && !w.isGo && r.failed[k] == "" {
		caller = "no Go"
	}
	return append(cells, sizeText(r.median(k, size)), duration(r.median(k, request)), caller)
}

// others are what the other scripts printed.
func (p *page) others() {
	for _, x := range sections {
		text, err := os.ReadFile(filepath.Join(p.out, "sections", x.name))
		if err != nil {
			continue
		}
		note := strings.TrimSpace("From `bench/" + x.name + "`. " + x.note)
		p.section(x.title, note+"\n\n"+sectionText(string(text)))
	}
}

// sectionText shows figures as a table with verdicts, and other lines as they are.
func sectionText(text string) string {
	var b strings.Builder
	var figures []figure
	var lines []string
	flush := func() {
		if len(figures) != 0 {
			b.WriteString(figureTable(figures).String() + "\n")
		}
		if rest := strings.Trim(strings.Join(lines, "\n"), "\n"); rest != "" {
			fmt.Fprintf(&b, "```\n%s\n```\n\n", rest)
		}
		figures, lines = nil, nil
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		f, is := parseFigure(line)
		if is && lines != nil || !is && figures != nil {
			flush()
		}
		if is {
			figures = append(figures, f)
		} else {
			lines = append(lines, line)
		}
	}
	flush()
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// figureTable has only the columns that say something.
func figureTable(figures []figure) table {
	t := table{{"", "value"}}
	for _, f := range figures {
		t.add(f.name, f.value)
	}
	column := func(title string, of func(figure) string) {
		if !slices.ContainsFunc(figures, func(f figure) bool { return of(f) != "" }) {
			return
		}
		t[0] = append(t[0], title)
		for i, f := range figures {
			t[i+1] = append(t[i+1], of(f))
		}
	}
	column("target", func(f figure) string { return f.target })
	column("verdict", figure.verdict)
	column("remark", func(f figure) string { return f.remark })
	return t
}

// quotable are the figures that other pages quote.
func (p *page) quotable() {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", mark("cost", "\n"+p.short()))
	t := table{{"name", "figure"}}
	figure := func(name, value string) {
		if value != "" {
			t.add("`"+name+"`", mark(name, value))
		}
	}
	for _, y := range p.shown {
		name := strings.ToLower(y.name)
		figure("pair-"+name, p.instructions("pairs", y))
		if y.base != "" {
			figure("time-"+name, times(p.rounds.cost(key{"pairs", y.name}, y.base,
				wall).median))
		} else {
			figure("time-"+name, duration(p.pairTime(y)))
		}
	}
	b.WriteString(t.String())
	p.section("The short form", "Other pages quote these figures.\n\n"+b.String())
}

// short is the README's table.
func (p *page) short() string {
	columns := []string{"tree", "sqlite", "zstd", "duckdb"}
	t := table{{"", "a pair, instructions", "a pair, time", "a tree", "SQLite", "zstd", "DuckDB"}}
	for _, y := range p.shown {
		cells := []string{y.title, p.instructions("pairs", y)}
		for _, w := range append([]string{"pairs"}, columns...) {
			k := key{w, y.name}
			switch {
			case y.base != "":
				cells = append(cells, times(p.rounds.cost(k, y.base, wall).median))
			case w == "pairs":
				cells = append(cells, duration(p.pairTime(y)))
			default:
				cells = append(cells, duration(p.rounds.median(k, wall)))
			}
		}
		t.add(cells...)
	}
	return t.String()
}
