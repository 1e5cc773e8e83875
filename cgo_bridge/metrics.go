package cgo_bridge

import (
	"context"
	"io"
	"net/http"
)

// Metrics writes the library's own page for Prometheus (text format 0.0.4): the
// owners of an account taken now, what process, cgroup, allocator and Go report, and
// the library's counters. Package cgoheap.example/cgo_bridge/prom has it as a Collector. It
// writes nothing before all of it is ready. Errors are as for [Account], or w's.
func Metrics(ctx context.Context, w io.Writer) error {
	body, err := ask(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return err
}
