package binread

import (
	"fmt"
	"io"

	"cgoheap/cli/internal/termtext"
)

// All reads to the end, and fails where that is more than limit bytes.
func All(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("more than %s", termtext.Bytes(limit))
	}
	return body, err
}
