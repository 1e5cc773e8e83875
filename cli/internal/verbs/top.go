package verbs

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"time"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/document"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/stacks"
)

const topHelp = `usage: cgoheap top [PID|NAME] [flags]

Shows which Go functions hold C memory, and the C function that called the
allocator for each.  In a terminal it is live: GROWTH is since the last refresh.
If stdout is not a terminal, it prints one table and exits.

  -n N             rows (default: as many as fit; 20 outside of a terminal)
  --interval D     time between two refreshes (default 2s)
  --sort COLUMN    inuse, growth or objects (default inuse)
  --caller WHICH   the Go function to name: "module", the innermost of the main
                   module, else the outermost of a library (default); "innermost";
                   or the innermost that matches a regular expression
  --filter REGEXP  only rows whose caller or leaf matches
  --stacks         show each row's largest stack (implies --once)
  --why            show what of each row's allocations still lives, what it waits
                   for, and what that makes it (below)
  --once           print one table and exit
  --json           print JSON

Keys: q quits, i g o sort by bytes, growth, objects, space refreshes now.
With --sort growth and one table it looks twice, one interval apart.

Example:
  $ cgoheap top --once 4242
  service (4242)  sampling 1 in 512KiB  up 4m10s  RSS 1.2 GiB
  C memory in use ~812.4 MiB ±4.6 % in ~94,210 objects
  mapped past malloc 98.0 MiB resident of 120.0 MiB

       BYTES   ERROR  GROWTH  OBJECTS  WHAT       GO CALLER             C LEAF
  ~640.2 MiB  ±5.6 %       -  ~81,003  in use by  main.(*store).lookup  sqlite3MemMalloc
  ~172.2 MiB   ±11 %       -  ~13,207  in use by  main.compress         ZSTD_createCCtx
    98.0 MiB       -       -        7  mapped by  main.query            os_pages_map

"~" marks an estimate from samples, and ERROR is how far it may be off, with 95 %
confidence: cgoheap sampling PID on --sample-bytes N with a smaller N makes it less.
For mappings BYTES are resident; "mapped by" names who made a pool grow, not
necessarily who holds its memory.
cgoheap profile saves all stacks.

Why is it still there?  For each stack the library knows how much was allocated
in each interval of the past, and how much of that lives:
  $ cgoheap top --why 4242
     IN USE  SURVIVES  WAITS FOR  GO CALLER         C LEAF
  612.0 MiB     100 %  nothing    main.audit_actor  C.CString
    leak: of what was allocated 10m to 20m ago, all still lives; ...
  481.0 MiB       3 %  Go's GC    parser.Parse      ts_tree_new
    churn: of what was allocated 2m to 20m ago, nothing lives; freed by ...
A leak is what stays in every cohort while new ones keep coming; a cache shrinks
with age; a warm-up came early and nothing since; churn is young.  A leak is not
called one before a cohort is 10m old, and nothing else is said where a leak may
hide: "too early to say".  SURVIVES is the share of all that is known by age.

PID may be a program's name; leave it out if only one process has cgoheap loaded.
`

type topOptions struct {
	rows         int
	interval     time.Duration
	order        string
	once, asJSON bool
	callers      stacks.CallerRule
	filter       *regexp.Regexp // nil: all rows
	stacks, why  bool
}

func parseTop(args []string) (*topOptions, string, error) {
	o := &topOptions{interval: 2 * time.Second, order: "inuse"}
	f := flags.New()
	f.Count("-n --rows", &o.rows, 1, 100000)
	f.Duration("--interval", &o.interval, 100*time.Millisecond, 24*time.Hour)
	f.Choice("--sort", &o.order, "inuse", "growth", "objects")
	f.Add("--caller", &flags.Flag{Set: o.callers.Set})
	f.Pattern("--filter", &o.filter)
	f.Boolean("--stacks", &o.stacks)
	f.Boolean("--why", &o.why)
	f.Boolean("--once", &o.once)
	f.Boolean("--json", &o.asJSON)
	wanted, err := f.ParseTarget(args)
	if err == nil && o.why && o.stacks {
		err = flags.Usagef("--why and --stacks cannot be combined: a row has one text below it")
	}
	return o, wanted, err
}

func top(std stdio, args []string) error {
	o, wanted, err := parseTop(args)
	if err != nil {
		return err
	}
	c, err := attach.To(wanted)
	if err != nil {
		return err
	}
	o.callers.Know(attach.ProcPath(c.Process.PID, "exe"))
	w := &watcher{client: c, options: o}
	live := std.terminal != nil && !o.once && !o.stacks && !o.asJSON && os.Getenv("TERM") != "dumb"
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
	v.summary.SortBy(o.order)
	if o.asJSON {
		return document.Write(std.out, "top", v.toJSON(o.rows))
	}
	v.print(std, o.rows)
	return nil
}

// residentAge is how old resident figures may get.  For them the kernel walks the page tables,
// so reading them may take residentShare of the time at most.
const (
	residentAge   = 10 * time.Second
	residentShare = 0.01
)

// watcher looks at one process repeatedly.
type watcher struct {
	client  *attach.Client
	options *topOptions
	last    *holders.Summary
	first   *view // what growth is measured from

	ages ages

	resident   map[holders.RowKey]holders.Resident // of mappings; nil: not known
	residentAt time.Time
	tookLast   time.Duration // to read them
}

// view is one look.
type view struct {
	status  *attach.Status
	summary *holders.Summary
	process *attach.Process
	rss     int64
	time    time.Time
	inUse   int64 // bytes, whatever rows are chosen
	first   *view // nil: this is it
	why     reasons
}

func (w *watcher) look() (*view, error) {
	s, err := w.client.Status()
	if err != nil {
		return nil, err
	}
	p, err := w.client.Profile(nil)
	if err != nil {
		return nil, err
	}
	sum, err := holders.Summarize(p, &w.options.callers)
	if err != nil {
		return nil, err
	}
	sum.Estimated = sum.Estimated || s.SampleBytes > 1
	if w.readResident(); w.resident != nil {
		sum.SetResident(w.resident)
	}
	if w.last != nil {
		sum.GrowSince(w.last)
	}
	w.last = &holders.Summary{Rows: append([]holders.Row(nil), sum.Rows...), Bytes: sum.Bytes}
	v := &view{status: s, summary: sum, process: w.client.Process, rss: w.client.Process.RSSBytes(),
		time:  time.Now(),
		inUse: sum.Bytes, first: w.first}
	if w.first == nil {
		w.first = v
	}
	if w.options.why {
		if v.why, err = w.ages.look(w.client, &w.options.callers); err != nil {
			return nil, err
		}
	}
	if w.options.filter != nil {
		sum.Keep(w.options.filter)
	}
	if !w.options.stacks {
		sum.DropStacks()
	}
	return v, nil
}

// readResident leaves nil if the process does not answer: rows then show what is mapped.
func (w *watcher) readResident() {
	if time.Since(w.residentAt) < max(residentAge,
		time.Duration(float64(w.tookLast)/residentShare)) {
		return
	}
	start := time.Now()
	defer func() { w.residentAt, w.tookLast = time.Now(), time.Since(start) }()
	w.resident = nil
	body, err := w.client.ProfileBytes("memory", nil, attach.AccountTimeout)
	if err != nil {
		return
	}
	if p, err := attach.ParseProfile(body); err == nil {
		w.resident, _ = holders.ResidentBy(p, &w.options.callers)
	}
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
	var ended attach.EndedError
	if errors.As(err, &ended) {
		v.summary.SortBy(o.order)
		v.print(std, max(o.rows, 20))
		fmt.Fprintf(std.err, "cgoheap: %s\n", ended)
		return nil
	}
	return err
}

// look is one result from the background.
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
		(*v).summary.SortBy(o.order)
		s.draw(*v, o.rows, o.order, note)
		select {
		case <-next.C:
			start()
		case l := <-looks:
			looking, note = false, ""
			var ended attach.EndedError
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
