package verbs

import (
	"fmt"
	"strconv"
	"time"

	"golang.org/x/term"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/cohort"
	"cgoheap.example/cli/internal/document"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/program"
	"cgoheap.example/cli/internal/stacks"
	"cgoheap.example/cli/internal/termtext"
	"cgoheap.example/cli/internal/verdict"
)

const explainHelp = `usage: cgoheap explain [PID|NAME] [flags]

Shows what the resident memory (RSS) of a process consists of.  Every resident
byte has one owner; bytes without one are shown as unexplained.  Below are the
figures of the kernel and the cgroup, and a verdict: what dominates, what grew
since the last look, whether it is a leak, and what to do next.

  --go-pprof URL   ask the service's net/http/pprof for the figures of Go's heap
                   that cgoheap cannot know (stripped programs)
  --caller WHICH   the Go function to name, as for cgoheap top
  --json           print the account and the verdict as JSON

"~" marks an estimate.  GROWN is since you last looked at this process.  If you
look often, a second column is since a look at least an hour ago.

Example:
  $ cgoheap explain 4242
  service (4242)  sampling 1 in 512KiB  up 4d02h  RSS 1.2 GiB
  GROWN is since 13:02, 1h ago

  OWNER           RESIDENT    SHARE      GROWN
  Go heap         81.0 MiB    6.4 %   +1.0 MiB
    in use 60.2 MiB, free and not returned 20.1 MiB, released 12.0 MiB
  C live         614.4 KiB    0.0 %        0 B
    in use 620.0 KiB, glibc says; ~612.0 KiB by samples
  C retained       1.1 GiB   91.2 %        0 B
    free 1.1 GiB, glibc says; 37 arenas
    trim returns 52.0 MiB, at the ends of arenas 1.0 GiB, on pages with ...
  ...
  The C allocator keeps 1.1 GiB free in 37 arenas; live C memory is 614.4 KiB.
  Not a leak. 1.0 GiB of it lies at the ends of 36 arenas, which malloc_trim
  never returns: run with MALLOC_TRIM_THRESHOLD_=131072, and free does.

cgoheap profile --memory PID saves the same as a flame graph.
PID may be a program's name; leave it out if only one process has cgoheap loaded.
`

type explainOptions struct {
	goPprof string
	asJSON  bool
	callers stacks.CallerRule
}

func parseExplain(args []string) (*explainOptions, string, error) {
	o := &explainOptions{}
	f := flags.New()
	f.Boolean("--json", &o.asJSON)
	f.Add("--go-pprof", &flags.Flag{Set: func(v string) (err error) {
		o.goPprof, err = attach.GoPprofURL(v)
		return err
	}})
	f.Add("--caller", &flags.Flag{Set: o.callers.Set})
	wanted, err := f.ParseTarget(args)
	return o, wanted, err
}

// explanation is one look at a process: the account and the verdict.
type explanation struct {
	process *attach.Process
	status  *attach.Status
	account *account.Account
	body    []byte          // the account as it was sent
	grown   *account.Growth // since the last look
	hour    *account.Growth // since one of an hour ago; nil: there is none, or it is the last
	verdict []verdict.Finding
	filled  bool // Go's part, from the service
	callers *stacks.CallerRule
	held    []cohort.Held // why memory is still there; nil: unknown

	recorded bool   // from a recording: there is no process, nor status
	file     string // the recording
}

func explain(std stdio, args []string) error {
	o, wanted, err := parseExplain(args)
	if err != nil {
		return err
	}
	c, err := attach.To(wanted)
	if err != nil {
		return err
	}
	e, err := o.look(c)
	if err != nil {
		return err
	}
	if o.asJSON {
		return e.writeJSON(std)
	}
	e.print(std)
	return nil
}

func (o *explainOptions) look(c *attach.Client) (*explanation, error) {
	o.callers.Know(attach.ProcPath(c.Process.PID, "exe"))
	e := &explanation{process: c.Process, callers: &o.callers}
	// Before the account, so that Go has mapped whatever it uses.
	var split *account.Go
	var err error
	if o.goPprof != "" {
		if split, err = attach.FetchGoSplit(o.goPprof); err != nil {
			return nil, err
		}
	}
	if e.status, err = c.Status(); err != nil {
		return nil, err
	}
	if e.account, e.body, err = c.Account(); err != nil {
		return nil, err
	}
	if split != nil {
		if err := e.account.FillGo(split, attach.ShownURL(o.goPprof)); err != nil {
			return nil, err
		}
		e.filled = true
	}
	store := openAccountStore()
	kept := store.read(e.process)
	e.grown, e.hour = kept.growth(e.account)
	kept.add(e.account, e.body)
	store.keep(e.process, kept.thinned(e.account.Time))
	env, _ := e.process.Environ() // without it the verdict does not know what is set

	if table, err := cohortsOf(c, e.callers); err == nil { // an older library has none
		e.held = table.Judge(e.account)
	}
	e.verdict = verdict.Judge(&verdict.Situation{
		Account: e.account, Grown: e.grown, Hour: e.hour, Held: e.held,
		PID: e.process.PID, Env: env,
		GoPprof: attach.ShownURL(o.goPprof), Callers: e.callers,
		Dormant: e.status.State == "dormant",
		Dropped: e.status.DroppedSamples(),
		Missed:  e.status.Dropped[attach.MissedFree], Off: time.Duration(e.status.OffNS),
		Purego:     program.PuregoOf(e.process),
		RawMappers: func() []string { return program.RawMappers(e.process) },
		OwnNew:     func() string { return program.OwnNew(e.process) },
		Debtors:    func() []holders.Debtor { return debtorsOf(c, e.callers) },
	})
	return e, nil
}

// debtorsOf is nil if there is no profile.
func debtorsOf(c *attach.Client, callers *stacks.CallerRule) []holders.Debtor {
	p, err := c.Profile(nil)
	if err != nil {
		return nil
	}
	return holders.Debtors(p, callers)
}

func (e *explanation) writeJSON(std stdio) error {
	o, err := e.toJSON()
	if err != nil {
		return err
	}
	return document.Write(std.out, "explain", o)
}

// toJSON is the library's answer with what this command adds.
func (e *explanation) toJSON() (document.Object, error) {
	o, err := document.ParseObject(e.body)
	if err == nil && e.filled {
		err = o.Merge("go", e.account.Go)
	}
	if err == nil {
		err = o.Set("grown", e.grown)
	}
	if err == nil && !e.recorded {
		err = o.Set("grown_hour", e.hour)
	}
	if err == nil && !e.recorded {
		err = o.Set("held", e.held[:min(len(e.held), heldInJSON)])
	}
	if err == nil {
		err = o.Set("verdict", e.verdict)
	}
	return o, err
}

// heldInJSON is how many of the largest rows are in --json.
const heldInJSON = 20

const (
	plainWidth = 100
	maxWidth   = 120 // longer lines are hard to read
)

func textWidth(std stdio) int {
	if std.terminal != nil {
		if w, _, err := term.GetSize(int(std.terminal.Fd())); err == nil && w > 0 {
			return min(w, maxWidth)
		}
	}
	return plainWidth
}

func (e *explanation) print(std stdio) {
	width := textWidth(std)
	fmt.Fprintf(std.out, "%s  RSS %s\n", headline(e.status, e.process),
		termtext.Bytes(e.account.RSS))
	for _, line := range cautions(e.status, e.process.PID) {
		fmt.Fprintln(std.out, line)
	}
	if e.grown != nil {
		fmt.Fprintf(std.out, "GROWN is since %s, %s ago", e.grown.Clock(),
			termtext.Duration(e.grown.Elapsed))
		if e.hour != nil {
			fmt.Fprintf(std.out, "; %s since %s", e.hour.Column(), e.hour.Clock())
		}
		fmt.Fprintln(std.out)
	}
	fmt.Fprintln(std.out)
	e.printAccount(std, width)
}

// printAccount is all but the headline.
func (e *explanation) printAccount(std stdio, width int) {
	e.printOwners(std, width)
	fmt.Fprintln(std.out)
	e.printKernel(std, width)
	fmt.Fprintln(std.out)
	e.printVerdict(std, width)
	if line := account.PeakLine(e.account, e.target(), e.recorded); line != "" {
		termtext.WriteWrapped(std.out, line, "  ", width)
	}
	for _, w := range e.account.Warnings {
		if verdict.Repeats(e.verdict, w) {
			continue
		}
		termtext.WriteWrapped(std.out, "note: "+account.Labelled(termtext.Escape(w)), "  ", width)
	}
}

// target is what commands about the same are to be given.
func (e *explanation) target() string {
	if e.recorded {
		return termtext.QuoteShell(e.file)
	}
	return strconv.Itoa(e.process.PID)
}

func (e *explanation) printVerdict(std stdio, width int) {
	for _, text := range verdict.Paragraphs(e.verdict) {
		termtext.WriteWrapped(std.out, text, "", width)
	}
}
