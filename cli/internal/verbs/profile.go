package verbs

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/outfile"
	"cgoheap.example/cli/internal/termtext"
	"cgoheap.example/cli/internal/verdict"
)

const profileHelp = `usage: cgoheap profile [PID|NAME] [flags]

Saves a profile that go tool pprof reads, of the C memory in use now.

  --memory       all resident memory by owner; the total is RSS
  --peak         what was in use when most was, since the start; instead of
                 PID also of a recording, FILE.cgoheap
  --of rss       with --peak: when RSS was highest
  --reset        with --peak: after that, look for the highest from now on
  --frees        who frees: finalizers, cleanups, other Go code, C threads
  --pinned       what keeps the C allocator's free memory from going back
  -o FILE        output file (default cgoheap.PROGRAM.PID.TIME.pb.gz, or
                 cgoheap-memory.PROGRAM...; in a directory, a file of that
                 name; - is stdout; symbolic links are refused)
  --seconds N    growth: what is allocated within N seconds and still in use
                 at the end (Ctrl-C ends it early and saves)
  --older D      only blocks at least this old, such as 10m: a leak is old
  --age          by age: of what each stack allocated 1 to 2 minutes ago, and so
                 on, how much is still in use (label age)
  --raw          addresses and build IDs only; pprof finds the names elsewhere
  --all-frames   keep cgo's own frames
  --text         as text, to read without pprof (to stdout)

Examples:
  cgoheap profile 4242
  cgoheap profile 4242 --seconds 60 -o growth.pb.gz
  cgoheap profile 4242 --memory
  cgoheap profile 4242 -o now.pb.gz && go tool pprof -top now.pb.gz
  ssh host cgoheap profile service -o - > there.pb.gz

PID may be a program's name; leave it out if only one process has cgoheap loaded.
`

type profileOptions struct {
	output                string
	seconds               int
	older                 time.Duration
	raw, allFrames, asTxt bool
	memory, byAge         bool
	views                 views
	peak                  peakOptions
	view                  *profileView // nil: what is in use now
}

// name of the profile below /debug/pprof/.
func (o *profileOptions) name() string {
	if o.memory {
		return "memory"
	}
	return "cgoheap"
}

func parseProfileFlags(args []string) (*profileOptions, string, error) {
	o := &profileOptions{}
	f := flags.New()
	f.Text("-o --output", &o.output)
	f.Count("--seconds", &o.seconds, 1, 3600)
	f.Duration("--older", &o.older, 0, 10*365*24*time.Hour)
	f.Boolean("--raw", &o.raw)
	f.Boolean("--all-frames", &o.allFrames)
	f.Boolean("--text", &o.asTxt)
	f.Boolean("--memory", &o.memory)
	f.Boolean("--age", &o.byAge)
	o.views.add(f)
	o.peak.add(f)
	wanted, err := f.ParseTarget(args)
	if err == nil {
		o.view, err = o.views.chosen()
	}
	if err == nil {
		err = o.check()
	}
	if err == nil {
		err = o.peak.check(o.view, wanted)
	}
	if o.asTxt && o.output == "" {
		o.output = "-"
	}
	return o, wanted, err
}

// check refuses flags that exclude each other.
func (o *profileOptions) check() error {
	switch {
	case o.view != nil && (o.memory || o.seconds > 0 || o.older > 0):
		return flags.Usagef("--%s cannot be combined with --memory, --seconds or --older",
			o.view.name)
	case o.byAge && (o.view != nil || o.memory || o.seconds > 0 || o.older > 0):
		return flags.Usagef("--age cannot be combined with --memory, --seconds, --older, %s",
			viewFlags("or"))
	case o.memory && (o.seconds > 0 || o.older > 0):
		return flags.Usagef("--memory shows what is resident now: it cannot be combined with " +
			"--seconds or --older")
	case o.memory && (o.raw || o.allFrames || o.asTxt):
		return flags.Usagef("--memory always saves one profile, with names: it cannot be " +
			"combined with --raw, --all-frames or --text")
	case o.seconds > 0 && o.older > 0:
		return flags.Usagef("--seconds and --older cannot be combined: a block that reaches that " +
			"age meanwhile would count as growth")
	case o.raw && o.asTxt:
		return flags.Usagef("--raw and --text cannot be combined: one omits the names, the other " +
			"is for reading them")
	}
	return nil
}

func (o *profileOptions) query() url.Values {
	q := url.Values{}
	if o.seconds > 0 {
		q.Set("seconds", strconv.Itoa(o.seconds))
	}
	if o.older > 0 {
		q.Set("older", o.older.String())
	}
	if o.raw {
		q.Set("symbols", "none")
	}
	if o.allFrames {
		q.Set("frames", "all")
	}
	if o.asTxt {
		q.Set("debug", "1")
	}
	if o.view != nil {
		q.Set("view", o.view.name)
	}
	if o.byAge {
		q.Set("labels", "age")
	}
	if o.peak.of != "" {
		q.Set("of", o.peak.of)
	}
	if o.peak.reset {
		q.Set("reset", "1")
	}
	return q
}

func saveProfile(std stdio, args []string) error {
	o, wanted, err := parseProfileFlags(args)
	if err != nil {
		return err
	}
	if isRecording(wanted) {
		return o.saveRecordedPeak(std, wanted)
	}
	c, err := attach.To(wanted)
	if err != nil {
		return err
	}
	if o.output == "-" && !o.asTxt && std.terminal != nil {
		return fmt.Errorf("a profile is binary, and stdout is a terminal: " +
			"name a file with -o, or read it as text with --text")
	}
	target, err := outfile.Open(std.out, o.output, o.defaultName(c.Process, time.Now()))
	if err != nil {
		return err
	}
	defer target.Discard()
	body, err := o.fetch(std, c)
	if err != nil {
		return err
	}
	said := ""
	if !o.asTxt {
		if said, err = o.describe(c.Process, body); err != nil {
			return err
		}
	}
	if err := target.Commit(body); err != nil {
		return err
	}
	if target.Path != "" {
		printNext(std, target.Path, said, o)
	}
	o.printCautions(std, c)
	o.printElsewhere(std, c)
	return nil
}

// printElsewhere: mappings of devices and written pages of files are not blocks; only the memory
// profile has their stacks. Without this line a profile of 96 MiB of packet rings is empty and says
// nothing.
func (o *profileOptions) printElsewhere(std stdio, c *attach.Client) {
	if o.memory || o.seconds > 0 || o.older > 0 || o.view != nil {
		return
	}
	a, _, err := c.Account()
	if err != nil {
		return
	}
	for _, owner := range []string{account.DeviceMaps, account.FileCopies} {
		if says := verdict.LargeOwner(a, owner); says != "" {
			fmt.Fprintf(std.err, "cgoheap: %s, %s, is not included: cgoheap profile --memory %d "+
				"shows who mapped that\n",
				says, account.Label(owner), c.Process.PID)
		}
	}
}

// printCautions says last why figures may be too low: an empty profile of a dormant library reads
// like good news.
func (o *profileOptions) printCautions(std stdio, c *attach.Client) {
	s, err := c.Status()
	if err != nil {
		return
	}
	of := ""
	if o.memory {
		of = "of the stacks of C live: " // its total is the RSS anyway
	}
	for _, line := range cautions(s, c.Process.PID) {
		fmt.Fprintf(std.err, "cgoheap: %s%s\n", of, line)
	}
}

// describe also checks that what is saved can be read.
func (o *profileOptions) describe(p *attach.Process, body []byte) (string, error) {
	parsed, err := attach.ParseProfile(body)
	if err == nil {
		say := describeHeap
		if o.memory {
			say = describeMemory
		} else if o.view != nil {
			say = o.view.describe
		}
		var said string
		if said, err = say(parsed); err == nil {
			return said, nil
		}
	}
	return "", fmt.Errorf("%s sent a profile that cannot be read: %s", p.Title(),
		termtext.Escape(err.Error()))
}

func describeHeap(p *profile.Profile) (string, error) {
	s, err := holders.Summarize(p, nil)
	if err != nil {
		return "", err
	}
	amount := termtext.Estimate(termtext.Bytes(s.Bytes), s.Estimated)
	if p.DurationNanos == 0 {
		amount = s.Amount()
	}
	said := fmt.Sprintf("%s %s in %s", amount, inUseOrGrown(p, s.Bytes),
		termtext.CountOf(countStacks(p), "stack", "stacks"))
	if line := s.MappedLine(); line != "" {
		said += "; " + line
	}
	return said, nil
}

// countStacks: one stack may have several samples, by size, labels and age.
func countStacks(p *profile.Profile) int {
	stacks := map[string]bool{}
	var key strings.Builder
	for _, s := range p.Sample {
		key.Reset()
		for _, l := range s.Location {
			fmt.Fprintf(&key, "%d ", l.ID)
		}
		stacks[key.String()] = true
	}
	return len(stacks)
}

// inUseOrGrown: growth has a time, and a rate if the time is long enough.
func inUseOrGrown(p *profile.Profile, bytes int64) string {
	if p.DurationNanos == 0 {
		return "in use"
	}
	g := &account.Growth{Elapsed: time.Duration(p.DurationNanos)}
	said := "of growth in " + termtext.Duration(g.Elapsed)
	if rate := g.PerHour(bytes); rate != nil {
		said += fmt.Sprintf(" (%s an hour)", termtext.Growth(*rate))
	}
	return said
}

func describeMemory(p *profile.Profile) (string, error) {
	at := holders.SampleTypeIndex(p, "memory_space")
	if at < 0 {
		return "", errors.New("the profile has no memory_space")
	}
	var sum int64
	for _, s := range p.Sample {
		sum += s.Value[at]
	}
	return fmt.Sprintf("%s resident in %s", termtext.Bytes(sum), termtext.CountOf(len(p.Sample),
		"stack", "stacks")), nil
}

func printNext(std stdio, path, said string, o *profileOptions) {
	if o.asTxt {
		fmt.Fprintf(std.err, "cgoheap: wrote %s\n", termtext.QuoteShell(path))
		return
	}
	shown := termtext.QuoteShell(path)
	fmt.Fprintf(std.err, "cgoheap: wrote %s: %s\n", shown, said)
	fmt.Fprintf(std.err, "  go tool pprof %s             the stacks, as text\n", shown)
	fmt.Fprintf(std.err, "  go tool pprof -http=: %s     a flame graph in the browser\n", shown)
}

// openOutput is for verbs that make a profile of what they read: before they print, so that a place
// that cannot be written is the only thing said. Path "" is none; name is without its suffix.
func openOutput(std stdio, path, name string) (*outfile.File, error) {
	if path == "" {
		return nil, nil
	}
	return outfile.Open(std.out, path, name+outfile.Suffix)
}

// writeProfile writes to what openOutput gave.
func writeProfile(std stdio, target *outfile.File, p *profile.Profile) error {
	var body bytes.Buffer
	if err := p.Write(&body); err != nil {
		return err
	}
	if err := target.Commit(body.Bytes()); err != nil || target.Path == "" {
		return err
	}
	fmt.Fprintf(std.err, "cgoheap: wrote %s\n  go tool pprof %s\n",
		termtext.QuoteShell(target.Path), termtext.QuoteShell(target.Path))
	return nil
}

// interruptPatience is for the answer to an interrupt: what has grown by then.
const interruptPatience = 3 * time.Second

// fetch counts down on a terminal. An interrupt cuts the time short; after a second one there is no
// file.
func (o *profileOptions) fetch(std stdio, c *attach.Client) ([]byte, error) {
	type answer struct {
		body []byte
		err  error
	}
	answers := make(chan answer, 1)
	wait := time.Duration(o.seconds) * time.Second
	go func() {
		body, err := c.ProfileBytes(o.name(), o.query(), wait+attach.ProfileTimeout)
		answers <- answer{body, err}
	}()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	left, interrupted := o.seconds, false
	var impatient <-chan time.Time
	counts := std.progress && o.seconds > 0
	if o.seconds > 0 && !std.progress {
		fmt.Fprintf(std.err, "cgoheap: watching %s for %ds\n", c.Process.Title(), o.seconds)
	}
	for {
		if counts {
			fmt.Fprintf(std.err, "\r\x1b[Kcgoheap: watching %s, %ds left", c.Process.Title(), left)
		}
		select {
		case a := <-answers:
			clearLine(std, counts)
			if interrupted && a.err != nil {
				return nil, errInterrupted
			}
			if interrupted {
				fmt.Fprintf(std.err, "cgoheap: interrupted, %ds early: the growth so far "+
					"is saved\n", left)
			}
			return a.body, a.err
		case <-signals:
			if o.seconds > 0 && !interrupted && c.EndSending() {
				interrupted, impatient = true, time.After(interruptPatience)
				continue
			}
			clearLine(std, counts)
			return nil, errInterrupted
		case <-impatient:
			clearLine(std, counts)
			return nil, errInterrupted
		case <-tick.C:
			left = max(left-1, 0)
		}
	}
}

var errInterrupted = errors.New("interrupted: nothing was saved")

func clearLine(std stdio, shown bool) {
	if shown {
		fmt.Fprint(std.err, "\r\x1b[K")
	}
}

// fileWord is a name as a part of a file's.
func fileWord(name string) string {
	return strings.Map(func(r rune) rune {
		if r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r) ||
			strings.ContainsRune("._-", r)) {
			return r
		}
		return '_'
	}, name)
}

// defaultName differs by program, process and time.
func (o *profileOptions) defaultName(p *attach.Process, now time.Time) string {
	program := fileWord(p.Program())
	kind := ""
	if o.memory {
		kind = "-memory"
	} else if o.view != nil {
		kind = "-" + o.view.name
	} else if o.byAge {
		kind = "-age"
	}
	return fmt.Sprintf("cgoheap%s.%s.%d.%s%s", kind, program, p.PID, now.Format("20060102-150405"),
		outfile.Suffix)
}
