// Package alert tells others that a process needs a look: a command and a webhook, in the
// background; and it reads the conditions that a user sets.  It judges no memory.
package alert

import (
	"time"

	"cgoheap.example/cli/internal/series"
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
