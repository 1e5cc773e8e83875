package verbs

import (
	"fmt"
	"time"

	"cgoheap.example/cli/internal/termtext"
)

// watch in a terminal.

// draw follows a feed until it, --for or the user ends it.
func (w *watching) draw(feed <-chan fed) error {
	s, err := openScreen(w.std.terminal)
	if err != nil {
		return err
	}
	defer s.close()
	err = w.follow(s, feed)
	s.close()
	if len(w.history.rows) > 0 { // what was seen stays on the terminal
		w.printTable()
	}
	return err
}

func (w *watching) follow(s *screen, feed <-chan fed) error {
	deadline := w.deadline()
	scroll := 0
	for {
		width, height := s.size()
		_, _ = s.out.Write(w.frame(width, height, &scroll, "q quits"))
		select {
		case f := <-feed:
			if f.err != nil {
				s.close()
				return w.ended(f.err)
			}
			w.take(&f.Sample)
			if w.broken != nil {
				s.close()
				return w.judgeEnd()
			}
		case <-deadline:
			s.close()
			return w.judgeEnd()
		case key := <-s.keys:
			switch key {
			case 'q', 'Q':
				return w.stopped()
			case 'j':
				scroll++
			case 'k':
				scroll--
			}
		case sig := <-s.signals:
			if s.handle(sig) {
				return w.stopped()
			}
		}
	}
}

// frame is what is known now.  scroll is corrected to what there is.
func (w *watching) frame(width, height int, scroll *int, keys string) []byte {
	lines := w.head(width, height)
	table := w.history.table(width)
	room := max(height-len(lines)-1, 1)
	*scroll = max(0, min(*scroll, len(table)-room))
	table = table[min(*scroll, len(table)):]
	footer := keys
	if left := len(table) - room; left > 0 {
		table = table[:room]
		footer = fmt.Sprintf("%s  %d more: j k", keys, left)
	}
	return frame(append(lines, table...), footer, width, height)
}

// head is the lines above the table: at most half of the screen.
func (w *watching) head(width, height int) []string {
	first := w.title()
	if n := len(w.history.rows); n > 0 {
		first += "  " + w.history.rows[n-1].Wall.Local().Format(time.TimeOnly)
	}
	if w.output != nil {
		first += "  recording " + termtext.QuoteShell(w.options.record)
	}
	lines := []string{first}
	add := func(text string) {
		lines = append(lines, termtext.Wrap(termtext.Escape(text), width)...)
	}
	sentences := w.sentences()
	for _, text := range sentences {
		add(text)
	}
	for _, text := range w.remarks() {
		add("! " + text)
	}
	if w.said != "" {
		add("! " + w.said)
	}
	if most := max(height/2, 2); len(lines) > most {
		lines = append(lines[:most-1], "...")
	}
	if height > 8 {
		lines = append(lines, "")
	}
	return lines
}

// page shows a recording, at its end first; keys go to other moments of it.
func (w *watching) page(samples []fed) error {
	samples = samples[:len(samples)-1] // the last says that it ends
	s, err := openScreen(w.std.terminal)
	if err != nil {
		return err
	}
	defer s.close()
	at, shown, scroll := len(samples)-1, -1, 0
	step := max(1, len(samples)/mostSpark)
	for {
		if at != shown {
			w.rewind(samples, shown, at)
			shown = at
		}
		width, height := s.size()
		keys := fmt.Sprintf("%d/%d  q quits, h l 0 $ move", at+1, len(samples))
		_, _ = s.out.Write(w.frame(width, height, &scroll, keys))
		select {
		case key := <-s.keys:
			switch key {
			case 'q', 'Q':
				s.close()
				return w.judgeEnd()
			case 'h':
				at = max(0, at-step)
			case 'l':
				at = min(len(samples)-1, at+step)
			case '0':
				at = 0
			case '$':
				at = len(samples) - 1
			case 'j':
				scroll++
			case 'k':
				scroll--
			}
		case sig := <-s.signals:
			if s.handle(sig) {
				s.close()
				return w.stopped()
			}
		}
	}
}

// rewind takes the samples up to one; going back, it begins again.
func (w *watching) rewind(samples []fed, shown, at int) {
	if at < shown {
		again := newWatching(w.std, w.options, w.header)
		again.failure = w.failure
		*w = *again
		shown = -1
	}
	for _, f := range samples[shown+1 : at+1] {
		w.take(&f.Sample)
	}
}
