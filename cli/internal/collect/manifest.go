package collect

import (
	"bytes"
	"time"

	"golang.org/x/sys/unix"

	"cgoheap.example/cli/internal/document"
)

// The manifest of a scene: docs/json-schema/scene.json.

// Manifest says what a scene consists of, and what is missing from it.
type Manifest struct {
	Version  string     `json:"version"`
	Host     string     `json:"host"`
	Program  string     `json:"program"`
	PID      *int       `json:"pid"` // nil: by a URL alone
	URL      *string    `json:"url"` // without password and query
	View     string     `json:"view"`
	Started  time.Time  `json:"started"`
	Ended    *time.Time `json:"ended"`    // nil: it is still being taken, or was killed
	Complete bool       `json:"complete"` // each source was asked; a file may still have an error
	Stopped  *string    `json:"stopped"`  // why not each was asked
	Files    []File     `json:"files"`
}

// File is one source's.
type File struct {
	Path     string    `json:"path"`
	Source   string    `json:"source"`
	Kind     string    `json:"kind"`
	From     string    `json:"from"` // what was asked for there
	Wall     time.Time `json:"wall"`
	MonoNS   int64     `json:"mono_ns"`
	TookNS   int64     `json:"took_ns"`
	Bytes    *int64    `json:"bytes"` // nil: there is no such file
	Attempts int       `json:"attempts"`
	Error    *string   `json:"error"`
}

// Views: by whose eyes /proc was read.
const (
	viewHost      = "host"
	viewContainer = "container"
)

// Has says whether the scene has this file.
func (m *Manifest) Has(path string) bool {
	for _, f := range m.Files {
		if f.Path == path {
			return f.Bytes != nil
		}
	}
	return false
}

// count is how many files there are, and their bytes.
func (m *Manifest) count() (files int, bytes int64) {
	for _, f := range m.Files {
		if f.Bytes != nil {
			files++
			bytes += *f.Bytes
		}
	}
	return files, bytes
}

// encode is what is written to manifest.json.
func encode(kind string, value any) ([]byte, error) {
	var b bytes.Buffer
	err := document.Write(&b, kind, value)
	return b.Bytes(), err
}

// Clock gives the time, and the machine's monotonic clock in ns.
type Clock func() (wall time.Time, mono int64)

// Now is the machine's.
func Now() (time.Time, int64) {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // it cannot fail with this clock
	return time.Now(), t.Nano()
}
