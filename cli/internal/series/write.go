package series

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"cgoheap.example/cli/internal/termtext"
)

// Writer appends lines, each in one write: a watch that is killed leaves whole lines.
type Writer struct {
	to *os.File
}

// Create opens the file and writes the header.  A recording that is there already is
// continued; any other file is left alone.  Its errors are one sentence.
func Create(path string, h Header) (*Writer, error) {
	shown := termtext.QuoteShell(path)
	access := os.O_RDWR // what is there is read
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		access = os.O_WRONLY // whoever reads a pipe is its reader
	}
	f, err := os.OpenFile(path, access|os.O_CREATE|os.O_APPEND|syscall.O_NONBLOCK, 0o666)
	if errors.Is(err, syscall.ENXIO) {
		return nil, fmt.Errorf("%s is a pipe that nothing reads", shown)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot write to %s (%s): name another file with --record",
			shown, termtext.Reason(err))
	}
	if err = continues(f); err == nil {
		w := &Writer{to: f}
		if err = w.write(&h); err == nil {
			return w, nil
		}
	}
	f.Close()
	return nil, fmt.Errorf("cannot record in %s: %s", shown, termtext.Reason(err))
}

// continues prepares a file for more lines.  What a full disk or a crash cut off at its end
// goes; after a line that cannot be read, no line would ever be read.
func continues(f *os.File) error {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return errors.New("another cgoheap is writing to it: name another file")
	}
	if info.Size() == 0 {
		return nil
	}
	end, err := lastNewline(f, info.Size())
	if err != nil {
		return err
	}
	r, err := Read(io.LimitReader(f, end))
	switch {
	case err != nil:
		return errors.New("it exists and is not a recording: name another file")
	case r.Ends != "":
		return fmt.Errorf("it exists, and %s: name another file", r.Ends)
	case end < info.Size():
		return f.Truncate(end)
	}
	return nil
}

// lastNewline is the size of the file up to its last whole line.
func lastNewline(f *os.File, size int64) (int64, error) {
	block := make([]byte, 64<<10)
	for size > 0 {
		n := min(size, int64(len(block)))
		if _, err := f.ReadAt(block[:n], size-n); err != nil {
			return 0, err
		}
		if at := bytes.LastIndexByte(block[:n], '\n'); at >= 0 {
			return size - n + int64(at) + 1, nil
		}
		size -= n
	}
	return 0, nil
}

func (w *Writer) write(l Line) error {
	text, err := lineText(l)
	if err != nil {
		return err
	}
	n, err := w.to.Write(text)
	if err != nil && n > 0 { // a full disk took a part of the line
		if info, statErr := w.to.Stat(); statErr == nil && info.Mode().IsRegular() {
			_ = w.to.Truncate(info.Size() - int64(n))
		}
	}
	return err
}

// Row appends a sample.
func (w *Writer) Row(r *Row) error { return w.write(r) }

// Event appends an event.
func (w *Writer) Event(e *Event) error { return w.write(e) }

// Close ends the recording.
func (w *Writer) Close() error { return w.to.Close() }

// Line is a header, a sample or an event.
type Line interface{ line() line }

// WriteLine writes one line of a recording to any stream.
func WriteLine(to io.Writer, l Line) error {
	text, err := lineText(l)
	if err == nil {
		_, err = to.Write(text)
	}
	return err
}

func lineText(l Line) ([]byte, error) {
	one := l.line()
	return one.text()
}
