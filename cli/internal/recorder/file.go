package recorder

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"cgoheap.example/cli/internal/binread"
	"cgoheap.example/cli/internal/recordlayout"
	"cgoheap.example/cli/internal/termtext"
)

// ReadFile also says whether the process is alive: the library's lock lasts until its mapping
// goes.
func ReadFile(path string) (data []byte, alive bool, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, false, fmt.Errorf("cannot read %s: %s",
			termtext.QuoteShell(path), termtext.Reason(err))
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, false, fmt.Errorf("%s is not a file", termtext.QuoteShell(path))
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	alive = errors.Is(err, syscall.EWOULDBLOCK)
	data, err = binread.All(io.Reader(f), maxFileBytes)
	if err != nil {
		err = fmt.Errorf("cannot read %s: %s", termtext.QuoteShell(path), termtext.Reason(err))
	}
	return data, alive, err
}

// A recording is far smaller; this bounds reading another file.
const maxFileBytes = 2 << 30

// HasEnded says whether the file is a recording and its process has ended. One that is still
// being made is left alone: a lock here would be in the way of its maker's.
func HasEnded(path string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	var begin [8]byte
	_, err = f.ReadAt(begin[:], 0)
	if err != nil || binread.Image(begin[:]).U64(0) != recordlayout.Magic {
		return false
	}
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil
}
