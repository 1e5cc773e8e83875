package cgo_bridge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// A SamplingSwitch says whether to turn sampling on, off or neither.
type SamplingSwitch int

const (
	SamplingKeep SamplingSwitch = iota // only report the state
	SamplingOn                         // record allocations from now on
	SamplingOff                        // record none; frees of recorded blocks are still seen
)

// SamplingOptions says what [Sampling] does.
type SamplingOptions struct {
	Switch SamplingSwitch
	// With SamplingOn: turn off again after this time; 0: do not.
	For time.Duration
	// With SamplingOn: mean bytes between samples, 1 to 1 GiB; 0: unchanged. 1 records every
	// allocation.
	SampleBytes int64
}

// SamplingState is the state of sampling.
type SamplingState struct {
	On          bool
	SampleBytes int64         // mean bytes between samples
	Remaining   time.Duration // until it turns itself off; 0: it does not
}

// Sampling turns sampling on or off, or reports its state. Every running thread
// follows within a second. While sampling is off, frees of blocks sampled before are
// still seen. A [*RequestError] of status 400 reports an invalid option; other errors
// are as for [Account].
func Sampling(ctx context.Context, opts SamplingOptions) (SamplingState, error) {
	query := url.Values{}
	switch opts.Switch {
	case SamplingKeep:
		if opts.For != 0 || opts.SampleBytes != 0 {
			return SamplingState{}, &RequestError{http.StatusBadRequest, "For and SampleBytes go " +
				"with SamplingOn"}
		}
		s, err := Status(ctx)
		if err != nil {
			return SamplingState{}, err
		}
		return samplingState(s.State, s.SampleBytes, s.RemainingNS), nil
	case SamplingOn:
		query.Set("state", "on")
	case SamplingOff:
		query.Set("state", "off")
	default:
		return SamplingState{}, &RequestError{http.StatusBadRequest,
			fmt.Sprintf("no SamplingSwitch %d", int(opts.Switch))}
	}
	if opts.For != 0 {
		query.Set("for", opts.For.String())
	}
	if opts.SampleBytes != 0 {
		query.Set("sample_bytes", strconv.FormatInt(opts.SampleBytes, 10))
	}
	var s struct {
		State       string `json:"state"`
		SampleBytes int64  `json:"sample_bytes"`
		RemainingNS *int64 `json:"sampling_remaining_ns"`
	}
	if err := askJSON(ctx, http.MethodPost, "/v1/sampling", query, &s); err != nil {
		return SamplingState{}, err
	}
	return samplingState(s.State, s.SampleBytes, s.RemainingNS), nil
}

func samplingState(state string, sampleBytes int64, remainingNS *int64) SamplingState {
	s := SamplingState{On: state == "sampling", SampleBytes: sampleBytes}
	if remainingNS != nil {
		s.Remaining = time.Duration(*remainingNS)
	}
	return s
}
