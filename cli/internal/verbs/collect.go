package verbs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/collect"
	"cgoheap.example/cli/internal/document"
	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/outfile"
	"cgoheap.example/cli/internal/program"
	"cgoheap.example/cli/internal/stacks"
	"cgoheap.example/cli/internal/termtext"
	"cgoheap.example/cli/internal/verdict"
)

const collectHelp = `usage: cgoheap collect [PID|NAME] [--url URL] [flags]

Saves the scene of an incident into one directory: cgoheap's profiles and account,
what /proc and the cgroup say, the host, and Go's own profiles.  Its README.txt
says whether the Go heap explains the RSS, and what to do next.

  --url URL    the service's net/http/pprof, for Go's profiles; alone or with PID
               (http://USER:PASSWORD@host:6060/...; the password is not saved)
  -o DIR       the directory (default HOST-PROGRAM-TIME); it must not exist
  --tar        one file DIR.tar.gz in place of the directory (-o -: to stdout)
  --cpu D      profile the processor for this long, last (default 30s; 0: not)
  --trace D    also save an execution trace of this long
  --gc WHICH   on: also save the heap after a collection of garbage, which the
               service then does; off: not (default on)
  --every D --for D   a series: a scene every D, in DIR/001, 002, ...
  --keep N     of a series, keep the first scene and the last ones, N in all
  --json       print the manifest as JSON

What fails is noted and stops nothing else: 3 s to connect, 90 s to answer, 2
more attempts.  Ctrl-C keeps what is saved.  A process without cgoheap loaded
gives the rest.  The directory is private to you (mode 0700): it has the command
line, addresses and labels; no environment, no contents of memory.

Examples:
  cgoheap collect 4242
  cgoheap collect 4242 --url http://127.0.0.1:6060/debug/pprof
  cgoheap collect --url http://10.0.0.7:6060 --cpu 0
  cgoheap collect 4242 --every 10m --for 2h --cpu 10s
  ssh host cgoheap collect service --tar -o - > scene.tar.gz

PID may be a program's name; leave it out if only one process has cgoheap loaded.
`

type collectOptions struct {
	output     string
	url        string
	asTar      bool
	asJSON     bool
	cpu, trace time.Duration
	gc         string
	series     collect.Series
	callers    stacks.CallerRule
}

func parseCollect(args []string) (*collectOptions, string, error) {
	o := &collectOptions{cpu: 30 * time.Second, gc: "on"}
	f := flags.New()
	f.Text("--url", &o.url)
	f.Text("-o --output", &o.output)
	f.Boolean("--tar", &o.asTar)
	f.Duration("--cpu", &o.cpu, 0, 10*time.Minute)
	f.Duration("--trace", &o.trace, 0, 5*time.Minute)
	f.Choice("--gc", &o.gc, "on", "off")
	f.Duration("--every", &o.series.Every, time.Second, 24*time.Hour)
	f.Duration("--for", &o.series.For, time.Second, 365*24*time.Hour)
	f.Count("--keep", &o.series.Keep, 2, 1000)
	f.Boolean("--json", &o.asJSON)
	wanted, err := f.ParseTarget(args)
	if err == nil {
		err = o.check()
	}
	return o, wanted, err
}

// check refuses flags that exclude each other.
func (o *collectOptions) check() error {
	s := &o.series
	lasts := o.cpu + o.trace
	switch {
	case (s.Every > 0) != (s.For > 0):
		return flags.Usagef("--every and --for belong together: --every 10m --for 2h")
	case s.Keep > 0 && s.Every == 0:
		return flags.Usagef("--keep is for a series: --every 10m --for 2h")
	case s.Every > s.For:
		return flags.Usagef("--for %s ends before the second scene, which --every %s takes",
			termtext.Duration(s.For), termtext.Duration(s.Every))
	case s.Every > 0 && o.url != "" && s.Every < lasts:
		return flags.Usagef("--every %s is shorter than what one scene takes (--cpu and --trace: "+
			"%s)", termtext.Duration(s.Every), termtext.Duration(lasts))
	case o.output == "-" && !o.asTar:
		return flags.Usagef("-o - is for an archive: add --tar")
	case o.output == "-" && o.asJSON:
		return flags.Usagef("-o - and --json would mix on stdout: name a file with -o")
	}
	return nil
}

func collectScene(std stdio, args []string) error {
	o, wanted, err := parseCollect(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM,
		syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop)   // a second one ends the command
	signal.Ignore(syscall.SIGPIPE) // a reader that has gone is an error, after which we clean up
	c, err := o.options(ctx, std, wanted)
	if err != nil {
		return err
	}
	place, err := o.place(std, c, time.Now())
	if err != nil {
		return err
	}
	defer place.end()
	manifest, err := o.take(ctx, std, c, place)
	if manifest == nil {
		return err
	}
	if failed := place.archive(std); failed != nil {
		return failed
	}
	if err != nil {
		return fmt.Errorf("%w: what was collected is in %s, and its manifest.json says what is "+
			"missing", err, termtext.QuoteShell(place.shown()))
	}
	if o.asJSON {
		return document.Write(std.out, manifest.kind, manifest.document)
	}
	return nil
}

// options says who is asked.
func (o *collectOptions) options(
	ctx context.Context, std stdio, wanted string,
) (*collect.Options, error) {
	c := &collect.Options{CPU: o.cpu, Trace: o.trace, GC: o.gc == "on",
		Limits: collect.UsualLimits, Clock: collect.Now, Progress: std.err}
	c.Host, _ = os.Hostname()
	if o.url != "" {
		server, err := collect.ParseURL(o.url, c.Limits)
		if err != nil {
			return nil, flags.Usagef("invalid --url: expected %s", err)
		}
		c.Server = server
	}
	if wanted == "" && o.url != "" {
		return c, o.nameByURL(ctx, c)
	}
	p, err := attach.FindAny(wanted)
	if err != nil {
		return nil, err
	}
	o.know(c, p)
	return c, nil
}

// nameByURL asks the service who it is.
func (o *collectOptions) nameByURL(ctx context.Context, c *collect.Options) error {
	host, _, err := net.SplitHostPort(c.Server.Host())
	if err != nil {
		host = c.Server.Host()
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		c.Host = host
	}
	c.Program, err = c.Server.Program(ctx)
	return err
}

// know takes what the library and the verdict need of a process.
func (o *collectOptions) know(c *collect.Options, p *attach.Process) {
	c.Process, c.Program = p, p.Program()
	client := attach.NewClient(p)
	c.Library = collect.LibraryPages(client, c.Limits.Each)
	shims, err := p.Shims()
	if err != nil {
		err = p.ExplainAccess(err)
	} else if len(shims) == 0 {
		err = p.ExplainNoShim()
	}
	if err != nil {
		c.Library = func(string) ([]byte, error) { return nil, err }
		return
	}
	o.callers.Know(attach.ProcPath(p.PID, "exe"))
	env, _ := p.Environ() // without it the verdict does not know what is set; it is not saved
	c.Situation = verdict.Situation{PID: p.PID, Env: env, Callers: &o.callers,
		Purego:     program.PuregoOf(p),
		RawMappers: func() []string { return program.RawMappers(p) },
		OwnNew:     func() string { return program.OwnNew(p) }}
}

// taken is what --json prints.
type taken struct {
	kind     string
	document any
}

func (o *collectOptions) take(
	ctx context.Context, std stdio, c *collect.Options, place *scenePlace,
) (*taken, error) {
	fmt.Fprintf(std.err, "cgoheap: collecting into %s\n", termtext.QuoteShell(place.dir))
	if o.series.Every > 0 {
		m, err := collect.TakeSeries(ctx, place.dir, c, &o.series)
		if m == nil || !exists(place.dir) {
			return nil, err
		}
		return &taken{"series", m}, cmp.Or(err, o.printAnswer(std, place))
	}
	m, err := collect.Take(ctx, place.dir, c)
	if m == nil || !exists(place.dir) {
		return nil, err
	}
	return &taken{"scene", m}, cmp.Or(err, o.printAnswer(std, place))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// printAnswer shows the README's first paragraph.
func (o *collectOptions) printAnswer(std stdio, place *scenePlace) error {
	text, err := os.ReadFile(filepath.Join(place.dir, "README.txt"))
	if errors.Is(err, os.ErrNotExist) {
		return nil // the disk is full, which is said
	}
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(text), "\n\n")
	var out io.Writer = std.out
	if o.asJSON || o.output == "-" {
		out = std.err
	}
	fmt.Fprintf(out, "%s\n\n", strings.TrimSpace(first))
	if o.output != "-" {
		fmt.Fprintf(out, "%s\n", place.says())
	}
	return nil
}

// scenePlace is where a scene goes: a directory, and perhaps an archive in its place.
type scenePlace struct {
	dir       string
	asTar     bool
	tar       string // the archive's path; "" is stdout
	temporary string // the directory around dir, where the archive goes to stdout
}

// place chooses the names, and refuses those that are taken.
func (o *collectOptions) place(
	std stdio, c *collect.Options, now time.Time,
) (*scenePlace, error) {
	name := fmt.Sprintf("%s-%s-%s", collect.SafeName(c.Host), collect.SafeName(c.Program),
		now.Format("20060102-150405"))
	p := &scenePlace{dir: name, asTar: o.asTar}
	switch {
	case o.output == "-" && std.terminal != nil:
		return nil, errors.New("an archive is binary, and stdout is a terminal: " +
			"name a file with -o")
	case o.output == "-":
		var err error
		if p.temporary, err = attach.MakeTemporary("cgoheap-collect-"); err != nil {
			return nil, fmt.Errorf("cannot make a temporary directory: %s: set TMPDIR",
				termtext.Reason(err))
		}
		p.dir = filepath.Join(p.temporary, name)
		return p, nil
	case o.output != "":
		p.dir = filepath.Clean(o.output)
	}
	if o.asTar {
		p.dir = strings.TrimSuffix(strings.TrimSuffix(p.dir, ".tgz"), ".tar.gz")
		p.tar = p.dir + ".tar.gz"
		if strings.HasSuffix(o.output, ".tgz") {
			p.tar = o.output
		}
	}
	for n := 2; o.output == "" && (exists(p.dir) || exists(p.tar)); n++ {
		p.dir = fmt.Sprintf("%s-%d", name, n)
		if o.asTar {
			p.tar = p.dir + ".tar.gz"
		}
	}
	for _, path := range []string{p.dir, p.tar} {
		if path != "" && exists(path) {
			return nil, fmt.Errorf("%s exists already: name one that does not with -o, such as %s",
				termtext.Quote(path), termtext.QuoteShell(filepath.Join(o.output, name)))
		}
	}
	return p, nil
}

// archive puts the directory into one file, and then removes it.
func (p *scenePlace) archive(std stdio) error {
	if !p.asTar {
		return nil
	}
	if p.tar == "" {
		return collect.Archive(p.dir, std.out)
	}
	file, err := outfile.Private(p.tar)
	if err == nil {
		defer file.Discard()
		err = collect.Archive(p.dir, file)
	}
	if err == nil {
		err = file.Keep()
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %s; the scene stays in %s", termtext.Quote(p.tar),
			termtext.Reason(err), termtext.QuoteShell(p.dir))
	}
	return os.RemoveAll(p.dir)
}

// end removes what the archive on stdout was made from.
func (p *scenePlace) end() {
	if p.temporary != "" {
		os.RemoveAll(p.temporary)
	}
}

// shown is where the scene is in the end.
func (p *scenePlace) shown() string {
	switch {
	case !p.asTar:
		return p.dir
	case p.tar == "":
		return "stdout"
	}
	return p.tar
}

func (p *scenePlace) says() string {
	if p.asTar {
		return fmt.Sprintf("%s has all of it; tar -xzf %s",
			termtext.QuoteShell(p.tar), termtext.QuoteShell(p.tar))
	}
	return fmt.Sprintf("%s has the rest, and what to do next",
		termtext.QuoteShell(filepath.Join(p.dir, "README.txt")))
}
