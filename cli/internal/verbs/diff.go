package verbs

import (
	"regexp"
	"strconv"
	"strings"

	"cgoheap.example/cli/internal/difference"
	"cgoheap.example/cli/internal/document"
	"cgoheap.example/cli/internal/flags"
	figures "cgoheap.example/cli/internal/sampling"
	"cgoheap.example/cli/internal/stacks"
	"cgoheap.example/cli/internal/termtext"
)

const diffHelp = `usage: cgoheap diff FILE|DIR [FILE|DIR|PID|NAME] [flags]

Shows which stacks grew and shrank between two moments: only those that changed
by more than sampling alone explains.  The others are summed in one line.

The older moment comes first.  A moment is a profile that was saved (cgoheap
profile; Go's heap profile too), or a directory of cgoheap collect.  The second
may be a process, whose profile is taken now; left out, it is the only one that
has cgoheap loaded.  A series alone is compared from first scene to last.

  --url URL         take the second from the service's net/http/pprof
  --confidence P    that no row is noise, all rows together (default 0.95)
  --sample-index X  inuse_space, inuse_objects, alloc_space or alloc_objects, in
                    pprof's words (default inuse_space)
  --process WHICH   one or two: whether both are of one process (default: what
                    they say themselves)
  --normalize       scale the second to the total of the first: two processes
                    under different load
  --all             also show what changed by less than its sampling error
  -o FILE           save the difference for go tool pprof, as -diff_base does;
                    what changed by less than its error is one frame in it, with
                    --all it is whole
  -n, --rows N      rows to show (default 20)
  --caller WHICH    the Go function to name, as for cgoheap top
  --filter REGEXP   only rows whose caller or leaf matches
  --stacks          show each row's stack
  --json            print JSON

Examples:
  $ cgoheap profile 4242 -o before.pb.gz
  $ cgoheap diff before.pb.gz 4242
  svc (4242)  03:04:05 to 03:14:05 (10m)  sampled 1 in 512KiB
  C memory in use ~581.0 MiB, then ~616.0 MiB: +35.0 MiB (+2.9 MiB to
  +67.2 MiB), +210.0 MiB an hour

     CHANGE                 BETWEEN  GO CALLER          C LEAF
  +30.0 MiB  +21.7 MiB to +39.9 MiB  main.(*log).audit  C.CString
   +1.0 MiB                 counted  main.pool          pool_grow

  2 stacks changed by less than their sampling error: +4.0 MiB together
  (-27.2 MiB to +35.2 MiB)
  nothing came or went in 1 stack
  with 95 % confidence no row is noise (2 stacks had samples enough to tell;
  each row is 97.5 % sure)

  $ cgoheap diff before.pb.gz after.pb.gz --sample-index alloc_space
  $ cgoheap diff canary.pb.gz after.pb.gz --process two --normalize
  $ cgoheap diff before.pb.gz after.pb.gz -o grown.pb.gz
  $ cgoheap diff scenes
  $ cgoheap diff scenes/001 scenes/002 --stacks

How sure: a sampled block stands for many, so two looks at the same amount of
memory differ.  Blocks that live in both profiles of one process are the same
samples and cancel: only what came or went is uncertain.  Two processes share no
sample: both errors count.  Of 1,000 stacks 50 would seem to have changed at
95 % each; by Holm's procedure 95 % is the confidence that no row at all is
noise.  BETWEEN is where a row's true change lies, at the level that this takes
of each row; "counted" are mappings and thread stacks, which are not sampled.
`

type diffOptions struct {
	difference.Options
	url, output string
	rows        int
	filter      *regexp.Regexp // nil: all rows
	stacks      bool
	asJSON      bool
	callers     stacks.CallerRule
}

var figureNames = map[string]figures.Figure{}

func init() {
	for f := figures.AllocObjects; f <= figures.InUseBytes; f++ {
		figureNames[f.String()] = f
	}
}

func parseDiff(args []string) (*diffOptions, []string, error) {
	o := &diffOptions{rows: 20}
	o.Figure, o.Confidence, o.Callers = figures.InUseBytes, 0.95, &o.callers
	var figure, processes string
	f := flags.New()
	f.Text("--url", &o.url)
	f.Text("-o --output", &o.output)
	f.Add("--confidence", &flags.Flag{Set: o.setConfidence})
	f.Choice("--sample-index --sample_index", &figure, "inuse_space", "inuse_objects",
		"alloc_space", "alloc_objects")
	f.Choice("--process", &processes, string(difference.OneProcess),
		string(difference.TwoProcesses))
	f.Boolean("--normalize", &o.Normalize)
	f.Boolean("--all", &o.All)
	f.Count("-n --rows", &o.rows, 1, 100000)
	f.Add("--caller", &flags.Flag{Set: o.callers.Set})
	f.Pattern("--filter", &o.filter)
	f.Boolean("--stacks", &o.stacks)
	f.Boolean("--json", &o.asJSON)
	operands, err := f.Parse(args)
	if figure != "" {
		o.Figure = figureNames[figure]
	}
	o.Processes = difference.Processes(processes)
	if err == nil {
		err = o.check(operands)
	}
	return o, operands, err
}

// setConfidence takes 0.95 and 95%.
func (o *diffOptions) setConfidence(v string) error {
	number, isPercent := strings.CutSuffix(v, "%")
	p, err := strconv.ParseFloat(number, 64)
	if isPercent {
		p /= 100
	}
	if err != nil || !(p >= 0.5 && p <= 0.999999) {
		return flags.Usagef("a number from 0.5 to 0.999999, such as 0.95 or 99%%")
	}
	o.Confidence = p
	return nil
}

func (o *diffOptions) check(operands []string) error {
	switch {
	case len(operands) == 0:
		return flags.Usagef("FILE is missing: the older profile; cgoheap profile saves one")
	case len(operands) > 2:
		return flags.Usagef("unexpected argument %s", termtext.Quote(operands[2]))
	case len(operands) == 2 && o.url != "":
		return flags.Usagef("%s and --url are both the second moment: leave one out",
			termtext.Quote(operands[1]))
	case o.output == "-":
		return flags.Usagef("-o - would mix a profile with the text on stdout: name a file")
	}
	return nil
}

func diff(std stdio, args []string) error {
	o, operands, err := parseDiff(args)
	if err != nil {
		return err
	}
	before, after, err := o.moments(operands)
	if err == nil {
		err = o.spareInputs(operands)
	}
	if err != nil {
		return err
	}
	d, err := difference.Compare(before, after, &o.Options)
	if err != nil {
		return err
	}
	target, err := openOutput(std, o.output, "cgoheap-diff")
	if err != nil {
		return err
	}
	defer target.Discard()
	if o.asJSON {
		err = document.Write(std.out, "diff", o.toJSON(d))
	} else {
		o.print(std, d)
	}
	if err != nil || target == nil {
		return err
	}
	p, err := d.Profile(o.All)
	if err != nil {
		return err
	}
	return writeProfile(std, target, p)
}
