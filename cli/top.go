package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

const topHelp = `usage: cgoheap top PID [flags]

Shows which Go functions hold C memory, and the C function that called the
allocator for each.  In a terminal it is live: GROWTH is since the last refresh.
Where the output is not a terminal it prints one table and ends.

  -n N             rows (default: as many as fit; 20 where not in a terminal)
  --interval D     time between two refreshes (default 2s)
  --sort COLUMN    inuse, growth or objects (default inuse)
  --once           print one table and end
  --json           the same for machines

Keys: q ends, i g o sort by in use, growth, objects, space refreshes now.
With --sort growth and one table it looks twice, one interval apart.

Example:
  $ cgoheap top --once 4242
  service (4242)  sampling 1 in 512KiB  up 4m10s  RSS 1.2 GiB
  C memory in use ~812.4 MiB in ~94,210 objects

      IN USE  GROWTH  OBJECTS  GO CALLER                C LEAF
  ~640.2 MiB       -  ~81,003  main.(*store).lookup     sqlite3MemMalloc
  ~172.2 MiB       -  ~13,207  main.compress            ZSTD_createCCtx

"~" marks an estimate from samples.  cgoheap profile saves the whole stacks.
`

type topOptions struct {
	rows         int
	interval     time.Duration
	order        string
	once, asJSON bool
}

func parseTop(args []string) (*topOptions, int, error) {
	o := &topOptions{interval: 2 * time.Second, order: "inuse"}
	f := newFlags()
	f.count("-n --rows", &o.rows, 1, 100000)
	f.duration("--interval", &o.interval, 100*time.Millisecond, 24*time.Hour)
	f.choice("--sort", &o.order, "inuse", "growth", "objects")
	f.boolean("--once", &o.once)
	f.boolean("--json", &o.asJSON)
	rest, err := f.parseExactly(args, "PID")
	if err != nil {
		return nil, 0, err
	}
	pid, err := parsePID(rest[0])
	return o, pid, err
}

func top(std stdio, args []string) error {
	o, pid, err := parseTop(args)
	if err != nil {
		return err
	}
	c, err := attach(pid)
	if err != nil {
		return err
	}
	w := &watcher{client: c}
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
		return writeJSON(std.out, v.toJSON(o.rows))
	}
	v.print(std, o.rows)
	return nil
}

// watcher looks at one process again and again.
type watcher struct {
	client *client
	last   *summary
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
	sum, err := summarize(p)
	if err != nil {
		return nil, err
	}
	sum.estimated = sum.estimated || s.SampleBytes > 1
	if w.last != nil {
		sum.growSince(w.last)
	}
	w.last = &summary{rows: append([]row(nil), sum.rows...), bytes: sum.bytes}
	return &view{status: s, summary: sum, process: w.client.process, rss: w.client.process.rssBytes(), time: time.Now()}, nil
}

// headline says what is looked at, and how the shim is.
func (s *status) headline(p *process) string {
	state := escapeName(s.State) + " " + formatInterval(s.SampleBytes)
	if s.RemainingNS != nil && *s.RemainingNS > 0 {
		state += " for " + formatDuration(time.Duration(*s.RemainingNS)) + " more"
	}
	return fmt.Sprintf("%s (%d)  %s  up %s", p.program(), p.pid, state, formatDuration(time.Duration(s.UptimeNS)))
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
	if s.State == "dormant" {
		lines = append(lines, fmt.Sprintf("dormant: new allocations are not recorded; cgoheap sampling %d on", v.process.pid))
	}
	return lines
}

const noRows = "no block that was sampled is in use"

var topColumns = []string{"IN USE", "GROWTH", "OBJECTS", "GO CALLER", "C LEAF"}
var topRight = []bool{true, true, true, false, false}

func (v *view) cells(limit int) [][]string {
	rows := [][]string{topColumns}
	for _, r := range v.summary.rows[:min(limit, len(v.summary.rows))] {
		growth := "-"
		if r.Growth != nil {
			growth = formatGrowth(*r.Growth)
		}
		rows = append(rows, []string{
			estimate(formatBytes(r.Bytes), v.summary.estimated), growth,
			estimate(formatCount(r.Objects), v.summary.estimated),
			escapeName(r.GoCaller), escapeName(r.CLeaf),
		})
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
	PID         int    `json:"pid"`
	Program     string `json:"program"`
	Time        string `json:"time"`
	State       string `json:"state"`
	SampleBytes uint64 `json:"sample_bytes"`
	Estimated   bool   `json:"estimated"`
	RSS         *int64 `json:"rss_bytes"`
	Bytes       int64  `json:"in_use_bytes"`
	Objects     int64  `json:"in_use_objects"`
	Growth      *int64 `json:"growth_bytes"`
	Rows        []row  `json:"rows"`
	RowsLeft    int    `json:"rows_left_out"`
}

func (v *view) toJSON(limit int) topJSON {
	shown := append([]row{}, v.summary.rows[:min(limit, len(v.summary.rows))]...)
	t := topJSON{
		PID: v.process.pid, Program: v.process.program(), Time: v.time.UTC().Format(time.RFC3339),
		State: v.status.State, SampleBytes: v.status.SampleBytes, Estimated: v.summary.estimated,
		Bytes: v.summary.bytes, Objects: v.summary.objects, Growth: v.summary.growth,
		Rows: shown, RowsLeft: len(v.summary.rows) - len(shown),
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
