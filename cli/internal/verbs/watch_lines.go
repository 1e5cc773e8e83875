package verbs

import (
	"fmt"
	"time"

	"cgoheap.example/cli/internal/observe"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/termtext"
)

// watch into a pipe: a line per sample and per event, or JSON.

// lineFigures are the columns; those that no sample has had yet are left out.
var lineFigures = []struct{ name, title string }{
	{series.RSS, "RSS"}, {series.RSSAnon, "ANON"}, {series.CLive, "C LIVE"},
	{series.CRetained, "RETAINED"}, {series.CMmap, "C MMAP"}, {series.GoInUse, "GO IN USE"},
	{series.Goroutines, "GOROUTINES"}, {series.Threads, "THREADS"},
	{series.CgroupUsage, "CGROUP"},
}

const headerEvery = 20 // lines

// printLines follows a feed into a pipe.
func (w *watching) printLines(feed <-chan fed) error {
	signals, release := interrupts()
	defer release()
	deadline := w.deadline()
	var titles string
	for line := 0; ; {
		select {
		case s := <-feed:
			if s.err != nil {
				return w.ended(s.err)
			}
			events := w.take(&s.Sample)
			if w.options.asJSON {
				if err := w.writeLines(&s.Sample, events); err != nil {
					return err
				}
			} else {
				names := w.titles(&titles, &line)
				w.printEvents(events)
				w.printSample(&s.Row, names)
				line++
			}
			if w.broken != nil {
				return w.judgeEnd()
			}
		case <-deadline:
			return w.judgeEnd()
		case <-signals:
			return w.stopped()
		}
	}
}

const lineWidth = 11

// titles prints the header where it is due, and returns the columns' names.
func (w *watching) titles(last *string, line *int) (names []string) {
	titles := fmt.Sprintf("%-8s", "TIME")
	add := func(name, title string) {
		names = append(names, name)
		titles += fmt.Sprintf("%*s", max(lineWidth, len([]rune(title))+2), title)
	}
	has := map[string]bool{}
	for _, name := range series.Names(w.history.since(w.history.growthTime())) {
		has[name] = true
	}
	for _, f := range lineFigures {
		if has[f.name] {
			add(f.name, f.title)
		}
	}
	for _, name := range series.Names(w.history.since(w.history.growthTime())) {
		if f := series.About(name); f.Source == series.External {
			add(name, f.Label)
		}
	}
	if titles != *last || *line%headerEvery == 0 {
		fmt.Fprintln(w.std.out, titles)
		*last, *line = titles, 0
	}
	return names
}

func (w *watching) printSample(r *series.Row, names []string) {
	line := r.Wall.Local().Format(time.TimeOnly)
	for _, name := range names {
		f := series.About(name)
		value := "-"
		if v, ok := r.Value(name); ok {
			value = series.Text(f.Unit, v)
		}
		width := lineWidth
		if f.Source == series.External {
			width = max(width, len([]rune(f.Label))+2)
		}
		line += fmt.Sprintf("%*s", width, value)
	}
	fmt.Fprintln(w.std.out, line)
}

func (w *watching) printEvents(events []series.Event) {
	for _, e := range events {
		fmt.Fprintf(w.std.out, "%s  %s\n", e.Wall.Local().Format(time.TimeOnly), eventText(&e))
	}
}

// eventText is safe for a terminal: a recording may be anybody's.
func eventText(e *series.Event) string {
	text := e.Kind
	if e.Rule != "" {
		text += " " + e.Rule
	}
	if e.State != "" {
		text += " " + e.State
	}
	return termtext.Escape(text + ": " + e.Text)
}

// writeLines is a recording on stdout.
func (w *watching) writeLines(s *observe.Sample, events []series.Event) error {
	if !w.hasHeader {
		w.hasHeader = true
		if err := series.WriteLine(w.std.out, &w.header); err != nil {
			return err
		}
	}
	for i := range events {
		if err := series.WriteLine(w.std.out, &events[i]); err != nil {
			return err
		}
	}
	return series.WriteLine(w.std.out, &s.Row)
}

// printTable is one look for people.
func (w *watching) printTable() {
	out := w.std.out
	rows := w.history.rows
	last := rows[len(rows)-1]
	fmt.Fprintf(out, "%s  %s\n\n", w.title(), last.Wall.Local().Format(time.DateTime))
	for _, line := range w.history.table(w.width()) {
		fmt.Fprintln(out, line)
	}
	sentences := w.sentences()
	if len(sentences) > 0 {
		fmt.Fprintln(out)
	}
	for _, text := range sentences {
		termtext.WriteWrapped(out, termtext.Escape(text), "  ", w.width())
	}
	for _, text := range w.remarks() {
		fmt.Fprintln(out, "\n"+text)
	}
}

// remarks are what a reader has to know: why figures are missing.
func (w *watching) remarks() []string {
	var list []string
	if w.target != nil && w.target.why != "" {
		list = append(list, w.target.why)
	}
	return append(list, w.faults...)
}

func (w *watching) title() string {
	title := fmt.Sprintf("%s (%d)", termtext.Escape(w.header.Program), w.header.PID)
	if w.target == nil {
		title += " on " + termtext.Escape(w.header.Host)
	}
	return title
}

// width of the terminal, or of a line for people where there is none.
func (w *watching) width() int {
	if w.std.terminal == nil {
		return 100
	}
	width, _ := sizeOf(w.std.terminal)
	return width
}
