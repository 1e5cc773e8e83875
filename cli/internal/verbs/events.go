package verbs

import (
	"bytes"
	"io"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/flags"
)

const eventsHelp = `usage: cgoheap events [PID|NAME] [flags]

Prints what happens, as it happens: each sampled allocation and free with its
time, thread, size and stack, Go's garbage collections, and accounts.  In a
terminal it prints readable lines; otherwise JSON, one object a line, which a
log store takes as it is (docs/events.md shows it for Loki).

  --for D        stop after this long (default: at Ctrl-C)
  --kinds LIST   what to print: alloc, free, account, gc, go, with commas between
                 (default alloc,free, and gc if the service imports cgo_bridge);
                 go is what Go's own heap allocates, by stack, once a second: Go
                 writes its heap profile for each
  --account D    an account this often, at least a second apart
  --json         print JSON in a terminal too

Examples:
  cgoheap events 4242
  cgoheap events 4242 --kinds free --for 1m > frees.jsonl
  cgoheap events 4242 --json | jq -c 'select(.size > 1e6)'

Only sampled blocks are events: cgoheap sampling PID on --sample-bytes 1 samples
all.  The process never waits for the reader: what it is too slow for is lost,
and counted.
PID may be a program's name; leave it out if only one process has cgoheap loaded.
`

type eventsOptions struct {
	duration time.Duration
	kinds    []string // empty: the library's default
	account  time.Duration
	asJSON   bool
}

var eventKinds = []string{"alloc", "free", "account", "gc", "go"}

func (o *eventsOptions) setKinds(value string) error {
	for _, kind := range strings.Split(value, ",") {
		if !slices.Contains(eventKinds, kind) {
			return flags.Usagef("a list of %s, with commas between", strings.Join(eventKinds, ", "))
		}
		o.kinds = append(o.kinds, kind)
	}
	return nil
}

func parseEvents(args []string) (*eventsOptions, string, error) {
	o := &eventsOptions{}
	f := flags.New()
	f.Duration("--for", &o.duration, time.Second, 365*24*time.Hour)
	f.Add("--kinds", &flags.Flag{Set: o.setKinds})
	f.Duration("--account", &o.account, time.Second, 24*time.Hour)
	f.Boolean("--json", &o.asJSON)
	wanted, err := f.ParseTarget(args)
	if err == nil && o.account > 0 && len(o.kinds) > 0 && !slices.Contains(o.kinds, "account") {
		o.kinds = append(o.kinds, "account")
	}
	return o, wanted, err
}

// query leaves the time to the command, which asks for the end.
func (o *eventsOptions) query() url.Values {
	q := url.Values{}
	kinds := slices.DeleteFunc(slices.Clone(o.kinds), func(k string) bool { return k == "go" })
	if len(kinds) > 0 {
		q.Set("kinds", strings.Join(kinds, ","))
	}
	if o.account > 0 {
		q.Set("account", o.account.String())
	}
	return q
}

func events(std stdio, args []string) error {
	o, wanted, err := parseEvents(args)
	if err != nil {
		return err
	}
	c, err := attach.To(wanted)
	if err != nil {
		return err
	}
	write := func(line []byte) error { return writeWhole(std.out, line) }
	if std.terminal != nil && !o.asJSON {
		text := newEventsText()
		write = func(line []byte) error { return writeWhole(std.out, text.of(line)) }
	}
	r := &eventRun{client: c, looks: attach.NewClient(c.Process), options: o,
		lines: make(chan []byte, 64),
		ended: make(chan error, 2), stop: make(chan struct{})}
	return r.run(write)
}

func writeWhole(w io.Writer, text []byte) error {
	_, err := w.Write(text)
	return err
}

// eventRun joins the library's lines and, if wanted, those about Go's own allocations.
type eventRun struct {
	client  *attach.Client
	looks   *attach.Client // at Go's heap: EndSending is for one request
	options *eventsOptions
	lines   chan []byte
	ended   chan error    // once for each source
	stop    chan struct{} // closed: nothing more is wanted
	asked   bool          // the end has been asked for
}

// run ends when all sources have, or some seconds after the user wants it to.
func (r *eventRun) run(write func([]byte) error) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	var over, impatient <-chan time.Time
	if r.options.duration > 0 {
		over = time.After(r.options.duration)
	}
	for left := r.start(); left > 0; {
		select {
		case line := <-r.lines:
			if err := write(line); err != nil {
				return nil // Run reports it
			}
		case err := <-r.ended:
			if left--; err != nil {
				r.drain(write)
				return err
			}
		case <-over:
			over, impatient = nil, time.After(interruptPatience)
			r.end()
		case <-signals:
			if r.asked {
				return nil
			}
			impatient = time.After(interruptPatience)
			r.end()
		case <-impatient:
			return nil
		}
	}
	r.drain(write)
	return nil
}

// drain writes what the sources sent before they ended.
func (r *eventRun) drain(write func([]byte) error) {
	for {
		select {
		case line := <-r.lines:
			if write(line) != nil {
				return
			}
		default:
			return
		}
	}
}

// end asks each source for what it still has.
func (r *eventRun) end() {
	if !r.asked {
		close(r.stop)
	}
	r.asked = true
	r.client.EndSending()
}

// start starts the sources and returns how many there are.
func (r *eventRun) start() int {
	goOnly := len(r.options.kinds) > 0
	for _, kind := range r.options.kinds {
		goOnly = goOnly && kind == "go"
	}
	sources := 0
	if !goOnly {
		sources++
		go func() { r.ended <- r.follow() }()
	}
	if slices.Contains(r.options.kinds, "go") {
		sources++
		go func() { r.ended <- r.followGo() }()
	}
	return sources
}

// follow passes on the library's lines. A stream that has lasted as long as one may is followed by
// another.
func (r *eventRun) follow() error {
	for {
		last, err := r.client.Events(r.options.query(), r.lines)
		if r.wasAsked() {
			return nil // whatever became of a request that was just being made
		}
		if err != nil {
			return err
		}
		if !isEnd(last) {
			return r.client.Vanished(
				"stopped sending events: it has ended, or runs another program")
		}
	}
}

func (r *eventRun) wasAsked() bool {
	select {
	case <-r.stop:
		return true
	default:
		return false
	}
}

// isEnd says that a line is the last of a stream that was not cut off.
func isEnd(line []byte) bool { return bytes.HasPrefix(line, []byte(`{"kind":"end",`)) }
