package verbs

import (
	"strings"
	"testing"

	"cgoheap.example/cli/internal/attach"
)

func TestSamplingStateSaysWhatItCosts(t *testing.T) {
	bound, cpu, memory := 0.01, "cpu", "mem\x1bory"
	left := int64(570e9)
	for want, s := range map[string]samplingState{
		"dormant, 1 in 512KiB": {State: "dormant", SampleBytes: 512 << 10},
		"sampling, 1 in 512KiB, for 9m30s more; recording takes 0.0421% of one core now, " +
			"120ms so far": {
			State: "sampling", SampleBytes: 512 << 10, ConfiguredSampleBytes: 512 << 10,
			RemainingNS: &left,
			Overhead:    &attach.Overhead{CPURatio: 0.000421, MaxCPURatio: &bound, CPUNS: 120e6}},
		"sampling, 1 in 8KiB (requested: 1 in 1KiB; its limit on cpu is reached); recording " +
			"takes 0.9% of one core now, 3s so far": {
			State: "sampling", SampleBytes: 8 << 10, ConfiguredSampleBytes: 1 << 10,
			Overhead: &attach.Overhead{CPURatio: 0.009, MaxCPURatio: &bound, CPUNS: 3e9,
				RaisedFor: &cpu}},
		"sampling, 1 in 8KiB (requested: 1 in 1KiB; its limit on mem\\x1bory is reached); " +
			"recording takes 0% of one core now, 0s so far": {
			State: "sampling", SampleBytes: 8 << 10, ConfiguredSampleBytes: 1 << 10,
			Overhead: &attach.Overhead{RaisedFor: &memory}},
	} {
		if got := s.String(); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

func TestSampling(t *testing.T) {
	s := startShim(t, "serve")
	cgoheap(t, "sampling", s.arg()).normal(s).want(t, 0, "process PID (service): sampling, 1 "+
		"in 512KiB\n", "")
	cgoheap(t, "sampling", s.arg(), "off").normal(s).want(t, 0, "process PID (service): dormant, "+
		"1 in 512KiB\n", "")
	cgoheap(t, "sampling", s.arg(), "on", "--for", "10m", "--sample-bytes", "64K").normal(s).want(t,
		0,
		"process PID (service): sampling, 1 in 64KiB, for 10m more\n", "")
	const cost = "cgoheap: every allocation is recorded, which costs 1 to 2 us each: " +
		"CGOHEAP_MAX_CPU does not limit it, and it does not end on its own; " +
		"cgoheap sampling PID on --sample-bytes 1 --for 1m ends it, --sample-bytes 524288 is " +
		"the default\n"
	exact := startShim(t, "exact")
	cgoheap(t, "sampling", exact.arg(), "on", "--sample-bytes", "1").normal(exact).want(t, 0,
		"process PID (service): sampling, every allocation\n", cost)
	cgoheap(t, "sampling", exact.arg()).normal(exact).want(t, 0, "process PID (service): "+
		"sampling, every allocation\n", cost)
	if r := cgoheap(t, "doctor", exact.arg()).normal(exact); !strings.Contains(r.out,
		"  warn  state ") ||
		!strings.Contains(r.out, strings.TrimSpace(strings.TrimPrefix(cost, "cgoheap: "))) {
		t.Error(r.out)
	}
	cgoheap(t, "sampling", "--json", s.arg()).want(t, 0,
		"{\n  \"schema\": \"cgoheap.sampling/1\",\n  \"state\": \"sampling\",\n"+
			"  \"sample_bytes\": 65536,\n  \"sampling_remaining_ns\": null\n}\n", "")
}
