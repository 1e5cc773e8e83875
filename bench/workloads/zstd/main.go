// Command zstd compresses and decompresses N streams of 64 KiB; eight pairs of streams stay open.
package main

import (
	"bytes"
	"fmt"
	"io"

	"github.com/DataDog/zstd"

	"cgoheap.test/workloads/work"
)

const open = 8

// stream closes itself where it is not to stay open, and returns what keeps it open.
//
//go:noinline
func stream(text []byte, keep bool) []io.Closer {
	var packed bytes.Buffer
	w := zstd.NewWriterLevel(&packed, 3)
	_, err := w.Write(text)
	work.Must(err)
	work.Must(w.Flush())
	r := zstd.NewReader(&packed)
	_, err = io.ReadFull(r, make([]byte, len(text)))
	work.Must(err)
	if keep {
		return []io.Closer{w, r}
	}
	work.Must(w.Close())
	work.Must(r.Close())
	return nil
}

func text() []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < 64<<10; i++ {
		fmt.Fprintf(&b, "{\"id\": %d, \"name\": \"name %d\", \"square\": %d}\n", i, i%97, i*i)
	}
	return b.Bytes()
}

func main() {
	t := text()
	n := work.Begin()
	var kept []io.Closer
	for i := 0; i < n; i++ {
		kept = append(kept, stream(t, i >= n-open)...)
	}
	work.End()
	for _, c := range kept {
		work.Must(c.Close())
	}
}
