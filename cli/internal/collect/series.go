package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cgoheap.example/cli/internal/release"
	"cgoheap.example/cli/internal/termtext"
)

// A series: a scene every so often, each in a numbered directory, with a manifest above them.

// Series says how often, for how long, and how many scenes stay.
type Series struct {
	Every, For time.Duration
	Keep       int // the first scene and the last ones; 0: all
}

// count of scenes, if each is in time.
func (s *Series) count() int { return int(s.For/s.Every) + 1 }

// SeriesManifest is docs/json-schema/series.json.
type SeriesManifest struct {
	Version  string     `json:"version"`
	Host     string     `json:"host"`
	Program  string     `json:"program"`
	PID      *int       `json:"pid"`
	URL      *string    `json:"url"`
	View     string     `json:"view"`
	Started  time.Time  `json:"started"`
	Ended    *time.Time `json:"ended"`
	EveryNS  int64      `json:"every_ns"`
	ForNS    int64      `json:"for_ns"`
	Complete bool       `json:"complete"` // it came to its end; a scene may still lack files
	Stopped  *string    `json:"stopped"`
	Scenes   []Round    `json:"scenes"`
}

// Round is one scene of a series.
type Round struct {
	Path     string    `json:"path"`
	Wall     time.Time `json:"wall"`
	MonoNS   int64     `json:"mono_ns"`
	TookNS   int64     `json:"took_ns"`
	Files    int       `json:"files"`
	Missing  int       `json:"missing"`
	Bytes    int64     `json:"bytes"`
	Complete bool      `json:"complete"`
	Kept     bool      `json:"kept"` // false: removed by --keep, or nothing could be collected
	Error    *string   `json:"error"`
}

// TakeSeries takes scenes until the time is over.  A scene that fails does not end it; a full
// disk, an interrupt and the end of the process do.
func TakeSeries(ctx context.Context, dir string, o *Options, s *Series) (*SeriesManifest, error) {
	if err := makeDirectory(dir); err != nil {
		return nil, err
	}
	wall, _ := o.Clock()
	m := &SeriesManifest{Version: release.Version, Host: o.Host, Program: o.Program,
		View: view(o.root()), Started: wall, EveryNS: int64(s.Every), ForNS: int64(s.For),
		Scenes: []Round{}}
	if o.Process != nil {
		m.PID = &o.Process.PID
	}
	if o.Server != nil {
		text := o.Server.String()
		m.URL = &text
	}
	fmt.Fprintf(o.Progress, "cgoheap: %s, one every %s; %s are free here\n",
		termtext.CountOf(s.count(), "scene", "scenes"), termtext.Duration(s.Every),
		termtext.Bytes(FreeBytes(dir)))
	stopped := takeRounds(ctx, dir, o, s, m)
	ended, _ := o.Clock()
	m.Ended, m.Complete = &ended, stopped == nil
	if stopped != nil {
		text := stopped.Error()
		m.Stopped = &text
	}
	err := m.save(dir)
	if m.kept() == 0 {
		os.Remove(filepath.Join(dir, "manifest.json"))
		os.Remove(filepath.Join(dir, "README.txt"))
		os.Remove(dir)
		if stopped == nil && len(m.Scenes) > 0 {
			stopped = errors.New(*m.Scenes[len(m.Scenes)-1].Error)
		}
	}
	return m, cmp.Or(stopped, err)
}

func takeRounds(ctx context.Context, dir string, o *Options, s *Series, m *SeriesManifest) error {
	start := time.Now()
	for n := 1; ; n++ {
		name := fmt.Sprintf("%03d", n)
		fmt.Fprintf(o.Progress, "cgoheap: scene %d of %d, %s\n", n, s.count(), name)
		r, err := takeRound(ctx, dir, name, o)
		m.Scenes = append(m.Scenes, r)
		m.thin(dir, s.Keep)
		if err == nil {
			err = m.save(dir)
		}
		if err != nil {
			return err
		}
		if n == 1 {
			s.estimate(o, r.Bytes, FreeBytes(dir))
		}
		next := start.Add(time.Since(start).Truncate(s.Every) + s.Every)
		if next.Sub(start) > s.For {
			return nil
		}
		select {
		case <-time.After(time.Until(next)):
		case <-ctx.Done():
			return &stop{"interrupted"}
		}
	}
}

// takeRound returns an error that ends the series.
func takeRound(ctx context.Context, dir, name string, o *Options) (Round, error) {
	wall, mono := o.Clock()
	r := Round{Path: name, Wall: wall, MonoNS: mono}
	path := filepath.Join(dir, name)
	m, err := Take(ctx, path, o)
	_, now := o.Clock()
	r.TookNS = now - mono
	if m != nil {
		r.Files, r.Bytes = m.count()
		r.Missing, r.Complete = len(m.Files)-r.Files, m.Complete
	}
	r.Kept = r.Files > 0
	if err != nil {
		text := err.Error()
		r.Error = &text
		fmt.Fprintf(o.Progress, "cgoheap: %s\n", text)
	} else if o.First == nil {
		if f := ReadFacts(path, m); f.body {
			o.First = f.Account
		}
	}
	var early *stop
	switch {
	case errors.As(err, &early):
		return r, early
	case o.Server == nil && o.hasEnded():
		return r, fmt.Errorf("process %d has ended", o.Process.PID)
	}
	return r, nil
}

// estimate says before the long part what room it takes.
func (s *Series) estimate(o *Options, first, free int64) {
	left := s.count()
	if s.Keep > 0 {
		left = min(left, s.Keep)
	}
	whole := first * int64(left)
	fmt.Fprintf(o.Progress, "cgoheap: a scene takes %s here, the series about %s; %s are free\n",
		termtext.Bytes(first), termtext.Bytes(whole), termtext.Bytes(free))
	if free >= 0 && whole-first > free {
		fmt.Fprintln(o.Progress, "cgoheap: that does not fit: --keep N keeps only the first scene "+
			"and the last ones")
	}
}

// thin removes the oldest scenes but the first, from which growth is measured.
func (m *SeriesManifest) thin(dir string, keep int) {
	for i := 1; keep > 0 && m.kept() > keep && i < len(m.Scenes); i++ {
		if m.Scenes[i].Kept && os.RemoveAll(filepath.Join(dir, m.Scenes[i].Path)) == nil {
			m.Scenes[i].Kept = false
		}
	}
}

func (m *SeriesManifest) kept() int {
	n := 0
	for _, r := range m.Scenes {
		if r.Kept {
			n++
		}
	}
	return n
}

// save writes the manifest and the README.txt.
func (m *SeriesManifest) save(dir string) error {
	body, err := encode("series", m)
	if err == nil {
		err = writeFile(filepath.Join(dir, "manifest.json"), body)
	}
	if err == nil {
		err = writeFile(filepath.Join(dir, "README.txt"), []byte(m.readme(dir)))
	}
	if err != nil {
		return &stop{err.Error()}
	}
	return nil
}
