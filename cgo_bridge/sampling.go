package cgo_bridge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// A SamplingSwitch says what to do about sampling.
type SamplingSwitch int

const (
	SamplingKeep SamplingSwitch = iota // only ask how it is
	SamplingOn                         // record allocations from now on
	SamplingOff                        // record none; what is recorded is kept track of
)

// SamplingOptions is what [Sampling] is to do.
type SamplingOptions struct {
	Switch SamplingSwitch
	// With SamplingOn: it turns itself off after this time; 0: it does not.
	For time.Duration
	// With SamplingOn: mean bytes between samples, 1 to 1 GiB; 0: as it is. 1 records every allocation.
	SampleBytes int64
}

// SamplingState is how sampling is.
type SamplingState struct {
	On          bool
	SampleBytes int64         // mean bytes between samples
	Remaining   time.Duration // until it turns itself off; 0: it does not
}

// Sampling turns sampling on or off, or tells how it is. Every running thread
// follows within a second. What was sampled before is kept track of while it is
// off. A [*RequestError] of status 400 tells of an option that makes no sense;
// other errors are as [Account]'s.
func Sampling(ctx context.Context, opts SamplingOptions) (SamplingState, error) {
	query := url.Values{}
	switch opts.Switch {
	case SamplingKeep:
		if opts.For != 0 || opts.SampleBytes != 0 {
			return SamplingState{}, &RequestError{http.StatusBadRequest, "For and SampleBytes go with SamplingOn"}
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
		return SamplingState{}, &RequestError{http.StatusBadRequest, fmt.Sprintf("no SamplingSwitch %d", int(opts.Switch))}
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
