// Package alert tells others that a process needs a look: which causes are active, the command
// and the webhook that hear of them, and conditions that a user sets.  It judges no memory.
package alert

import (
	"time"

	"cgoheap/cli/internal/series"
)

// Schema is that of a Document.
const Schema = "cgoheap.alert/1"

// States of an alert.
const (
	Firing = "firing"
	Ended  = "ended"
)

// Document is what a command and a webhook get, as JSON.
type Document struct {
	Schema  string       `json:"schema"`
	State   string       `json:"state"`
	Rule    string       `json:"rule"`
	Text    string       `json:"text"`
	Host    string       `json:"host"`
	Program string       `json:"program"`
	PID     int          `json:"pid"`
	Wall    time.Time    `json:"wall"`
	MonoNS  int64        `json:"mono_ns"`
	Since   time.Time    `json:"since"`  // when it began to fire
	Before  []series.Row `json:"before"` // samples up to Since
	After   []series.Row `json:"after"`  // samples from then on; empty while it fires
}

// Cause is something that is wrong now.
type Cause struct{ Rule, Text string }

// Change is an alert that began or ended.
type Change struct {
	Cause
	State string
	Since time.Time
	// What was known before it began.
	Before  []series.Row
	BeganNS int64
}

// Calm is how long a cause must be away until its alert ends.
const Calm = time.Minute

// Book has one alert for each cause, until that ends.
type Book struct {
	active []*entry
}

type entry struct {
	Change
	seen int64 // MonoNS
}

// Update takes the causes of this moment.  before is asked for when an alert begins.
func (b *Book) Update(
	wall time.Time, mono int64, causes []Cause, before func() []series.Row,
) (changes []Change) {
	for _, c := range causes {
		e := b.find(c.Rule)
		if e == nil {
			e = &entry{Change: Change{Cause: c, State: Firing, Since: wall, Before: before(),
				BeganNS: mono}}
			b.active = append(b.active, e)
			changes = append(changes, e.Change)
		}
		e.seen, e.Text = mono, c.Text
	}
	kept := b.active[:0]
	for _, e := range b.active {
		if mono-e.seen < int64(Calm) {
			kept = append(kept, e)
			continue
		}
		e.State = Ended
		changes = append(changes, e.Change)
	}
	b.active = kept
	return changes
}

func (b *Book) find(rule string) *entry {
	for _, e := range b.active {
		if e.Rule == rule {
			return e
		}
	}
	return nil
}

// Active are the alerts that fire now, in the order in which they began.
func (b *Book) Active() []Cause {
	causes := []Cause{}
	for _, e := range b.active {
		causes = append(causes, e.Cause)
	}
	return causes
}
