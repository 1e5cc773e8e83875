package verbs

import (
	"fmt"
	"time"

	"cgoheap.example/cli/internal/alert"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/termtext"
)

// failure is --fail-on.  Growth is judged by a slope over all of --for, or over five minutes at
// any time: its whole interval must be above the condition.  A value must be above it in three
// samples that follow each other: one alone may be wrong.
type failure struct {
	condition alert.Condition
	length    time.Duration // of --for; 0: none
	above     int
	known     int // samples with the figure
	judged    int64
}

const (
	enoughAbove = 3
	judgeEvery  = 10 * time.Second
)

// failedError ends the verb with exit code 1.
type failedError struct{ text string }

func (e failedError) Error() string { return e.text }

// add takes the last sample; the error is a failedError.
func (f *failure) add(h *history) error {
	row := &h.rows[len(h.rows)-1]
	v, known := row.Value(f.condition.Figure.Name)
	if known {
		f.known++
	}
	if f.condition.Per == 0 {
		if !known {
			return nil
		}
		if f.above++; v <= f.condition.Value {
			f.above = 0
		}
		if f.above >= enoughAbove {
			return f.fails(fmt.Sprintf("is %s", f.condition.Amount(v)))
		}
		return nil
	}
	recent := h.since(h.growthTime())
	isFull := row.MonoNS-recent[0].MonoNS >= int64(h.growthTime())*9/10
	if f.length > 0 || !isFull || row.MonoNS-f.judged < int64(judgeEvery) {
		return nil
	}
	f.judged = row.MonoNS
	return f.grows(recent)
}

// end judges all there is.
func (f *failure) end(h *history) error {
	if f.known == 0 {
		return fmt.Errorf("--fail-on %s could not be judged: %s was never known",
			termtext.QuoteShell(f.condition.Text), f.condition.Figure.Label)
	}
	isJudged := f.known >= enoughAbove
	if f.condition.Per != 0 {
		_, isJudged = slope(h.rows, f.condition.Figure.Name, 240)
	}
	if !isJudged {
		return fmt.Errorf("--fail-on %s could not be judged: %s has too few values in %s",
			termtext.QuoteShell(f.condition.Text), f.condition.Figure.Label, h.length())
	}
	if f.condition.Per == 0 {
		return nil
	}
	return f.grows(h.rows)
}

func (f *failure) grows(rows []series.Row) error {
	s, ok := slope(rows, f.condition.Figure.Name, 240)
	if !ok {
		return nil
	}
	per := f.condition.Per.Seconds()
	if s.Low*per <= f.condition.Value {
		return nil
	}
	return f.fails(fmt.Sprintf("grows by %s (%s to %s)", f.condition.Amount(s.PerSecond*per),
		series.Text(f.condition.Figure.Unit, s.Low*per),
		series.Text(f.condition.Figure.Unit, s.High*per)))
}

func (f *failure) fails(what string) error {
	return failedError{fmt.Sprintf("%s %s, and --fail-on says %s", f.condition.Figure.Label, what,
		termtext.QuoteShell(f.condition.Text))}
}

// judgeEnd is --fail-on when the watch ends.
func (w *watching) judgeEnd() error {
	if w.failure == nil {
		return nil
	}
	if w.broken == nil {
		w.broken = w.failure.end(&w.history)
	}
	return w.failed(w.broken)
}

// failed prints the stacks that grow, where they are known.
func (w *watching) failed(err error) error {
	if _, is := err.(failedError); !is || w.grown == nil {
		return err
	}
	w.grown.print(w.std.err)
	return err
}
