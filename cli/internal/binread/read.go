package binread

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"cgoheap.example/cli/internal/termtext"
)

// All reads to the end, and fails where that is more than limit bytes.
func All(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("more than %s", termtext.Bytes(limit))
	}
	return body, err
}

// File reads a regular file of at most limit bytes.  Its errors are one sentence.
func File(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %s",
			termtext.QuoteShell(path), termtext.Reason(err))
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", termtext.QuoteShell(path))
	}
	text, err := All(f, limit)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %s",
			termtext.QuoteShell(path), termtext.Reason(err))
	}
	return text, nil
}
