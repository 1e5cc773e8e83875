package collect

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/termtext"
)

// readme of a series: what the last scene says, and what grew since the first.
func (m *SeriesManifest) readme(dir string) string {
	var b strings.Builder
	first, last := m.ends()
	if first == nil {
		return "No scene could be collected yet.\n"
	}
	from, to := readScene(dir, first.Path), readScene(dir, last.Path)
	if to != nil {
		for _, line := range to.Answer() {
			fmt.Fprintln(&b, line)
		}
	}
	fmt.Fprintf(&b, "\n%s of %s, one every %s, from %s to %s; the last one that is kept is %s.\n",
		termtext.CountOf(m.kept(), "scene", "scenes"), m.of(),
		termtext.Duration(time.Duration(m.EveryNS)), first.Wall.Format("2006-01-02 15:04:05"),
		last.Wall.Format("15:04:05 MST"), last.Path)
	if m.Stopped != nil {
		fmt.Fprintf(&b, "The series ended early: %s.\n", *m.Stopped)
	}
	for _, r := range m.Scenes {
		if r.Error != nil {
			fmt.Fprintf(&b, "%s: %s\n", r.Path, *r.Error)
		}
	}
	if from != nil && to != nil && first != last {
		writeGrowth(&b, from, to)
		writeDiffs(&b, from, to, first.Path, last.Path)
	}
	return b.String()
}

// of whom the series is.
func (m *SeriesManifest) of() string {
	if m.PID == nil {
		return *m.URL
	}
	return fmt.Sprintf("process %d (%s) on %s", *m.PID, m.Program, m.Host)
}

// ends are the first and the last scene that are kept; nil: there is none.
func (m *SeriesManifest) ends() (first, last *Round) {
	for i := range m.Scenes {
		if r := &m.Scenes[i]; r.Kept {
			if first == nil {
				first = r
			}
			last = r
		}
	}
	return first, last
}

// readScene reads the figures of one scene; nil: its manifest cannot be read.
func readScene(dir, name string) *Facts {
	text, err := os.ReadFile(filepath.Join(dir, name, "manifest.json"))
	m := &Manifest{}
	if err != nil || json.Unmarshal(text, m) != nil {
		return nil
	}
	return ReadFacts(filepath.Join(dir, name), m)
}

// writeGrowth is a table of what both scenes know.
func writeGrowth(b *strings.Builder, from, to *Facts) {
	rows := [][]string{{"", "FIRST", "LAST", "GROWN"}}
	add := func(label string, before, after *int64) {
		if before != nil && after != nil && (*before != 0 || *after != 0) {
			rows = append(rows, []string{label, termtext.Bytes(*before), termtext.Bytes(*after),
				termtext.Growth(*after - *before)})
		}
	}
	rss := func(f *Facts) *int64 {
		if f.Account != nil {
			return &f.Account.RSS
		}
		return known(f.Process, "VmRSS")
	}
	add("RSS", rss(from), rss(to))
	add("Go heap in use", known(from.MemStats, "HeapInuse"), known(to.MemStats, "HeapInuse"))
	if from.Account != nil && to.Account != nil {
		for _, o := range to.Account.Owners {
			add(account.Label(o.Name), from.Account.Owner(o.Name).Bytes, o.Bytes)
		}
	}
	if from.Goroutines != nil && to.Goroutines != nil {
		before, after := from.Goroutines.count, to.Goroutines.count
		rows = append(rows, []string{"goroutines", termtext.Count(before), termtext.Count(after),
			fmt.Sprintf("%+d", after-before)})
	}
	fmt.Fprintln(b)
	termtext.WriteTable(b, []bool{false, true, true, true}, rows)
}

func known(figures map[string]int64, name string) *int64 {
	n, ok := figures[name]
	if !ok {
		return nil
	}
	return &n
}

// writeDiffs are the commands that compare the first and the last scene.
func writeDiffs(b *strings.Builder, from, to *Facts, first, last string) {
	fmt.Fprintln(b, "\nNEXT, in this directory")
	for _, d := range []struct{ what, path, flags string }{
		{"What C memory grew, by more than sampling alone explains", cgoProfile, ""},
		{"What grew of the whole RSS, as a flame graph", memoryProfile, browser},
		{"What grew on Go's heap", liveProfile, ""},
		{"Which goroutines came", routines, "-top"},
	} {
		before, after := first+"/"+d.path, last+"/"+d.path
		command := diff(before, after)
		if d.flags != "" { // not sampled, or not all of it
			command = pprof(d.flags+" -diff_base="+before, after)
		}
		if from.manifest.Has(d.path) && to.manifest.Has(d.path) {
			fmt.Fprintf(b, "  %s:\n      %s\n", d.what, command)
		}
	}
	fmt.Fprintf(b, "  The verdict on the last scene, with this growth:\n      less %s/README.txt\n",
		last)
}
