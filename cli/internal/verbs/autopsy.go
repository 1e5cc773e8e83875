package verbs

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/document"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/outfile"
	"cgoheap.example/cli/internal/recorder"
	"cgoheap.example/cli/internal/recordlayout"
	"cgoheap.example/cli/internal/stacks"
	"cgoheap.example/cli/internal/termtext"
	"cgoheap.example/cli/internal/verdict"
)

const autopsyHelp = `usage: cgoheap autopsy FILE|DIRECTORY [flags]

Reads the recording that a killed process left behind (CGOHEAP_BLACKBOX=DIR when
it was started).  It shows what ` + "`cgoheap explain`" + ` would have shown at the end, the
figures of the last hour, and who held C memory.

  --binary PATH   the program's file, if it is no longer at its path
  -o FILE         also write a profile that go tool pprof reads
  -n, --rows N    rows to show (default 20)
  --caller WHICH  the Go function to name, as for cgoheap top
  --json          print JSON

In a directory it reads the newest recording.  Names come from the binaries on
this machine; it says which are missing or of another build.

Examples:
  cgoheap autopsy /var/lib/cgoheap/service.4242.cgoheap
  cgoheap autopsy service.4242.cgoheap -o killed.pb.gz
  cgoheap autopsy /var/lib/cgoheap --binary ./service
`

type autopsyOptions struct {
	output  string
	binary  string
	rows    int
	asJSON  bool
	callers stacks.CallerRule
}

func autopsy(std stdio, args []string) error {
	o := &autopsyOptions{}
	f := flags.New()
	f.Text("-o --output", &o.output)
	f.Text("--binary", &o.binary)
	f.Count("-n --rows", &o.rows, 1, 100000)
	f.Boolean("--json", &o.asJSON)
	f.Add("--caller", &flags.Flag{Set: o.callers.Set})
	rest, err := f.ParseExactly(args, "FILE or DIRECTORY")
	if err != nil {
		return err
	}
	path, err := findRecording(std, rest[0])
	if err != nil {
		return err
	}
	if o.output == "-" {
		return flags.Usagef("-o - would mix a profile with the text on stdout: name a file")
	}
	if o.rows == 0 {
		o.rows = 20
	}
	data, alive, err := recorder.ReadFile(path)
	if err == nil {
		err = outfile.Spare(o.output, path)
	}
	if err != nil {
		return err
	}
	b, err := recorder.Read(data)
	if err != nil {
		return fmt.Errorf("%s: %s", termtext.QuoteShell(path), err)
	}
	symbols := recorder.FindNames(b, o.binary)
	if o.binary != "" {
		if why := symbols.BinaryProblem(); why != "" {
			return fmt.Errorf("--binary names a different program: %s", why)
		}
	}
	p := b.Profile(symbols)
	o.callers.Know(cmp.Or(o.binary, b.Program))
	o.callers.Nameless, o.callers.NoModules = symbols.Nameless(), b.LacksFigures
	sum, err := holders.Summarize(p, &o.callers)
	if err != nil {
		return err
	}
	sum.DropStacks()
	found := &postmortem{recording: b, sum: sum, symbols: symbols, alive: alive}
	found.explain(&o.callers, path)
	return o.answer(std, found, p)
}

func (o *autopsyOptions) answer(std stdio, found *postmortem, p *profile.Profile) error {
	target, err := openOutput(std, o.output, "autopsy")
	if err != nil {
		return err
	}
	defer target.Discard()
	if o.asJSON {
		err = found.writeJSON(std, o.rows)
	} else {
		found.print(std, o.rows)
	}
	if err != nil || target == nil {
		return err
	}
	return writeProfile(std, target, p)
}

// findRecording is the newest one of a directory.
func findRecording(std stdio, path string) (string, error) {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return path, nil // reading it says what else it is
	}
	names, _ := filepath.Glob(filepath.Join(path, "*.cgoheap"))
	newest, at := "", time.Time{}
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() &&
			(newest == "" || info.ModTime().After(at)) {
			newest, at = name, info.ModTime()
		}
	}
	if newest == "" {
		return "", fmt.Errorf("no recording (*.cgoheap) in %s: name the directory that "+
			"CGOHEAP_BLACKBOX was set to", termtext.Quote(path))
	}
	if len(names) > 1 {
		fmt.Fprintf(std.err, "cgoheap: reading %s, the newest of %d recordings\n",
			termtext.QuoteShell(newest), len(names))
	}
	return newest, nil
}

// postmortem is what autopsy shows of a recording.
type postmortem struct {
	recording *recorder.Recording
	sum       *holders.Summary
	symbols   *recorder.Names
	alive     bool
	explained *explanation // nil: no account was written
}

func bytesOrUnknown(n recordlayout.Figure) string {
	if !n.IsKnown() {
		return "unknown"
	}
	return termtext.Bytes(int64(n))
}

func (p *postmortem) print(std stdio, limit int) {
	b := p.recording
	name := programName(b.Program)
	fmt.Fprintf(std.out, "%s (%d)  %s  cgoheap %s\n", name, b.PID,
		cmp.Or(termtext.Escape(b.GoVersion), cmp.Or(p.goUnknown(), "not Go")),
		cmp.Or(termtext.Escape(b.ShimVersion), "unknown"))
	p.printEnd(std.out)
	p.printFigures(std.out)
	p.printAccount(std)
	p.printHolders(std.out, limit)
	for _, why := range p.symbols.Missing() {
		fmt.Fprintf(std.err, "cgoheap: no names from %s\n", why)
	}
	if p.symbols.BinaryProblem() != "" {
		fmt.Fprintf(std.err, "cgoheap: names are missing: without the program's file, the "+
			"callers are unknown; name a copy of it with --binary\n")
	}
	for _, why := range b.Notes {
		fmt.Fprintf(std.err, "cgoheap: %s\n", termtext.Escape(why))
	}
}

// goUnknown tells "not Go" from a file that is cut off.
func (p *postmortem) goUnknown() string {
	if p.recording.LacksFigures {
		return "Go unknown"
	}
	return ""
}

// printHolders is the table of who held C memory.
func (p *postmortem) printHolders(out io.Writer, limit int) {
	b, sum := p.recording, p.sum
	if b.LacksStacks {
		fmt.Fprintln(out, "C memory in use at the end is unknown")
		return
	}
	estimated := b.IsEstimated()
	fmt.Fprintf(out, "C memory in use at the end %s in %s\n", sum.Amount(),
		termtext.Estimate(termtext.CountOf(int(sum.Objects), "object", "objects"), estimated))
	if line := sum.MappedLine(); line != "" {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintln(out)
	if len(sum.Rows) == 0 {
		fmt.Fprintln(out, sum.NoRows())
	} else {
		rows := [][]string{{"BYTES", "OBJECTS", "WHAT", "GO CALLER", "C LEAF"}}
		for _, r := range sum.Rows[:min(limit, len(sum.Rows))] {
			rows = append(rows, []string{r.Amount(estimated), r.Count(estimated),
				r.What(), termtext.Escape(r.GoCaller), termtext.Escape(r.CLeaf)})
		}
		termtext.WriteTable(out, []bool{true, true, false, false, false}, rows)
		if left := len(sum.Rows) - limit; left > 0 {
			fmt.Fprintf(out, "and %s\n", termtext.CountOf(left, "row more", "rows more"))
		}
	}
}

func (p *postmortem) printEnd(out io.Writer) {
	b := p.recording
	const layout = "2006-01-02 15:04:05 MST"
	last := b.Last()
	switch {
	case last == nil && b.LacksFigures:
		fmt.Fprintf(out, "started %s; its figures are missing from the file\n",
			b.Start.Format(layout))
	case last == nil:
		fmt.Fprintf(out, "started %s; it ended before its first figures were written\n",
			b.Start.Format(layout))
	case p.alive:
		fmt.Fprintf(out, "started %s; it is still running\n", b.Start.Format(layout))
	default:
		fmt.Fprintf(out, "started %s, last seen %s, after %s\n", b.Start.Format(layout),
			last.Time.Time().Format(layout),
			termtext.Duration(last.Time.Time().Sub(b.Start)))
	}
	if b.IsCopied {
		fmt.Fprintln(out, "the recording was on a disk and was written once a second: the last "+
			"second may be missing")
	}
}

// printFigures shows the last second's figures, and earlier ones.
func (p *postmortem) printFigures(out io.Writer) {
	last := p.recording.Last()
	if last == nil {
		return
	}
	line := fmt.Sprintf("RSS %s: anonymous %s, files %s, swapped %s", bytesOrUnknown(last.RSS),
		bytesOrUnknown(last.Anon),
		bytesOrUnknown(last.File), bytesOrUnknown(last.Swap))
	if last.CgroupCurrent.IsKnown() {
		line += "; cgroup " + bytesOrUnknown(last.CgroupCurrent)
		if last.CgroupLimit.IsKnown() {
			line += " of " + bytesOrUnknown(last.CgroupLimit)
		}
	}
	fmt.Fprintln(out, line)
	if last.SampleBytes == 0 {
		fmt.Fprintln(out, "dormant at the end: what was allocated then is unknown")
	} else {
		fmt.Fprintf(out, "sampled: %s, %s", termtext.Interval(uint64(last.SampleBytes)),
			termtext.CountOf(int(last.Samples), "sample", "samples"))
		if last.Dropped > 0 {
			fmt.Fprintf(out, ", %s dropped", termtext.Count(int64(last.Dropped)))
		}
		fmt.Fprintln(out)
	}
	rows := [][]string{{"BEFORE", "RSS", "C IN USE", "C FREE", "C MAPPED", "GO IN USE", "GO FREE"}}
	for _, back := range []time.Duration{time.Hour, 10 * time.Minute, time.Minute, 10 * time.Second,
		0} {
		if m := p.recording.Before(back); m != nil {
			rows = append(rows, []string{termtext.Duration(back), bytesOrUnknown(m.RSS),
				bytesOrUnknown(m.CLiveBytes), bytesOrUnknown(m.AllocatorFree),
				bytesOrUnknown(m.CMappedBytes), bytesOrUnknown(m.GoHeapInUse),
				bytesOrUnknown(m.GoHeapFree)})
		}
	}
	fmt.Fprintln(out)
	termtext.WriteTable(out, []bool{true, true, true, true, true, true, true}, rows)
	fmt.Fprintln(out)
}

// printAccount is what explain prints, as of the last account before the end.
func (p *postmortem) printAccount(std stdio) {
	e, last := p.explained, p.recording.Last()
	switch {
	case e != nil:
		width := textWidth(std)
		fmt.Fprintf(std.out, "What its memory was made of, %s", p.accountAge())
		if e.grown != nil {
			fmt.Fprintf(std.out, "; GROWN is in the last %s", termtext.Duration(e.grown.Elapsed))
		}
		fmt.Fprintln(std.out)
		fmt.Fprintln(std.out)
		e.printAccount(std, width)
		fmt.Fprintln(std.out)
	case last != nil:
		fmt.Fprintln(std.out, "what its memory was made of is unknown: no account was written "+
			"before the end")
		fmt.Fprintf(std.out, "the C allocator says: in use %s, free %s, of %s from the system\n",
			bytesOrUnknown(last.AllocatorInUse),
			bytesOrUnknown(last.AllocatorFree), bytesOrUnknown(last.AllocatorSystem))
		fmt.Fprintf(std.out, "Go says: heap in use %s, free %s, released %s; stacks %s\n\n",
			bytesOrUnknown(last.GoHeapInUse),
			bytesOrUnknown(last.GoHeapFree), bytesOrUnknown(last.GoHeapReleased),
			bytesOrUnknown(last.GoStacks))
	}
}

// accountAge is how old it was at the end.
func (p *postmortem) accountAge() string {
	e, last := p.explained, p.recording.Last()
	if last == nil || last.Time.Time().Sub(e.account.Time) < 50*time.Millisecond {
		return "when the last figures were written"
	}
	return fmt.Sprintf("%.1f s before the last figures",
		last.Time.Time().Sub(e.account.Time).Seconds())
}

type autopsyJSON struct {
	Program   string                `json:"program"`
	PID       uint32                `json:"pid"`
	GoVersion string                `json:"go_version"`
	Start     string                `json:"start_time"`
	Alive     bool                  `json:"alive"`
	Copied    bool                  `json:"copied_each_second"` // the last second may be missing
	Estimated bool                  `json:"estimated"`
	Bytes     int64                 `json:"in_use_bytes"`
	Objects   int64                 `json:"in_use_objects"`
	Rows      []holders.Row         `json:"rows"`
	RowsLeft  int                   `json:"rows_left_out"`
	Account   *document.Object      `json:"account"` // as explain has it; nil: none was written
	Moments   []recordlayout.Second `json:"moments"`
	Missing   []string              `json:"missing_binaries"`
	Notes     []string              `json:"notes"`
}

func (p *postmortem) writeJSON(std stdio, limit int) error {
	j := p.toJSON(limit)
	if p.explained != nil {
		o, err := p.explained.toJSON()
		if err != nil {
			return err
		}
		j.Account = &o
	}
	return document.Write(std.out, "autopsy", j)
}

func (p *postmortem) toJSON(limit int) autopsyJSON {
	b, sum := p.recording, p.sum
	shown := holders.Stated(sum.Rows[:min(limit, len(sum.Rows))])
	j := autopsyJSON{Program: strings.ToValidUTF8(b.Program, "?"), PID: b.PID,
		GoVersion: b.GoVersion,
		Start:     b.Start.UTC().Format(time.RFC3339Nano), Alive: p.alive, Copied: b.IsCopied,
		Estimated: b.IsEstimated(),
		Bytes:     sum.Bytes, Objects: sum.Objects, Rows: shown,
		RowsLeft: len(sum.Rows) - len(shown),
		Moments:  append([]recordlayout.Second{}, b.Seconds...), Missing: append([]string{},
			p.symbols.Missing()...), Notes: append([]string{}, b.Notes...)}
	return j
}

func programName(path string) string {
	if path == "" {
		return "unknown program"
	}
	return termtext.Escape(filepath.Base(path))
}

// explain turns the recorded account into what explain would have shown.
func (p *postmortem) explain(callers *stacks.CallerRule, file string) {
	b := p.recording
	a, body := b.AccountBefore()
	if a == nil {
		return
	}
	e := &explanation{account: a, body: body, grown: b.Grown(a), recorded: true, file: file,
		callers: callers}
	last := b.Last()
	e.verdict = verdict.Judge(&verdict.Situation{Account: a, Grown: e.grown, PID: int(b.PID),
		Env:     b.Environment,
		Callers: callers, Dropped: b.Dropped(), Off: b.Off(), Dormant: last != nil &&
			last.SampleBytes == 0, File: file, Ended: !p.alive})
	p.explained = e
}
