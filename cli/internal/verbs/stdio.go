package verbs

import (
	"errors"
	"fmt"
	"io"
	"os"

	"cgoheap.example/cli/internal/termtext"
)

// checkedWriter remembers a failed write: a verb that prints to a full disk has failed.
type checkedWriter struct {
	io.Writer
	err error
}

func (w *checkedWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		w.err = fmt.Errorf("cannot write to stdout: %s", termtext.Reason(err))
	}
	return n, w.err
}

// stdio is where a verb reads from and writes to.
type stdio struct {
	out, err io.Writer
	terminal *os.File // stdout where it is a terminal, else nil
	progress bool     // stderr is a terminal: a line may be rewritten
}

// errReported ends a verb with exit code 1 that has printed why.
var errReported = errors.New("reported")
