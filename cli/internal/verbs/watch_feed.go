package verbs

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"cgoheap.example/cli/internal/observe"
	"cgoheap.example/cli/internal/recorder"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/termtext"
)

// A feed is where samples come from, one at a time; an error, io.EOF at a recording's end, is
// its last.
type fed struct {
	observe.Sample
	err error
}

// feedLive takes samples until the process ends or stop is closed.
func feedLive(ob *observe.Observer, interval time.Duration, stop <-chan struct{}) <-chan fed {
	to := make(chan fed)
	go func() {
		defer close(to)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			s, err := ob.Take()
			select {
			case to <- fed{s, err}:
			case <-stop:
				return
			}
			if err != nil {
				return
			}
			select {
			case <-ticker.C:
			case <-stop:
				return
			}
		}
	}()
	return to
}

// readRecording reads either kind of recording.
func readRecording(path string) (*series.Recording, error) {
	r, err := series.ReadFile(path)
	if err == nil || !errors.Is(err, series.ErrNotRecording) {
		return r, err
	}
	data, _, readErr := recorder.ReadFile(path)
	if readErr != nil {
		return nil, readErr
	}
	b, ringErr := recorder.Read(data)
	if ringErr != nil {
		return nil, fmt.Errorf("%s is neither a recording of cgoheap watch nor one of the "+
			"flight recorder: %s", termtext.QuoteShell(path), ringErr)
	}
	return b.Series(), nil
}

// replayed is the samples of a recording, each with the events up to it.  Alerts are left out:
// the samples are judged again.
func replayed(r *series.Recording) []fed {
	var list []fed
	events := slices.DeleteFunc(slices.Clone(r.Events), func(e series.Event) bool {
		return e.Kind == series.EventAlert
	})
	for i, row := range r.Rows {
		s := observe.Sample{Row: row}
		for len(events) > 0 && (events[0].MonoNS <= row.MonoNS || i == len(r.Rows)-1) {
			s.Events, events = append(s.Events, events[0]), events[1:]
		}
		list = append(list, fed{Sample: s})
	}
	return append(list, fed{err: io.EOF})
}
