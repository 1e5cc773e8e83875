// Package difference compares two heap profiles stack by stack, and tells a change from what
// sampling alone may have made.
package difference

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/sampling"
	"cgoheap.example/cli/internal/termtext"
)

// Moment is a profile, and what its comments say of the process.
type Moment struct {
	Label    string // what the user calls it, such as its file's name
	Profile  *profile.Profile
	PID      int       // 0: not said
	Started  time.Time // zero: not said
	Time     time.Time // when the figures were read; zero: not said
	Program  string    // "": not said
	kind     string
	buildID  string
	design   *sampling.Design
	onlyOld  bool             // blocks of some age only; alloc_* repeats inuse_*
	byAge    bool             // alloc_* is not known where the age is not
	off      time.Duration    // how long sampling was off, in all
	dormant  bool             // it was off at that moment
	counters map[string]int64 // comments such as "3 blocks dropped, no room for them"
}

// What a profile is of.
const (
	kindC   = "C memory"
	kindGo  = "Go's heap"
	kindAll = "C memory and Go's heap"
)

// Frames that stand for other stacks.
const (
	frameRest      = "[stacks not shown: out of time]"
	frameReclaimed = "[reclaimed stacks]"
	frameNoise     = "[changed by less than the sampling error]"
)

const (
	baseLabel    = "pprof::base" // go tool pprof's, of what is subtracted
	offComment   = "WARNING: sampling was off for "
	olderComment = "only blocks at least "
	agesComment  = "ages: "
)

// Read takes a profile's bytes.  label names it in errors, each one sentence.
func Read(label string, body []byte) (*Moment, error) {
	p, err := parse(body)
	if err != nil {
		return nil, fmt.Errorf("%s is not a profile, or is damaged: %s", label,
			termtext.Escape(err.Error()))
	}
	m := &Moment{Label: label, Profile: p, kind: kindGo, counters: map[string]int64{}}
	if p.TimeNanos > 0 {
		m.Time = time.Unix(0, p.TimeNanos).UTC()
	}
	if len(p.Mapping) > 0 {
		m.Program, m.buildID = path.Base(p.Mapping[0].File), p.Mapping[0].BuildID
	}
	for _, c := range p.Comments {
		m.readComment(c)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%s %s", label, err)
	}
	m.design, err = sampling.Of(p)
	return m, err
}

// parse takes a profile in gzip or without, as pprof does.
func parse(body []byte) (*profile.Profile, error) {
	if len(body) == 0 {
		return nil, errors.New("it is empty")
	}
	if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		return attach.ParseProfile(body)
	}
	p, err := profile.ParseUncompressed(body)
	if err == nil {
		err = p.CheckValid()
	}
	return p, err
}

func (m *Moment) readComment(c string) {
	var pid int
	var started string
	if n, _ := fmt.Sscanf(c, "process %d, started %s", &pid, &started); n == 2 {
		m.PID = pid
		m.Started, _ = time.Parse(time.RFC3339Nano, started)
	}
	if rest, ok := strings.CutPrefix(c, offComment); ok {
		seconds, _ := strconv.ParseInt(strings.Fields(rest + " ")[0], 10, 32)
		m.off = time.Duration(seconds) * time.Second
	}
	if count, what, ok := strings.Cut(c, " "); ok {
		if n, err := strconv.ParseInt(count, 10, 64); err == nil {
			m.counters[what] = n
		}
	}
	switch {
	case strings.HasPrefix(c, "cgoheap "), strings.HasPrefix(c, "from the recording of "):
		m.kind = kindC
	case strings.HasPrefix(c, "Go's heap: "):
		m.kind = kindAll
	case strings.HasPrefix(c, olderComment):
		m.onlyOld = true
	case strings.HasPrefix(c, agesComment):
		m.byAge = true
	}
	m.dormant = m.dormant || c == "state: dormant"
}

// check refuses what has no in-use figures of one moment.  Its errors follow the label.
func (m *Moment) check() error {
	p := m.Profile
	lacks := func(name string) bool { return holders.SampleTypeIndex(p, name) < 0 }
	isBase := func(s *profile.Sample) bool { return s.DiffBaseSample() }
	switch {
	case !lacks("memory_space"):
		return errors.New("shows all resident memory, where stacks of sampled blocks are scaled " +
			"to an exact total, so its error is not known: compare the profiles of C memory " +
			"(cgoheap.pb.gz), or use go tool pprof -diff_base")
	case lacks("inuse_space") || lacks("alloc_space"):
		return fmt.Errorf("is not a heap profile: it has %s", typesOf(p))
	case len(p.Sample) > 0 && isBase(p.Sample[len(p.Sample)-1]):
		return errors.New("is a difference already: name the two profiles that it was made of")
	case m.byAge:
		return errors.New("shows each stack by age (--age), not by what it allocated in all: " +
			"save two profiles without --age")
	case p.DurationNanos > 0:
		return fmt.Errorf("shows the growth within %s (--seconds), not what is in use at a "+
			"moment: save two profiles without --seconds",
			termtext.Duration(time.Duration(p.DurationNanos)))
	}
	return checkValues(p)
}

// maxTotal of any figure is 4 EiB, so that a difference of two fits too.
const maxTotal = 1 << 62

func checkValues(p *profile.Profile) error {
	totals := make([]int64, len(p.SampleType))
	for _, s := range p.Sample {
		for i, v := range s.Value {
			if v < 0 || v > maxTotal-totals[i] {
				return fmt.Errorf("is damaged, or not of one moment: its %s has %d at a stack",
					termtext.Escape(p.SampleType[i].Type), v)
			}
			totals[i] += v
		}
	}
	return nil
}

func typesOf(p *profile.Profile) string {
	var names []string
	for _, t := range p.SampleType {
		names = append(names, termtext.Escape(termtext.CutEnd(t.Type, 40)))
	}
	if names = names[:min(len(names), 6)]; len(names) == 0 {
		return "no sample types"
	}
	return "the sample types " + strings.Join(names, ", ")
}

// Interval is how finely it was sampled.
func (m *Moment) Interval() string { return termtext.Interval(uint64(max(m.Profile.Period, 1))) }

// Title names the process: "notes (4242)".
func (m *Moment) Title() string {
	name := m.Program
	if name == "" || name == "." {
		name = "unknown program"
	}
	if m.PID == 0 {
		return termtext.Escape(name)
	}
	return fmt.Sprintf("%s (%d)", termtext.Escape(name), m.PID)
}

// Total of a figure.
func (m *Moment) Total(f sampling.Figure) int64 {
	at, sum := holders.SampleTypeIndex(m.Profile, f.String()), int64(0)
	for _, s := range m.Profile.Sample {
		sum += s.Value[at]
	}
	return sum
}

// Kind says what memory it is of.
func (m *Moment) Kind() string { return m.kind }

// Page of net/http/pprof that has such a profile.
func (m *Moment) Page() string {
	return map[string]string{kindC: "cgoheap", kindGo: "heap", kindAll: "allheap"}[m.kind]
}
