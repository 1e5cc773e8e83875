package verbs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"cgoheap.example/cli/internal/alert"
	"cgoheap.example/cli/internal/cause"
	"cgoheap.example/cli/internal/observe"
	"cgoheap.example/cli/internal/release"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/termtext"
)

// watching is one run of watch, live or of a recording.
type watching struct {
	std       stdio
	options   *watchOptions
	target    *target // nil: a recording
	header    series.Header
	history   history
	causes    *cause.Watcher
	sinks     []*alert.Sink
	began     map[string]began // of each alert that fires
	grown     *growingStacks   // nil: the library is not there, or a recording
	failure   *failure         // of --fail-on; nil: none
	broken    error            // what it has said
	output    *series.Writer   // of --record; nil: none, or it has ended
	faults    []string
	said      string // the last note
	hasHeader bool   // of JSON on stdout
	last      float64
}

// began is what an alert keeps from its begin.
type began struct {
	wall   time.Time
	mono   int64
	before []series.Row
}

const (
	// Samples that an alert keeps from before it, and from after.
	keptBefore = 2 * time.Minute
	keptAfter  = 2 * time.Minute
)

func newWatching(std stdio, o *watchOptions, h series.Header) *watching {
	w := &watching{std: std, options: o, header: h, began: map[string]began{},
		history: history{interval: h.Interval},
		causes:  cause.New(cause.Options{PID: h.PID, GoPprof: o.goURL})}
	if o.condition != nil {
		w.failure = &failure{condition: *o.condition, length: o.length}
	}
	return w
}

// take is one sample: it is kept, recorded and judged.  It returns what happened, oldest first.
func (w *watching) take(s *observe.Sample) []series.Event {
	events := s.Events
	now := func(kind, text string) series.Event {
		return series.Event{Wall: s.Row.Wall, MonoNS: s.Row.MonoNS, Kind: kind, Text: text}
	}
	for _, e := range s.Events {
		if e.Kind == series.EventRestart {
			for _, a := range w.causes.Restart() {
				events = append(events, w.alert(s, a))
			}
		}
	}
	if n, ok := s.Row.Value(series.SampleBytes); ok {
		if w.last != 0 && n != w.last {
			events = append(events, now(series.EventInterval, "sampling is now "+
				termtext.Interval(uint64(n))))
		}
		w.last = n
	}
	for _, a := range w.causes.Add(s.Row) {
		events = append(events, w.alert(s, a))
	}
	for _, sink := range w.sinks {
		for _, text := range sink.Notes() {
			events = append(events, now(series.EventNote, text))
		}
	}
	w.history.add(s.Row, events)
	if w.failure != nil && w.broken == nil {
		w.broken = w.failure.add(&w.history)
	}
	w.faults = s.Faults
	if err := w.write(&s.Row, events); err != nil {
		w.output.Close()
		w.output = nil
		e := now(series.EventNote, fmt.Sprintf("the recording %s ends here (%s); the watch goes on",
			termtext.QuoteShell(w.options.record), termtext.Reason(err)))
		w.history.events = append(w.history.events, e)
		events = append(events, e)
	}
	for _, e := range events {
		if e.Kind == series.EventNote || e.Kind == series.EventGap {
			w.said = e.Text
		}
	}
	return events
}

// write appends to the recording.
func (w *watching) write(r *series.Row, events []series.Event) error {
	if w.output == nil {
		return nil
	}
	for i := range events {
		if err := w.output.Event(&events[i]); err != nil {
			return err
		}
	}
	return w.output.Row(r)
}

// alert tells all who want to know, and returns the event.
func (w *watching) alert(s *observe.Sample, a cause.Alert) series.Event {
	e := series.Event{Wall: s.Row.Wall, MonoNS: s.Row.MonoNS, Kind: series.EventAlert,
		Rule: a.Rule, State: alert.Firing, Text: a.Text}
	d := &alert.Document{Schema: alert.Schema, State: e.State, Rule: a.Rule, Text: a.Text,
		Host: w.header.Host, Program: w.header.Program, PID: w.header.PID, Wall: s.Row.Wall,
		MonoNS: s.Row.MonoNS, After: []series.Row{}}
	if a.Ended {
		e.State, d.State = alert.Ended, alert.Ended
		b := w.began[a.Rule]
		d.Since, d.Before = b.wall, b.before
		d.After = w.after(b.mono)
		delete(w.began, a.Rule)
	} else {
		before := append([]series.Row{}, w.history.since(keptBefore)...)
		w.began[a.Rule] = began{s.Row.Wall, s.Row.MonoNS, before}
		d.Since, d.Before = s.Row.Wall, before
	}
	for _, sink := range w.sinks {
		sink.Send(d)
	}
	return e
}

// after is the samples that followed a moment.
func (w *watching) after(mono int64) []series.Row {
	rows := []series.Row{}
	for _, r := range w.history.rows {
		if r.MonoNS >= mono && r.MonoNS < mono+int64(keptAfter) {
			rows = append(rows, r)
		}
	}
	return rows
}

// sentences are what is known of growth now: who grows, since when, why, and until when.
func (w *watching) sentences() []string {
	var list []string
	for _, a := range w.causes.Alerts() {
		list = append(list, a.Text)
	}
	if f, ok := w.causes.Forecast(0, w.grown.summary()); ok {
		list = append(list, f.String())
	}
	return list
}

// watchLive samples a process.
func watchLive(std stdio, o *watchOptions, t *target) error {
	for _, c := range o.csv {
		if err := c.Open(); err != nil {
			return err
		}
		defer c.Close()
	}
	if err := o.answerable(t); err != nil {
		return err
	}
	at := observe.Now()
	w := newWatching(std, o, series.Header{Host: hostName(), Program: t.process.Program(),
		PID: t.process.PID, Wall: at.Wall, MonoNS: at.Mono, Interval: o.interval,
		Version: release.Version})
	w.target = t
	ob := observe.New(t.process, observe.Options{Interval: o.interval, Client: t.client,
		AccountEvery: o.accountEvery, AccountMost: o.accountMost(), GoURL: o.goURL,
		CSV: o.csv, Pages: o.pages})
	if o.record != "" {
		var err error
		if w.output, err = series.Create(o.record, w.header); err != nil {
			return err
		}
		defer func() {
			if w.output != nil {
				w.output.Close()
			}
		}()
	}
	if t.client != nil && !o.once {
		w.grown = newGrowingStacks(t.client)
	}
	if err := w.openSinks(); err != nil {
		return err
	}
	if o.once {
		return w.once(ob)
	}
	stop := make(chan struct{})
	defer close(stop)
	return w.show(feedLive(ob, o.interval, stop))
}

// enoughValues is how many a slope over --for should have.
const enoughValues = 20

// accountMost: a short --for needs its values.
func (o *watchOptions) accountMost() time.Duration {
	if o.condition == nil || o.length == 0 {
		return 0
	}
	return max(o.length/enoughValues, o.interval)
}

// answerable: a condition on a figure that cannot be known would never fail.
func (o *watchOptions) answerable(t *target) error {
	if o.condition == nil || t.client != nil {
		return nil
	}
	f := o.condition.Figure
	if f.Source == series.Library || f.Source == series.Go && o.goURL == "" {
		return fmt.Errorf("--fail-on %s cannot be judged: %s",
			termtext.QuoteShell(o.condition.Text), t.why)
	}
	return nil
}

func (w *watching) openSinks() error {
	o := w.options
	if o.command != "" {
		w.sinks = append(w.sinks, alert.Command(o.command, alert.CommandPatience))
	}
	if o.webhook != "" {
		w.sinks = append(w.sinks, alert.Webhook(o.webhook, time.Second))
	}
	if !o.collect {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"collect", strconv.Itoa(w.header.PID)}
	if o.goURL != "" {
		args = append(args, "--url", o.givenURL)
	}
	w.sinks = append(w.sinks, alert.Run(collectPatience, "collect", self, args...))
	return nil
}

const collectPatience = 10 * time.Minute

// once waits for every source, so that one sample has all figures.
func (w *watching) once(ob *observe.Observer) error {
	s, err := ob.TakeAll()
	if err != nil {
		return fmt.Errorf("process %d %s", w.header.PID, err)
	}
	w.take(&s)
	if w.options.asJSON {
		return w.writeDocument()
	}
	w.printTable()
	return nil
}

// watchReplay shows a recording.
func watchReplay(std stdio, o *watchOptions) error {
	r, err := readRecording(o.replay)
	if err != nil {
		return err
	}
	if len(r.Rows) == 0 {
		return fmt.Errorf("%s has no samples", termtext.QuoteShell(o.replay))
	}
	if r.Ends != "" {
		fmt.Fprintf(std.err, "cgoheap: %s: %s\n", termtext.QuoteShell(o.replay), r.Ends)
	}
	w := newWatching(std, o, r.Header)
	if err := w.openSinks(); err != nil {
		return err
	}
	samples := replayed(r)
	if o.once {
		for _, s := range samples[:len(samples)-1] {
			w.take(&s.Sample)
		}
		return errors.Join(w.printOrWrite(), w.judgeEnd())
	}
	if w.isLive() {
		return w.page(samples)
	}
	feed := make(chan fed, len(samples))
	for _, s := range samples {
		feed <- s
	}
	return w.show(feed)
}

func (w *watching) printOrWrite() error {
	if w.options.asJSON {
		return w.writeDocument()
	}
	w.printTable()
	return nil
}

// isLive says whether there is a terminal to draw on.
func (w *watching) isLive() bool {
	return w.std.terminal != nil && !w.options.asJSON && os.Getenv("TERM") != "dumb"
}

// show follows a feed until it, the time of --for or the user's patience ends.
func (w *watching) show(feed <-chan fed) error {
	var err error
	if w.isLive() {
		err = w.draw(feed)
	} else {
		err = w.printLines(feed)
	}
	for _, sink := range w.sinks {
		sink.Close(sinkPatience)
		for _, text := range sink.Notes() {
			fmt.Fprintf(w.std.err, "cgoheap: %s\n", text)
		}
	}
	return err
}

// sinkPatience is for alerts that are being delivered when the watch ends.
const sinkPatience = 5 * time.Second

// ended says why a feed did, and what --fail-on says then.
func (w *watching) ended(err error) error {
	if !errors.Is(err, io.EOF) {
		fmt.Fprintf(w.std.err, "cgoheap: process %d %s\n", w.header.PID, err)
	}
	return w.judgeEnd()
}

// errNotJudged: what was to be judged was not.
var errNotJudged = errors.New("interrupted before --fail-on could be judged")

// stopped is for q and Ctrl-C.
func (w *watching) stopped() error {
	if w.failure != nil {
		return errNotJudged
	}
	return nil
}

// deadline is when --for ends; nil: never.
func (w *watching) deadline() <-chan time.Time {
	if w.options.length == 0 {
		return nil
	}
	return time.After(w.options.length)
}

func interrupts() (<-chan os.Signal, func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	return signals, func() { signal.Stop(signals) }
}
