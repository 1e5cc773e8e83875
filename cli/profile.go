package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/google/pprof/profile"
)

const profileHelp = `usage: cgoheap profile PID [flags]

Saves a profile that go tool pprof reads, of the C memory in use now.

  --memory       of the whole resident memory instead, by owner: its total is
                 the RSS that cgoheap explain explains
  -o FILE        where to (default cgoheap.PROGRAM.PID.TIME.pb.gz here, or
                 cgoheap-memory.PROGRAM...; - is the standard output)
  --seconds N    what is allocated and still in use after N seconds: the growth
  --older D      only blocks at least this old, such as 10m: a leak is old
  --raw          addresses and build IDs only; pprof finds the names elsewhere
  --all-frames   keep the frames by which Go calls C
  --text         as text, to read without pprof (to the standard output)

Examples:
  cgoheap profile 4242
  cgoheap profile 4242 --seconds 60 -o growth.pb.gz
  cgoheap profile 4242 --memory
  cgoheap profile 4242 -o - | go tool pprof -top /dev/stdin
`

type profileOptions struct {
	output                string
	seconds               int
	older                 time.Duration
	raw, allFrames, asTxt bool
	memory                bool
}

// name is the profile's own, below /debug/pprof/.
func (o *profileOptions) name() string {
	if o.memory {
		return "memory"
	}
	return "cgoheap"
}

func parseProfileFlags(args []string) (*profileOptions, int, error) {
	o := &profileOptions{}
	f := newFlags()
	f.text("-o --output", &o.output)
	f.count("--seconds", &o.seconds, 1, 3600)
	f.duration("--older", &o.older, 0, 10*365*24*time.Hour)
	f.boolean("--raw", &o.raw)
	f.boolean("--all-frames", &o.allFrames)
	f.boolean("--text", &o.asTxt)
	f.boolean("--memory", &o.memory)
	rest, err := f.parseExactly(args, "PID")
	if err == nil && o.memory && (o.seconds > 0 || o.older > 0) {
		err = usagef("--memory is what is resident now: --seconds and --older do not go with it")
	}
	if err != nil {
		return nil, 0, err
	}
	if o.asTxt && o.output == "" {
		o.output = "-"
	}
	pid, err := parsePID(rest[0])
	return o, pid, err
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
	return q
}

func saveProfile(std stdio, args []string) error {
	o, pid, err := parseProfileFlags(args)
	if err != nil {
		return err
	}
	c, err := attach(pid)
	if err != nil {
		return err
	}
	if o.output == "-" && !o.asTxt && std.terminal != nil {
		return fmt.Errorf("a profile is binary, and the standard output is a terminal: " +
			"name a file with -o, or read it as text with --text")
	}
	target, err := o.openTarget(std, c.process)
	if err != nil {
		return err
	}
	defer target.discard()
	body, err := o.fetch(std, c)
	if err != nil {
		return err
	}
	said := ""
	if !o.asTxt {
		if said, err = o.describe(c.process, body); err != nil {
			return err
		}
	}
	if err := target.commit(body); err != nil {
		return err
	}
	if target.path != "" {
		printNext(std, target.path, said, o)
	}
	return nil
}

// describe also makes sure that what is saved can be read.
func (o *profileOptions) describe(p *process, body []byte) (string, error) {
	parsed, err := parseProfile(body)
	if err == nil {
		say := describeHeap
		if o.memory {
			say = describeMemory
		}
		var said string
		if said, err = say(parsed); err == nil {
			return said, nil
		}
	}
	return "", fmt.Errorf("%s sent a profile that cannot be read: %s", p.title(), escapeName(err.Error()))
}

func describeHeap(p *profile.Profile) (string, error) {
	s, err := summarize(p, nil)
	if err != nil {
		return "", err
	}
	said := fmt.Sprintf("%s in use in %s", estimate(formatBytes(s.bytes), s.estimated), countOf(len(p.Sample), "stack", "stacks"))
	if line := s.mappedLine(); line != "" {
		said += "; " + line
	}
	return said, nil
}

func describeMemory(p *profile.Profile) (string, error) {
	at := sampleTypeIndex(p, "memory_space")
	if at < 0 {
		return "", errors.New("the profile has no memory_space")
	}
	var sum int64
	for _, s := range p.Sample {
		sum += s.Value[at]
	}
	return fmt.Sprintf("%s resident in %s", formatBytes(sum), countOf(len(p.Sample), "stack", "stacks")), nil
}

func printNext(std stdio, path, said string, o *profileOptions) {
	if o.asTxt {
		fmt.Fprintf(std.err, "cgoheap: wrote %s\n", quoteShell(path))
		return
	}
	if o.seconds > 0 {
		said = strings.Replace(said, "in use", "of growth", 1)
	}
	shown := quoteShell(path)
	fmt.Fprintf(std.err, "cgoheap: wrote %s: %s\n", shown, said)
	fmt.Fprintf(std.err, "  go tool pprof %s             the stacks, as text\n", shown)
	fmt.Fprintf(std.err, "  go tool pprof -http=: %s     a flame graph in the browser\n", shown)
}

// fetch shows on a terminal how long it still takes; an interrupt leaves no file behind.
func (o *profileOptions) fetch(std stdio, c *client) ([]byte, error) {
	type answer struct {
		body []byte
		err  error
	}
	answers := make(chan answer, 1)
	wait := time.Duration(o.seconds) * time.Second
	go func() {
		body, err := c.profileBytes(o.name(), o.query(), wait+profileTimeout)
		answers <- answer{body, err}
	}()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	left := o.seconds
	counts := std.progress && o.seconds > 0
	if o.seconds > 0 && !std.progress {
		fmt.Fprintf(std.err, "cgoheap: watching %s for %ds\n", c.process.title(), o.seconds)
	}
	for {
		if counts {
			fmt.Fprintf(std.err, "\r\x1b[Kcgoheap: watching %s, %ds left", c.process.title(), left)
		}
		select {
		case a := <-answers:
			clearLine(std, counts)
			return a.body, a.err
		case <-signals:
			clearLine(std, counts)
			return nil, errors.New("interrupted: nothing was saved")
		case <-tick.C:
			left = max(left-1, 0)
		}
	}
}

func clearLine(std stdio, shown bool) {
	if shown {
		fmt.Fprint(std.err, "\r\x1b[K")
	}
}

// target is the file to be: it has its name only once it is whole.
type target struct {
	std       stdio
	path      string // "" = the standard output
	temporary *os.File
	direct    bool // a device or pipe: written as it is
}

func (o *profileOptions) openTarget(std stdio, p *process) (*target, error) {
	t := &target{std: std, path: o.output}
	if t.path == "-" {
		t.path = ""
		return t, nil
	}
	if t.path == "" {
		t.path = o.defaultName(p, time.Now())
	}
	if info, err := os.Stat(t.path); err == nil {
		if info.IsDir() {
			t.path = filepath.Join(t.path, o.defaultName(p, time.Now()))
		} else if !info.Mode().IsRegular() {
			t.direct = true
			return t, nil
		}
	}
	// Opened first: an hour of --seconds must not end in a file that cannot be made.
	file, err := os.CreateTemp(filepath.Dir(t.path), ".cgoheap-*")
	if err != nil {
		var where *os.PathError
		if errors.As(err, &where) {
			err = where.Err
		}
		return nil, fmt.Errorf("nothing can be written in %s (%w): name another place with -o",
			quoteName(filepath.Dir(t.path)), err)
	}
	t.temporary = file
	return t, nil
}

// defaultName tells programs, processes and moments apart.
func (o *profileOptions) defaultName(p *process, now time.Time) string {
	program := strings.Map(func(r rune) rune {
		if r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._-", r)) {
			return r
		}
		return '_'
	}, p.program())
	kind := ""
	if o.memory {
		kind = "-memory"
	}
	return fmt.Sprintf("cgoheap%s.%s.%d.%s.pb.gz", kind, program, p.pid, now.Format("20060102-150405"))
}

func (t *target) commit(body []byte) error {
	switch {
	case t.path == "":
		_, err := t.std.out.Write(body)
		return err
	case t.direct:
		return os.WriteFile(t.path, body, 0o644)
	}
	_, err := t.temporary.Write(body)
	if err == nil {
		err = t.temporary.Chmod(0o644)
	}
	if closeErr := t.temporary.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(t.temporary.Name(), t.path)
	}
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", quoteName(t.path), err)
	}
	t.temporary = nil
	return nil
}

// discard takes away what was not committed.
func (t *target) discard() {
	if t.temporary != nil {
		t.temporary.Close()
		os.Remove(t.temporary.Name())
	}
}
