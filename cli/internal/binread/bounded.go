package binread

import (
	"errors"
	"io"
)

// errTooMuch ends the reading of a file whose tables say that they are larger than they can be.
var errTooMuch = errors.New("its tables are too large")

// Bounded reads at most so many bytes in all: tables may lie in a file with holes, which costs its
// owner nothing and its reader all memory.  Not for use by several goroutines.
func Bounded(r io.ReaderAt, most int64) io.ReaderAt { return &bounded{r, most} }

type bounded struct {
	from io.ReaderAt
	left int64
}

func (b *bounded) ReadAt(into []byte, offset int64) (int, error) {
	if int64(len(into)) > b.left {
		return 0, errTooMuch
	}
	n, err := b.from.ReadAt(into, offset)
	b.left -= int64(n)
	return n, err
}
