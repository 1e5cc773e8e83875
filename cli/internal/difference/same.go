package difference

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/flags"
	"cgoheap.example/cli/internal/termtext"
)

// Whether two profiles are of one process.  If they are, a block that lives in both was sampled
// once; if not, nothing is shared.

// Processes is what the user says of that.
type Processes string

// The values of Processes; "" asks the profiles.
const (
	ProcessesAsked Processes = ""
	OneProcess     Processes = "one"
	TwoProcesses   Processes = "two"
)

const anyway = "; --process two compares them all the same, by the names of functions"

// pair is two profiles and how they belong together.
type pair struct {
	before, after *Moment
	isOne         bool
	isRestart     bool // the second process began after the first profile
	notes         []string
}

func (p *pair) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

// pairOf refuses profiles that cannot be compared.
func pairOf(before, after *Moment, said Processes) (*pair, error) {
	p := &pair{before: before, after: after}
	switch {
	case before.kind != after.kind:
		return nil, fmt.Errorf("%s is of %s, %s of %s: their difference would be neither's",
			before.Label, before.kind, after.Label, after.kind)
	case before.onlyOld != after.onlyOld:
		return nil, fmt.Errorf("one of %s and %s has only old blocks (--older), the other all: "+
			"save both in the same way", before.Label, after.Label)
	case said != TwoProcesses && p.otherPrograms():
		return nil, fmt.Errorf("%s is of the program %s, %s of %s%s", before.Label,
			termtext.Quote(before.Program), after.Label, termtext.Quote(after.Program), anyway)
	}
	if err := p.decide(said); err != nil {
		return nil, err
	}
	if p.isOne && before.Time.After(after.Time) && !after.Time.IsZero() {
		return nil, flags.Usagef("%s (%s) is older than %s (%s): name the older one first",
			after.Label, after.Time.Format(time.DateTime), before.Label,
			before.Time.Format(time.DateTime))
	}
	p.caution()
	return p, nil
}

// otherPrograms: neither the name nor the build is the same.
func (p *pair) otherPrograms() bool {
	a, b := p.before, p.after
	sameBuild := a.buildID != "" && a.buildID == b.buildID
	return a.Program != "" && b.Program != "" && a.Program != b.Program && !sameBuild
}

func (p *pair) decide(said Processes) error {
	a, b := p.before, p.after
	named := a.PID != 0 && b.PID != 0
	switch {
	case said == OneProcess && named && !a.isProcessOf(b):
		return errors.New("the profiles say that they are of two processes: " +
			"leave --process one out")
	case said != ProcessesAsked:
		p.isOne = said == OneProcess
	case named:
		p.isOne = a.isProcessOf(b)
	default:
		same, known := sameAddresses(a.Profile, b.Profile)
		p.isOne = same
		if !known {
			p.note("the profiles do not say whether they are of one process: they are taken for " +
				"two, whose errors add up; --process one says otherwise")
		}
	}
	p.isRestart = !p.isOne && !a.Time.IsZero() && b.Started.After(a.Time) &&
		a.Program == b.Program
	return nil
}

func (m *Moment) isProcessOf(o *Moment) bool {
	return m.PID == o.PID && m.Started.Equal(o.Started)
}

// randomized is where the kernel begins to choose addresses; a program without PIE lies below.
const randomized = 4 << 30

// sameAddresses compares where files were mapped, which differs from process to process.
func sameAddresses(a, b *profile.Profile) (same, known bool) {
	at := map[string]uint64{}
	key := func(m *profile.Mapping) string {
		return fmt.Sprint(m.File, "\x00", m.BuildID, "\x00", m.Offset)
	}
	for _, m := range a.Mapping {
		if m.Start >= randomized && m.File != "" {
			at[key(m)] = m.Start
		}
	}
	same = true
	for _, m := range b.Mapping {
		if start, ok := at[key(m)]; ok && m.Start >= randomized {
			known = true
			same = same && start == m.Start
		}
	}
	return same && known, known
}

// caution notes what a reader has to know before the figures.
func (p *pair) caution() {
	a, b := p.before, p.after
	if p.isRestart {
		p.note("the process was restarted between the two: it is %s since %s; what is in use now "+
			"was allocated since then", b.Title(), b.Started.Format(time.DateTime))
	}
	if !p.isOne && a.buildID != b.buildID && a.buildID != "" && b.buildID != "" {
		p.note("the two are of different builds: stacks are matched by the names of functions")
	}
	if a.Profile.Period != b.Profile.Period {
		p.cautionInterval()
	}
	if b.dormant {
		p.note("sampling was off when %s was taken: what was allocated then is not in it", b.Label)
	} else if p.isOne && b.off > a.off {
		p.note("sampling was off for %s between the two: what was allocated then is not in here, "+
			"so growth is shown too small", termtext.Duration(b.off-a.off))
	}
	for _, m := range []*Moment{a, b} {
		if m.hasFrame(frameRest) {
			p.note("%s was cut off for lack of time: stacks that it does not show are in %s",
				m.Label, frameRest)
		}
	}
	p.cautionDrops()
}

func (p *pair) cautionInterval() {
	was, now := p.before.Interval(), p.after.Interval()
	if !p.isOne {
		p.note("the two were sampled differently, %s and %s: each has its own error", was, now)
		return
	}
	p.note("the interval changed between the two, from %s to %s: each block counts as it was "+
		"sampled", was, now)
}

// What of the library's counters makes figures wrong.
var dropComments = []string{
	"blocks dropped, no room for them (live_full); raise CGOHEAP_MAX_MEMORY",
	"calls missed, made while their thread was inside the library (reentered)",
	"calls missed, no recording stack left (no_stack)",
	"frees missed, found when the address was used again (stale)",
}

func (p *pair) cautionDrops() {
	for _, what := range dropComments {
		n := p.after.counters[what]
		if p.isOne {
			n -= p.before.counters[what]
		}
		if n > 0 {
			p.note("%s %s: figures are off by what they held", termtext.Count(n), what)
		}
	}
}

// hasFrame says whether a stack is one bracketed frame.
func (m *Moment) hasFrame(name string) bool {
	for _, s := range m.Profile.Sample {
		if isFrame(s, name) {
			return true
		}
	}
	return false
}

func isFrame(s *profile.Sample, name string) bool {
	if len(s.Location) != 1 || len(s.Location[0].Line) != 1 {
		return false
	}
	f := s.Location[0].Line[0].Function
	return f != nil && f.Name == name
}
