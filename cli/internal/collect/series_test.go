package collect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// roundNames are the directories of a series.
func roundNames(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// growing makes C live grow with each account, and the time go on.
func (w *world) growing(o *Options) {
	inner := o.Library
	o.Library = func(page string) ([]byte, error) {
		if page == "/v1/account" {
			w.account.Time = w.account.Time.Add(time.Hour)
			*w.account.Owners[3].Bytes += 40 * mib
			*w.account.Allocator.InUse += 40 * mib
			w.account.RSS += 40 * mib
		}
		return inner(page)
	}
}

// TestSeries: a scene that fails does not end it, and the last one knows the growth.
func TestSeries(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.CPU, o.Trace = 0, 0
	w.growing(o)
	scenes := 0
	w.fail["heap"] = func(rw http.ResponseWriter, r *http.Request) {
		scenes++
		http.NotFound(rw,
			r)
	}
	var printed bytes.Buffer
	o.Progress = &printed
	dir := filepath.Join(t.TempDir(), "series")
	m, err := TakeSeries(context.Background(), dir, o, &Series{Every: time.Second,
		For: 3 * time.Second})
	if err != nil || !m.Complete || len(m.Scenes) < 2 || len(m.Scenes) != scenes {
		t.Fatalf("%v %+v", err, m)
	}
	names := roundNames(t, dir)
	for i, r := range m.Scenes {
		if !r.Kept || !r.Complete || r.Missing != 1 || r.Bytes == 0 || r.Path != names[i] {
			t.Errorf("%+v", r)
		}
	}
	last := names[len(names)-1]
	if text := readText(t, dir, last, "README.txt"); !strings.Contains(text, "C live grew by ") {
		t.Error(text)
	}
	readme := readText(t, dir, "README.txt")
	for _, want := range []string{Question + " No.\n", "\nC live ",
		"cgoheap diff 001/cgoheap.pb.gz " + last + "/cgoheap.pb.gz\n",
		"-diff_base=001/memory.pb.gz " + last + "/memory.pb.gz\n"} {
		if !strings.Contains(readme, want) {
			t.Errorf("no %q in\n%s", want, readme)
		}
	}
	if said := printed.String(); !strings.Contains(said, "cgoheap: 4 scenes, one every 1s; ") ||
		!strings.Contains(said, "the series about ") {
		t.Error(said)
	}
	var saved SeriesManifest
	text := readText(t, dir, "manifest.json")
	if err := json.Unmarshal([]byte(text), &saved); err != nil || len(saved.Scenes) != len(names) ||
		!strings.HasPrefix(text, "{\n  \"schema\": \"cgoheap.series/1\",") {
		t.Error(err, text)
	}
}

// failingRounds collect by a URL alone; the nth scene finds nothing.
func TestSeriesOutlivesARound(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.Process, o.Library, o.CPU, o.Trace = nil, nil, 0, 0
	first := true
	w.fail["heap"] = func(rw http.ResponseWriter, r *http.Request) {
		delete(w.fail, "heap")
		if first {
			first = false
			w.fail["*"] = func(rw http.ResponseWriter, r *http.Request) {
				http.NotFound(rw, r)
				if strings.HasSuffix(r.URL.Path, "cmdline") { // the last one
					delete(w.fail, "*")
				}
			}
		}
		http.NotFound(rw, r)
	}
	w.fail["cgoheap"] = http.NotFound
	dir := filepath.Join(t.TempDir(), "series")
	m, err := TakeSeries(context.Background(), dir, o, &Series{Every: time.Second,
		For: time.Second})
	if err != nil || len(m.Scenes) != 2 || m.Scenes[0].Kept || m.Scenes[0].Error == nil ||
		!m.Scenes[1].Kept {
		t.Errorf("%v %+v", err, m)
	}
	if names := roundNames(t, dir); !slices.Equal(names, []string{"002"}) {
		t.Error(names)
	}
}

// TestSeriesKeeps the first scene and the last ones.
func TestSeriesKeeps(t *testing.T) {
	dir := t.TempDir()
	m := &SeriesManifest{}
	for _, name := range []string{"001", "002", "003", "004", "005"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		m.Scenes = append(m.Scenes, Round{Path: name, Kept: true})
		m.thin(dir, 3)
	}
	if names := roundNames(t, dir); !slices.Equal(names, []string{"001", "004", "005"}) {
		t.Error(names)
	}
	if m.Scenes[1].Kept || m.Scenes[2].Kept || m.kept() != 3 {
		t.Errorf("%+v", m.Scenes)
	}
}

// TestSeriesInterrupted while it waits, and ended by the end of the process.
func TestSeriesEndsEarly(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.CPU, o.Trace = 0, 0
	ctx, cancel := context.WithCancel(context.Background())
	w.fail["block"] = func(rw http.ResponseWriter,
		r *http.Request) {
		time.AfterFunc(50*time.Millisecond, cancel)
	}
	dir := filepath.Join(t.TempDir(), "series")
	m, err := TakeSeries(ctx, dir, o, &Series{Every: time.Hour, For: 10 * time.Hour})
	if err == nil || err.Error() != "interrupted" || m.Complete || *m.Stopped != "interrupted" ||
		len(m.Scenes) != 1 || !strings.Contains(readText(t, dir, "README.txt"),
		"ended early: interrupted") {
		t.Errorf("%v %+v", err, m)
	}

	w = newWorld(t)
	o = w.options()
	o.Server = nil
	inner := o.Library
	o.Library = func(page string) ([]byte, error) {
		if page == "/metrics" {
			if err := os.RemoveAll(filepath.Join(w.root, "proc/4242")); err != nil {
				return nil, errors.Join(err)
			}
		}
		return inner(page)
	}
	dir = filepath.Join(t.TempDir(), "series")
	m, err = TakeSeries(context.Background(), dir, o, &Series{Every: time.Hour,
		For: 10 * time.Hour})
	if err == nil || err.Error() != "process 4242 has ended" || m.Complete ||
		m.Scenes[0].Files < 5 {
		t.Errorf("%v %+v", err, m)
	}
	scene := readScene(dir, "001")
	if f := fileOf(scene.manifest, "proc/smaps"); f.Error == nil ||
		*f.Error != "the process has ended" {
		t.Errorf("%+v", f)
	}
}
