package series

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cgoheap.example/cli/internal/termtext"
)

// Schema is the first line's.
const Schema = "cgoheap.watch/1"

const wallFormat = "2006-01-02T15:04:05.000Z07:00"

// line is any line of a recording, as JSON.
type line struct {
	Schema   string              `json:"schema,omitempty"`
	Host     string              `json:"host,omitempty"`
	Program  string              `json:"program,omitempty"`
	PID      int                 `json:"pid,omitempty"`
	Wall     string              `json:"wall"`
	MonoNS   *int64              `json:"mono_ns"`
	Interval int64               `json:"interval_ns,omitempty"`
	Version  string              `json:"version,omitempty"`
	Values   map[string]*float64 `json:"values,omitempty"` // null: not known
	Event    *eventJSON          `json:"event,omitempty"`

	time time.Time // of Wall
}

type eventJSON struct {
	Kind  string `json:"kind"`
	Rule  string `json:"rule,omitempty"`
	State string `json:"state,omitempty"`
	Text  string `json:"text"`
}

// What no sane recording has: a file that is something else must not fill the memory.
const (
	maxLineBytes = 4 << 20
	maxFigure    = 1 << 62
	maxNames     = 4096 // of all figures together
)

// parseLine checks all that readers rely on.
func parseLine(text []byte) (*line, error) {
	l := &line{}
	if err := json.Unmarshal(text, l); err != nil {
		return nil, errors.New("is not a line of a recording: " + termtext.Escape(err.Error()))
	}
	var err error
	if l.time, err = time.Parse(time.RFC3339, l.Wall); err != nil {
		return nil, errors.New(`has no time in "wall"`)
	}
	if l.MonoNS == nil || *l.MonoNS < 0 {
		return nil, errors.New(`has no time in "mono_ns"`)
	}
	for name, value := range l.Values {
		if _, known := byName[name]; !known || value == nil {
			continue
		}
		if *value < 0 || *value > maxFigure {
			return nil, fmt.Errorf("says that %s is %g", name, *value)
		}
	}
	return l, nil
}

func (l *line) header() Header {
	return Header{Host: l.Host, Program: l.Program, PID: l.PID, Wall: l.time, MonoNS: *l.MonoNS,
		Interval: time.Duration(l.Interval), Version: l.Version}
}

func (l *line) row(names map[string]string) Row {
	r := Row{Wall: l.time, MonoNS: *l.MonoNS, Values: make(map[string]float64, len(l.Values))}
	for name, value := range l.Values {
		if value == nil {
			continue
		}
		shared, ok := names[name] // a day has few names in many rows
		if !ok {
			names[name], shared = name, name
		}
		r.Set(shared, *value)
	}
	return r
}

func (l *line) event() Event {
	e := l.Event
	return Event{Wall: l.time, MonoNS: *l.MonoNS, Kind: e.Kind, Rule: e.Rule, State: e.State,
		Text: e.Text}
}

// at is a line of that time.
func at(wall time.Time, mono int64) line {
	return line{Wall: wall.UTC().Format(wallFormat), MonoNS: &mono}
}

func (h *Header) line() line {
	l := at(h.Wall, h.MonoNS)
	l.Schema, l.Host, l.Program, l.PID = Schema, h.Host, h.Program, h.PID
	l.Interval, l.Version = int64(h.Interval), h.Version
	return l
}

func (r *Row) line() line {
	l := at(r.Wall, r.MonoNS)
	l.Values = make(map[string]*float64, len(r.Values))
	for name, value := range r.Values {
		l.Values[name] = &value
	}
	return l
}

func (e *Event) line() line {
	l := at(e.Wall, e.MonoNS)
	l.Event = &eventJSON{Kind: e.Kind, Rule: e.Rule, State: e.State, Text: e.Text}
	return l
}

// text ends with a newline, and has no other.
func (l *line) text() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(l)
	return b.Bytes(), err
}

// MarshalJSON writes a sample as a recording has it.
func (r Row) MarshalJSON() ([]byte, error) {
	l := r.line()
	text, err := l.text()
	return bytes.TrimSpace(text), err
}
