package observe

import (
	"errors"
	"fmt"
	"os"
	"time"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/series"
)

// Options say where figures come from, besides /proc and the cgroup.
type Options struct {
	Interval     time.Duration
	Client       *attach.Client // nil: the process has no library
	AccountEvery time.Duration  // 0: as often as it costs the process a thousandth of a processor
	AccountMost  time.Duration  // but at least so often; 0: a minute
	GoURL        string         // as attach.GoPprofURL completes it; "": none
	CSV          []*CSV         // opened
	Pages        []*Page
}

// Observer takes samples of one process.  It is for one goroutine.
type Observer struct {
	options Options
	process *attach.Process
	cgroup  *cgroup
	program os.FileInfo
	last    *Instant
	pollers []*poller
	first   map[string]*poller // of a figure that several know: the first counts
	notes   map[string]string  // last said of a source
	now     func() Instant
}

// Sample is one row, and what happened since the one before.
type Sample struct {
	Row    series.Row
	Events []series.Event
	Faults []string // sources that do not answer now, each in a sentence
}

// ErrEnded says that the process has ended, or that another one has its ID now.
var ErrEnded = errors.New("has ended")

// New begins to observe.
func New(p *attach.Process, o Options) *Observer {
	ob := &Observer{options: o, process: p, first: map[string]*poller{}, notes: map[string]string{},
		now: Now}
	ob.program = fileID(attach.ProcPath(p.PID, "exe"))
	ob.cgroup = cgroupOf(p.PID)
	if o.Client != nil {
		ob.pollers = append(ob.pollers, newPoller(&library{client: o.Client,
			every: o.AccountEvery, most: o.AccountMost}))
	}
	if o.GoURL != "" {
		ob.pollers = append(ob.pollers, newPoller(newGoURL(o.GoURL)))
	}
	for _, page := range o.Pages {
		ob.pollers = append(ob.pollers, newPoller(page))
	}
	return ob
}

func cgroupOf(pid int) *cgroup {
	membership, _ := os.ReadFile(attach.ProcPath(pid, "cgroup"))
	mountinfo, _ := os.ReadFile("/proc/self/mountinfo")
	return findCgroup(string(membership), string(mountinfo))
}

// Take is one sample.  After ErrEnded there is no more.
func (o *Observer) Take() (Sample, error) {
	now := o.now()
	s := Sample{Row: series.Row{Wall: now.Wall, MonoNS: now.Mono}}
	if err := o.readProcess(&s); err != nil {
		return s, err
	}
	if o.last != nil {
		s.Events = append(jumps(*o.last, now, o.options.Interval), s.Events...)
	}
	o.last = &now
	if o.cgroup != nil {
		o.cgroup.read(&s.Row)
	}
	for _, p := range o.pollers {
		p.start(now.Mono)
		o.collect(&s, p, p.poll())
	}
	for _, c := range o.options.CSV {
		r, err := c.read(now.Wall)
		o.add(&s, nil, r)
		o.tell(&s, c.name(), err)
		if note := c.note(); note != "" {
			s.note(note)
		}
	}
	s.Faults = o.faults()
	return s, nil
}

// TakeAll is one sample for which every source has answered, or has had its time.
func (o *Observer) TakeAll() (Sample, error) {
	now := o.now()
	for _, p := range o.pollers {
		p.start(now.Mono)
	}
	answers := make([]*answer, len(o.pollers))
	for i, p := range o.pollers {
		answers[i] = p.wait()
	}
	pollers := o.pollers
	o.pollers = nil // they have answered
	s, err := o.Take()
	o.pollers = pollers
	for i, p := range pollers {
		o.collect(&s, p, answers[i])
	}
	s.Faults = o.faults()
	return s, err
}

func (s *Sample) note(text string) {
	s.Events = append(s.Events, series.Event{Wall: s.Row.Wall, MonoNS: s.Row.MonoNS,
		Kind: series.EventNote, Text: text})
}

func (o *Observer) readProcess(s *Sample) error {
	pid := o.process.PID
	text, err := os.ReadFile(attach.ProcPath(pid, "status"))
	// The start time is read after the status: both are then of the process that was meant.
	if err != nil || attach.StartTime(pid) != o.process.Started || !readStatus(text, &s.Row) {
		return ErrEnded
	}
	program := fileID(attach.ProcPath(pid, "exe"))
	if o.program != nil && program != nil && !os.SameFile(o.program, program) {
		name := "another"
		if again, err := attach.OpenProcess(pid); err == nil {
			name = again.Program()
		}
		s.Events = append(s.Events, series.Event{Wall: s.Row.Wall, MonoNS: s.Row.MonoNS,
			Kind: series.EventRestart,
			Text: fmt.Sprintf("process %d runs another program from here on: %s", pid, name)})
	}
	if program != nil {
		o.program = program
	}
	return nil
}

// collect adds what a source has answered, if it has.
func (o *Observer) collect(s *Sample, p *poller, a *answer) {
	if a == nil {
		return
	}
	if a.err == nil && isForeign(&a.row, &s.Row) {
		a.err = fmt.Errorf("%s describes another process: more Go heap is in use there than "+
			"is mapped here", p.source.name())
	}
	if !isForeign(&a.row, &s.Row) {
		o.add(s, p, a.row)
	}
	o.tell(s, p.source.name(), a.err)
	p.due = s.Row.MonoNS + int64(a.pause)
}

// isForeign: what Go has in use is mapped in the process.
func isForeign(answer, process *series.Row) bool {
	inUse, known := answer.Value(series.GoInUse)
	mapped, knownToo := process.Value(series.VMData)
	return known && knownToo && inUse > mapped
}

// add takes each figure from one source only: two that count differently would look like growth.
func (o *Observer) add(s *Sample, p *poller, r series.Row) {
	for name, value := range r.Values {
		if p != nil {
			if first := o.first[name]; first != nil && first != p && o.before(first, p) {
				continue
			}
			o.first[name] = p
		}
		s.Row.Set(name, value)
	}
}

func (o *Observer) before(a, b *poller) bool {
	for _, p := range o.pollers {
		if p == a || p == b {
			return p == a
		}
	}
	return false
}

// tell notes a fault when it begins, changes, or ends.
func (o *Observer) tell(s *Sample, source string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == o.notes[source] {
		return
	}
	o.notes[source] = text
	if text == "" {
		text = source + " answers again"
	}
	s.note(text)
}

func (o *Observer) faults() []string {
	var list []string
	for _, p := range o.pollers {
		if text := o.notes[p.source.name()]; text != "" {
			list = append(list, text)
		}
	}
	for _, c := range o.options.CSV {
		if text := o.notes[c.name()]; text != "" {
			list = append(list, text)
		}
	}
	return list
}

// source is slow, or may hang: it is read in the background.
type source interface {
	name() string
	// read also says how long to leave it alone.
	read() (series.Row, time.Duration, error)
}

type answer struct {
	row   series.Row
	pause time.Duration
	err   error
}

// poller reads a source when it is due, one read at a time.
type poller struct {
	source source
	due    int64 // on the clock of MonoNS
	busy   bool
	answer chan answer
}

func newPoller(s source) *poller { return &poller{source: s, answer: make(chan answer, 1)} }

func (p *poller) start(mono int64) {
	if p.busy || mono < p.due {
		return
	}
	p.busy = true
	go func() {
		r, pause, err := p.source.read()
		p.answer <- answer{r, pause, err}
	}()
}

// poll is nil where there is no answer.
func (p *poller) poll() *answer {
	select {
	case a := <-p.answer:
		return p.take(a)
	default:
		return nil
	}
}

func (p *poller) wait() *answer { return p.take(<-p.answer) }

func (p *poller) take(a answer) *answer {
	p.busy = false
	return &a
}
