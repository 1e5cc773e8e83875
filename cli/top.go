package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

const topHelp = `usage: cgoheap top [PID|NAME] [flags]

Shows which Go functions hold C memory, and the C function that called the
allocator for each.  In a terminal it is live: GROWTH is since the last refresh.
If stdout is not a terminal, it prints one table and exits.

  -n N             rows (default: as many as fit; 20 where not in a terminal)
  --interval D     time between two refreshes (default 2s)
  --sort COLUMN    inuse, growth or objects (default inuse)
  --caller WHICH   the Go function to name: "module", the innermost of the main
                   module, else the outermost of a library (default); "innermost";
                   or the innermost that matches a regular expression
  --once           print one table and end
  --json           the same for machines

Keys: q ends, i g o sort by bytes, growth, objects, space refreshes now.
With --sort growth and one table it looks twice, one interval apart.

Example:
  $ cgoheap top --once 4242
  service (4242)  sampling 1 in 512KiB  up 4m10s  RSS 1.2 GiB
  C memory in use ~812.4 MiB in ~94,210 objects
  mapped past malloc 98.0 MiB resident of 120.0 MiB

       BYTES  GROWTH  OBJECTS  WHAT       GO CALLER             C LEAF
  ~640.2 MiB       -  ~81,003  in use by  main.(*store).lookup  sqlite3MemMalloc
  ~172.2 MiB       -  ~13,207  in use by  main.compress         ZSTD_createCCtx
    98.0 MiB       -        7  mapped by  main.query            os_pages_map

"~" marks an estimate from samples.  Of mappings BYTES are resident; "mapped by"
is who made a pool grow, which need not be who holds its memory.
cgoheap profile saves the whole stacks.
PID may be left out where one process has cgoheap loaded, or be a program's name.
`

type topOptions struct {
	rows         int
	interval     time.Duration
	order        string
	once, asJSON bool
	callers      callerRule
}

func parseTop(args []string) (*topOptions, string, error) {
	o := &topOptions{interval: 2 * time.Second, order: "inuse"}
	f := newFlags()
	f.count("-n --rows", &o.rows, 1, 100000)
	f.duration("--interval", &o.interval, 100*time.Millisecond, 24*time.Hour)
	f.choice("--sort", &o.order, "inuse", "growth", "objects")
	o.callers.addFlag(f)
	f.boolean("--once", &o.once)
	f.boolean("--json", &o.asJSON)
	wanted, err := f.parseTarget(args)
	return o, wanted, err
}

func top(std stdio, args []string) error {
	o, wanted, err := parseTop(args)
	if err != nil {
		return err
	}
	c, err := attach(wanted)
	if err != nil {
		return err
	}
	o.callers.know(procPath(c.process.pid, "exe"))
	w := &watcher{client: c, callers: &o.callers}
	live := std.terminal != nil && !o.once && !o.asJSON && os.Getenv("TERM") != "dumb"
	if live {
		return topLive(std, w, o)
	}
	v, err := w.look()
	if err == nil && o.order == "growth" {
		time.Sleep(o.interval)
		v, err = w.look()
	}
	if err != nil {
		return err
	}
	if o.rows == 0 {
		o.rows = 20
	}
	v.summary.sortBy(o.order)
	if o.asJSON {
		return writeDocument(std.out, "top", v.toJSON(o.rows))
	}
	v.print(std, o.rows)
	return nil
}

// residentAge is how old the figures of what is resident may be: for them the kernel goes
// through the page tables.
const residentAge = 10 * time.Second

// watcher looks at one process again and again.
type watcher struct {
	client  *client
	callers *callerRule
	last    *summary

	resident   map[rowKey]int64 // of mappings; nil: not known
	residentAt time.Time
}

// view is one look.
type view struct {
	status  *status
	summary *summary
	process *process
	rss     int64
	time    time.Time
}

func (w *watcher) look() (*view, error) {
	s, err := w.client.status()
	if err != nil {
		return nil, err
	}
	p, err := w.client.profile(nil)
	if err != nil {
		return nil, err
	}
	sum, err := summarize(p, w.callers)
	if err != nil {
		return nil, err
	}
	sum.estimated = sum.estimated || s.SampleBytes > 1
	if w.readResident(); w.resident != nil {
		sum.setResident(w.resident)
	}
	if w.last != nil {
		sum.growSince(w.last)
	}
	w.last = &summary{rows: append([]row(nil), sum.rows...), bytes: sum.bytes}
	return &view{status: s, summary: sum, process: w.client.process, rss: w.client.process.rssBytes(), time: time.Now()}, nil
}

// readResident leaves nil where the process does not tell: rows then show what is mapped.
func (w *watcher) readResident() {
	if time.Since(w.residentAt) < residentAge {
		return
	}
	w.resident, w.residentAt = nil, time.Now()
	body, err := w.client.profileBytes("memory", nil, accountTimeout)
	if err != nil {
		return
	}
	if p, err := parseProfile(body); err == nil {
		w.resident, _ = residentBy(p, w.callers)
	}
}

// headline says what is looked at, and how the shim is.
func (s *status) headline(p *process) string {
	state := escapeName(s.State) + " " + formatInterval(s.SampleBytes)
	if s.RemainingNS != nil && *s.RemainingNS > 0 {
		state += " for " + formatDuration(time.Duration(*s.RemainingNS)) + " more"
	}
	return fmt.Sprintf("%s (%d)  %s  up %s", p.program(), p.pid, state, formatDuration(time.Duration(s.UptimeNS)))
}

// cautions are what a reader of any figure has to know first.
func (s *status) cautions(pid int) []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	off := formatDuration(time.Duration(s.OffNS))
	switch {
	case s.State == "dormant":
		add("dormant: new allocations are not recorded; cgoheap sampling %d on", pid)
	case s.OffNS > 0 && s.OffNS >= s.UptimeNS/100 && s.OnNS != nil:
		add("sampling began %s ago, and was off for %s of %s: what was allocated then is not recorded",
			formatDuration(time.Duration(*s.OnNS)), off, formatDuration(time.Duration(s.UptimeNS)))
	case s.OffNS > 0 && s.OffNS >= s.UptimeNS/100:
		add("sampling was off for %s of %s: what was allocated then is not recorded", off, formatDuration(time.Duration(s.UptimeNS)))
	}
	if s.State != "dormant" && s.ConfiguredSampleBytes > 0 && s.SampleBytes > s.ConfiguredSampleBytes {
		why := ""
		if s.Overhead != nil && s.Overhead.RaisedFor != nil {
			why = ", to bound its use of " + escapeName(*s.Overhead.RaisedFor)
		}
		add("sampling is coarser than asked for: %s, not %s%s", formatInterval(s.SampleBytes), formatInterval(s.ConfiguredSampleBytes), why)
	}
	if n := s.droppedSamples(); n > 0 {
		add("%s: figures are too low; cgoheap doctor %d says why", countOf(int(n), "sample was dropped", "samples were dropped"), pid)
	}
	if n := s.Dropped[missedFree]; n > 0 {
		add("%s: some of the blocks may be freed", countOf(int(n), "free was missed", "frees were missed"))
	}
	return lines
}

// missedFree is the one count among those of dropped samples that is none: the record of a
// block whose free was missed is replaced when its address is used again.
const missedFree = "stale"

// droppedSamples leaves out labels, too: those samples are there without them.
func (s *status) droppedSamples() uint64 {
	var sum uint64
	for reason, n := range s.Dropped {
		if reason != "labels" && reason != missedFree {
			sum += n
		}
	}
	return sum
}

// header is what stands above the table; each line is safe for a terminal.
func (v *view) header() []string {
	s, sum := v.status, v.summary
	first := s.headline(v.process)
	if v.rss >= 0 {
		first += "  RSS " + formatBytes(v.rss)
	}
	second := fmt.Sprintf("C memory in use %s in %s", estimate(formatBytes(sum.bytes), sum.estimated),
		estimate(countOf(int(sum.objects), "object", "objects"), sum.estimated))
	if sum.growth != nil {
		second += ", " + formatGrowth(*sum.growth) + " since the last look"
	}
	lines := []string{first, second}
	if line := sum.mappedLine(); line != "" {
		lines = append(lines, line)
	}
	return append(lines, v.notes()...)
}

// notes are what a reader of the table has to know first.
func (v *view) notes() []string {
	lines := v.status.cautions(v.process.pid)
	if v.rss >= 0 && v.summary.bytes > v.rss {
		lines = append(lines, "more is in use than resident: blocks never touched, or swapped out, are not in the RSS")
	}
	return lines
}

// mappedLine sums the rows that are not blocks.
func (s *summary) mappedLine() string {
	var parts []string
	for _, o := range []struct{ origin, name string }{{originMmap, "mapped past malloc"}, {originStack, "thread stacks"}} {
		t, ok := s.mapped[o.origin]
		switch {
		case !ok:
		case s.resident:
			parts = append(parts, fmt.Sprintf("%s %s resident of %s", o.name, formatBytes(t.bytes), formatBytes(t.mapped)))
		default:
			parts = append(parts, fmt.Sprintf("%s %s, resident or not", o.name, formatBytes(t.mapped)))
		}
	}
	return strings.Join(parts, "; ")
}

const noRows = "no block that was sampled is in use"

var topColumns = []string{"BYTES", "GROWTH", "OBJECTS", "WHAT", "GO CALLER", "C LEAF"}
var topRight = []bool{true, true, true, false, false, false}

// what says what a row's bytes are to its caller.
func (r *row) what() string {
	switch r.Origin {
	case originMmap:
		return "mapped by"
	case originStack:
		return "stacks by"
	}
	return "in use by"
}

// amount is a row's bytes: of mappings they are counted.
func (r *row) amount(estimated bool) string {
	return estimate(formatBytes(r.Bytes), estimated && r.Mapped == nil)
}

// count is a row's objects; those of mappings that are in no heap profile are not known.
func (r *row) count(estimated bool) string {
	if r.Mapped != nil && r.Objects == 0 {
		return "-"
	}
	return estimate(formatCount(r.Objects), estimated && r.Mapped == nil)
}

func (v *view) cells(limit int) [][]string {
	rows := [][]string{topColumns}
	for _, r := range v.summary.rows[:min(limit, len(v.summary.rows))] {
		growth := "-"
		if r.Growth != nil {
			growth = formatGrowth(*r.Growth)
		}
		rows = append(rows, []string{r.amount(v.summary.estimated), growth,
			r.count(v.summary.estimated), r.what(), escapeName(r.GoCaller), escapeName(r.CLeaf)})
	}
	return rows
}

func (v *view) print(std stdio, limit int) {
	fmt.Fprintf(std.out, "%s\n\n", strings.Join(v.header(), "\n"))
	if len(v.summary.rows) == 0 {
		fmt.Fprintln(std.out, noRows)
		return
	}
	writeTable(std.out, topRight, v.cells(limit))
	if left := len(v.summary.rows) - limit; left > 0 {
		fmt.Fprintf(std.out, "and %s\n", countOf(left, "row more", "rows more"))
	}
}

type topJSON struct {
	PID         int                   `json:"pid"`
	Program     string                `json:"program"`
	Time        string                `json:"time"`
	State       string                `json:"state"`
	SampleBytes uint64                `json:"sample_bytes"`
	Estimated   bool                  `json:"estimated"`
	RSS         *int64                `json:"rss_bytes"`
	Bytes       int64                 `json:"in_use_bytes"`
	Objects     int64                 `json:"in_use_objects"`
	Growth      *int64                `json:"growth_bytes"`
	Notes       []string              `json:"notes"`  // what the lines above the table say
	Mapped      map[string]mappedJSON `json:"mapped"` // by origin
	Rows        []row                 `json:"rows"`
	RowsLeft    int                   `json:"rows_left_out"`
}

type mappedJSON struct {
	Resident *int64 `json:"resident_bytes"` // null: not known
	Mapped   int64  `json:"mapped_bytes"`
}

func (v *view) toJSON(limit int) topJSON {
	shown := append([]row{}, v.summary.rows[:min(limit, len(v.summary.rows))]...)
	t := topJSON{
		PID: v.process.pid, Program: v.process.program(), Time: v.time.UTC().Format(time.RFC3339),
		State: v.status.State, SampleBytes: v.status.SampleBytes, Estimated: v.summary.estimated,
		Bytes: v.summary.bytes, Objects: v.summary.objects, Growth: v.summary.growth,
		Notes: append([]string{}, v.notes()...), Mapped: map[string]mappedJSON{},
		Rows: shown, RowsLeft: len(v.summary.rows) - len(shown),
	}
	for origin, sum := range v.summary.mapped {
		m := mappedJSON{Mapped: sum.mapped}
		if v.summary.resident {
			m.Resident = &sum.bytes
		}
		t.Mapped[origin] = m
	}
	if v.rss >= 0 {
		t.RSS = &v.rss
	}
	return t
}

// topLive refreshes until the user or the process ends.  It looks in the
// background: a process that is slow to answer must not hold the keys.
func topLive(std stdio, w *watcher, o *topOptions) error {
	v, err := w.look()
	if err != nil {
		return err
	}
	s, err := openScreen(std.terminal)
	if err != nil {
		return err
	}
	defer s.close()
	err = s.watch(w, &v, o)
	s.close()
	var ended errEnded
	if errors.As(err, &ended) {
		v.summary.sortBy(o.order)
		v.print(std, max(o.rows, 20))
		fmt.Fprintf(std.err, "cgoheap: %s\n", ended)
		return nil
	}
	return err
}

// look is what came back from the background.
type look struct {
	view *view
	err  error
}

// watch draws *v, and newer views as they come, until the user quits (nil) or the process ends.
func (s *screen) watch(w *watcher, v **view, o *topOptions) error {
	looks := make(chan look, 1)
	next := time.NewTimer(o.interval)
	defer next.Stop()
	looking, note := false, ""
	start := func() {
		if !looking {
			looking = true
			go func() {
				view, err := w.look()
				looks <- look{view, err}
			}()
		}
	}
	for {
		(*v).summary.sortBy(o.order)
		s.draw(*v, o.rows, o.order, note)
		select {
		case <-next.C:
			start()
		case l := <-looks:
			looking, note = false, ""
			var ended errEnded
			switch {
			case errors.As(l.err, &ended):
				return l.err
			case l.err != nil:
				note = l.err.Error()
			default:
				*v = l.view
			}
			next.Reset(o.interval)
		case key := <-s.keys:
			switch key {
			case 'q', 'Q':
				return nil
			case ' ':
				start()
			default:
				o.order = orderOf(key, o.order)
			}
		case sig := <-s.signals:
			if s.handle(sig) {
				return nil
			}
		}
	}
}
