package leak

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cgoheap.example/cli/internal/recorder"
)

// Directory takes in the recordings of a run as its processes end. It belongs to one goroutine.
type Directory struct {
	Path    string
	Rules   Rules
	Results []*Result
}

const (
	recordingSuffix = ".cgoheap"
	programSuffix   = ".exe" // the link to the program that the library makes beside a recording
)

// Take reads and removes the recordings of processes that have ended.
func (d *Directory) Take() {
	for _, path := range d.recordings() {
		if recorder.HasEnded(path) {
			d.take(path)
		}
	}
}

// endedWithin: the kernel frees a process's memory, and with it the recording's lock, a moment
// after its parent has seen it end.
const endedWithin = 2 * time.Second

// TakeAll reads all that is there. What belongs to a process that still runs is unknown.
func (d *Directory) TakeAll() {
	deadline := time.Now().Add(endedWithin)
	for d.Take(); d.isAnyMade() && time.Now().Before(deadline); d.Take() {
		time.Sleep(10 * time.Millisecond)
	}
	for _, path := range d.recordings() {
		d.take(path)
	}
	slices.SortStableFunc(d.Results, func(a, b *Result) int {
		return strings.Compare(a.Program, b.Program)
	})
}

// recordings are found by name, not by a glob: TMPDIR may have a "[" in it.
func (d *Directory) recordings() (paths []string) {
	entries, _ := os.ReadDir(d.Path)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), recordingSuffix) {
			paths = append(paths, filepath.Join(d.Path, e.Name()))
		}
	}
	return paths
}

// isAnyMade: an empty file is what the library leaves where it could not make a recording.
func (d *Directory) isAnyMade() bool {
	return slices.ContainsFunc(d.recordings(), func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && info.Size() > 0
	})
}

func (d *Directory) take(path string) {
	r, err := d.judge(path)
	if err != nil {
		name := strings.TrimSuffix(filepath.Base(path), recordingSuffix)
		r = &Result{Program: name, Unknown: []string{err.Error()}}
	}
	d.Results = append(d.Results, r)
	_ = os.Remove(path)
	_ = os.Remove(path + programSuffix)
}

func (d *Directory) judge(path string) (*Result, error) {
	data, alive, err := recorder.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, errors.New("its recording could not be made, as its line above says; " +
			"if it lacks room, set TMPDIR to another directory")
	}
	b, err := recorder.Read(data)
	if err != nil {
		return nil, err
	}
	r := Judge(b, d.programOf(path), d.Rules)
	if alive {
		r.Unknown = append(r.Unknown, "it is still running")
	}
	return r, nil
}

// programOf is the link, or "" where the file systems did not allow one.
func (d *Directory) programOf(path string) string {
	if _, err := os.Stat(path + programSuffix); err != nil {
		return ""
	}
	return path + programSuffix
}
