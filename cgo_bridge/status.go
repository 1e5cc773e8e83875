package cgo_bridge

import (
	"context"
	"net/http"
	"time"
)

// LibraryStatus is what the library says of itself. Counts only grow while the process lives.
type LibraryStatus struct {
	Version string `json:"version"`
	PID     int    `json:"pid"`
	State   string `json:"state"` // "sampling", "dormant"

	// mean bytes between samples, as it is now
	SampleBytes int64 `json:"sample_bytes"`
	// as asked for; SampleBytes is larger where a budget is used up
	ConfiguredSampleBytes int64 `json:"configured_sample_bytes"`
	// until sampling turns itself off; nil: it does not
	RemainingNS *int64     `json:"sampling_remaining_ns"`
	UptimeNS    *int64     `json:"uptime_ns"`
	StartTime   *time.Time `json:"start_time"`

	Samples struct {
		Taken int64  `json:"taken"` // blocks recorded
		Live  *int64 `json:"live"`  // of them, not freed yet
	} `json:"samples"`
	Dropped map[string]int64 `json:"dropped"` // what could not be recorded, by reason
	// "known", "none_used", or "unknown: " and why goroutine labels cannot be read.
	GoroutineLabels string `json:"goroutine_labels"`
	Stacks          struct {
		Distinct  *int64           `json:"distinct"`
		Complete  int64            `json:"complete"`
		Truncated int64            `json:"truncated"`
		ByEnd     map[string]int64 `json:"by_end"`
	} `json:"stacks"`
	Memory struct {
		Resident *int64 `json:"resident_bytes"` // of the library's own tables
		Max      *int64 `json:"max_bytes"`      // CGOHEAP_MAX_MEMORY
	} `json:"memory"`
	Overhead struct {
		CPURatio    *float64 `json:"cpu_ratio"`     // of one core, lately, for recording
		MaxCPURatio *float64 `json:"max_cpu_ratio"` // CGOHEAP_MAX_CPU; nil: unbounded
		CPUNS       int64    `json:"cpu_ns"`        // ever
		// "cpu" or "memory": why SampleBytes is larger than configured
		RaisedFor *string `json:"raised_for"`
	} `json:"overhead"`
	GoPackage struct {
		Version *string `json:"version"` // this package's, as the library knows it
		Missed  int64   `json:"missed"`  // questions that Go did not answer in time
	} `json:"go_package"`
}

// Status asks the library how it is. Errors are as [Account]'s.
func Status(ctx context.Context) (*LibraryStatus, error) {
	s := &LibraryStatus{}
	if err := askJSON(ctx, http.MethodGet, "/v1/status", nil, s); err != nil {
		return nil, err
	}
	return s, nil
}
