package main

import (
	"testing"

	"cgoheap/cli/internal/attach"
)

func TestSamplingStateSaysWhatItCosts(t *testing.T) {
	bound, cpu, memory := 0.01, "cpu", "mem\x1bory"
	left := int64(570e9)
	for want, s := range map[string]samplingState{
		"dormant, 1 in 512KiB": {State: "dormant", SampleBytes: 512 << 10},
		"sampling, 1 in 512KiB, for 9m30s more; recording takes 0.0421% of one core now, 120ms so far": {
			State: "sampling", SampleBytes: 512 << 10, ConfiguredSampleBytes: 512 << 10, RemainingNS: &left,
			Overhead: &attach.Overhead{CPURatio: 0.000421, MaxCPURatio: &bound, CPUNS: 120e6}},
		"sampling, 1 in 8KiB (1 in 1KiB was asked for: its bound on cpu is reached); recording takes 0.9% of one core now, 3s so far": {
			State: "sampling", SampleBytes: 8 << 10, ConfiguredSampleBytes: 1 << 10,
			Overhead: &attach.Overhead{CPURatio: 0.009, MaxCPURatio: &bound, CPUNS: 3e9, RaisedFor: &cpu}},
		"sampling, 1 in 8KiB (1 in 1KiB was asked for: its bound on mem\\x1bory is reached); recording takes 0% of one core now, 0s so far": {
			State: "sampling", SampleBytes: 8 << 10, ConfiguredSampleBytes: 1 << 10,
			Overhead: &attach.Overhead{RaisedFor: &memory}},
	} {
		if got := s.String(); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}
