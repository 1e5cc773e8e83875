package series

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"cgoheap.example/cli/internal/termtext"
)

// Recording is what a file has.
type Recording struct {
	Header Header
	Rows   []Row   // in the order of MonoNS
	Events []Event // in the order of MonoNS
	Ends   string  // a sentence if reading ended before the file did; "": it was read whole
}

// ErrNotRecording says that the first line is no header.
var ErrNotRecording = errors.New("it is not a recording of cgoheap watch")

// ReadFile reads a recording.  Its errors are one sentence.
func ReadFile(path string) (*Recording, error) {
	shown := termtext.QuoteShell(path)
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %s", shown, termtext.Reason(err))
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", shown)
	}
	r, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", shown, err)
	}
	return r, nil
}

// Read fails only if the first line is no header.  A line that cannot be read ends the
// recording; all before it counts.
func Read(from io.Reader) (*Recording, error) {
	r := &reader{names: map[string]string{}}
	lines := bufio.NewReaderSize(from, 64<<10)
	for number := 1; ; number++ {
		text, err := readLine(lines)
		if err == io.EOF && len(text) == 0 {
			break
		}
		if err == nil || err == io.EOF {
			if len(strings.TrimSpace(string(text))) == 0 {
				continue
			}
			err = r.take(text)
		}
		switch {
		case err != nil && r.parts == 0:
			return nil, ErrNotRecording
		case err != nil:
			r.Ends = fmt.Sprintf("line %d %s: what comes after it is left out", number, err)
			return &r.Recording, nil
		}
	}
	if r.parts == 0 {
		return nil, ErrNotRecording
	}
	return &r.Recording, nil
}

// readLine returns the last line too if it has no end, with io.EOF.
func readLine(from *bufio.Reader) ([]byte, error) {
	var text []byte
	for {
		part, err := from.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case len(text) > maxLineBytes:
			return nil, errors.New("is longer than " + termtext.Bytes(maxLineBytes))
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == io.EOF:
			return text, err
		case err != nil:
			return nil, errors.New("cannot be read: " + termtext.Reason(err))
		}
		return text, nil
	}
}

type reader struct {
	Recording
	names    map[string]string
	parts    int // headers so far
	part     Header
	shift    int64 // added to MonoNS: a part of another boot goes on where the last one ended
	lastMono int64
	lastWall time.Time
}

func (r *reader) take(text []byte) error {
	l, err := parseLine(text)
	if err != nil {
		return err
	}
	switch {
	case l.Schema == Schema:
		r.takeHeader(l)
	case l.Schema != "" || r.parts == 0:
		return fmt.Errorf("has the schema %s, not %s", termtext.Quote(l.Schema), Schema)
	}
	if *l.MonoNS += r.shift; *l.MonoNS < r.lastMono {
		return errors.New("is older than the line before it")
	}
	r.lastMono, r.lastWall = *l.MonoNS, l.time
	if l.Values != nil {
		row := l.row(r.names)
		if len(r.names) > maxNames {
			return fmt.Errorf("makes it more than %d figures", maxNames)
		}
		r.Rows = append(r.Rows, row)
	}
	if l.Event != nil {
		r.Events = append(r.Events, l.event())
	}
	return nil
}

// takeHeader: a recording to which a later watch was appended has several.
func (r *reader) takeHeader(l *line) {
	h := l.header()
	r.parts++
	if r.parts == 1 {
		r.Header, r.part = h, h
		return
	}
	if mono := h.MonoNS + r.shift; mono < r.lastMono || h.Host != r.part.Host {
		r.shift = r.lastMono + max(int64(h.Wall.Sub(r.lastWall)), 1) - h.MonoNS
	}
	e := Event{Wall: h.Wall, MonoNS: h.MonoNS + r.shift, Kind: EventGap,
		Text: fmt.Sprintf("not watched for %s",
			termtext.Duration(time.Duration(h.MonoNS+r.shift-r.lastMono)))}
	if h.PID != r.part.PID || h.Host != r.part.Host || h.Program != r.part.Program {
		e.Kind = EventRestart
		e.Text += fmt.Sprintf("; from here on it is %s (%d) on %s", h.Program, h.PID, h.Host)
	}
	r.Events = append(r.Events, e)
	r.part = h
}
