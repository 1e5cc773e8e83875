package verbs

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/pprof/profile"
	"golang.org/x/sys/unix"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/holders"
)

// goEvents turns looks at Go's heap profile into lines: what was allocated and freed at each
// stack since the last look.
type goEvents struct {
	before map[string]goTotals // nil: there was no look yet
	seen   map[string]bool     // stacks that have had a line
	lines  [][]byte
}

type goTotals struct{ allocObjects, allocBytes, freeObjects, freeBytes int64 }

func (t goTotals) less(u goTotals) goTotals {
	return goTotals{t.allocObjects - u.allocObjects, t.allocBytes - u.allocBytes,
		t.freeObjects - u.freeObjects, t.freeBytes - u.freeBytes}
}

// eventFrame is a frame of a stack line.
type eventFrame struct {
	Function string `json:"function"`
	File     string `json:"file,omitempty"`
	Line     int64  `json:"line,omitempty"`
}

// eventHead is what all lines begin with.
type eventHead struct {
	Kind string `json:"kind"`
	Wall string `json:"wall"`
	Mono int64  `json:"mono_ns"`
}

const wallLayout = "2006-01-02T15:04:05.000000000Z"

func newEventHead(kind string) (eventHead, error) {
	var now unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return eventHead{kind, time.Now().UTC().Format(wallLayout), now.Nano()}, err
}

// followGo looks once a second. Every look makes Go write its heap profile.
func (r *eventRun) followGo() error {
	g := &goEvents{seen: map[string]bool{}}
	for {
		began := time.Now()
		body, err := r.looks.ProfileBytes("allheap", nil, attach.ProfileTimeout)
		if r.wasAsked() {
			return nil
		}
		if err != nil {
			return err
		}
		p, err := attach.ParseProfile(body)
		if err == nil {
			err = g.look(p)
		}
		if err != nil {
			return fmt.Errorf("%s sent a profile that cannot be read: %v",
				r.client.Process.Title(), err)
		}
		for _, line := range g.lines {
			select {
			case r.lines <- line:
			case <-r.stop:
				return nil
			}
		}
		select {
		case <-time.After(time.Second - time.Since(began)):
		case <-r.stop:
			return nil
		}
	}
}

// look leaves in lines what has changed.
func (g *goEvents) look(p *profile.Profile) error {
	g.lines = nil
	totals, samples := map[string]goTotals{}, map[string]*profile.Sample{}
	for _, s := range p.Sample {
		if origin := s.Label["origin"]; len(origin) != 1 || origin[0] != "go" {
			continue
		}
		id := goStackID(s)
		t, err := totalsOf(p, s)
		if err != nil {
			return err
		}
		u := totals[id] // blocks of another size
		totals[id] = goTotals{t.allocObjects + u.allocObjects, t.allocBytes + u.allocBytes,
			t.freeObjects + u.freeObjects, t.freeBytes + u.freeBytes}
		samples[id] = s
	}
	for id, t := range totals {
		change := t.less(g.before[id])
		if g.before == nil || change == (goTotals{}) {
			continue
		}
		if err := g.add(id, samples[id], change); err != nil {
			return err
		}
	}
	g.before = totals
	return nil
}

// goStackID tells stacks apart by what is shown of them.
func goStackID(s *profile.Sample) string {
	text, _ := json.Marshal(framesOfEvent(s))
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

func framesOfEvent(s *profile.Sample) (frames []eventFrame) {
	for _, l := range s.Location {
		for _, line := range l.Line {
			if line.Function != nil {
				frames = append(frames,
					eventFrame{line.Function.Name, line.Function.Filename, line.Line})
			}
		}
	}
	return frames
}

func totalsOf(p *profile.Profile, s *profile.Sample) (t goTotals, err error) {
	values := [4]int64{}
	for i, name := range []string{"alloc_objects", "alloc_space", "inuse_objects", "inuse_space"} {
		at := holders.SampleTypeIndex(p, name)
		if at < 0 {
			return t, fmt.Errorf("it has no %s", name)
		}
		values[i] = s.Value[at]
	}
	return goTotals{values[0], values[1], values[0] - values[2], values[1] - values[3]}, nil
}

func (g *goEvents) add(id string, s *profile.Sample, change goTotals) error {
	if !g.seen[id] {
		g.seen[id] = true
		head, err := newEventHead("stack")
		if err != nil {
			return err
		}
		if err := g.line(struct {
			eventHead
			Stack  string       `json:"stack"`
			Frames []eventFrame `json:"frames"`
		}{head, id, framesOfEvent(s)}); err != nil {
			return err
		}
	}
	head, err := newEventHead("go")
	if err != nil {
		return err
	}
	return g.line(struct {
		eventHead
		Stack        string `json:"stack"`
		AllocObjects int64  `json:"alloc_objects"`
		AllocBytes   int64  `json:"alloc_bytes"`
		FreeObjects  int64  `json:"free_objects"`
		FreeBytes    int64  `json:"free_bytes"`
	}{head, id, change.allocObjects, change.allocBytes, change.freeObjects, change.freeBytes})
}

func (g *goEvents) line(v any) error {
	text, err := json.Marshal(v)
	g.lines = append(g.lines, append(text, '\n'))
	return err
}
