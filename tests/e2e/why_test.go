package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// held is what go-why says of one of its functions: blocks, and the bytes in use.
type held struct{ Allocated, Freed, Live int64 }

// startWhy starts go-why, with all caches full, at interval 1. Nothing is collected unless told.
func startWhy(t *testing.T, path string) *host {
	t.Helper()
	h := start(t, path, hostOptions{sampleBytes: 1,
		env: []string{"GOGC=off", "CGOHEAP_MAX_CPU=100"}})
	h.tell("warm")
	return h
}

func (h *host) truth() (all map[string]held) {
	h.t.Helper()
	h.fact("truth", &all)
	return all
}

const whyBlockBytes = 4000

// ofBlocks is the figures of the functions that hold go-why's blocks. A sample of an age has no
// size of a block where it has many.
func ofBlocks(p *profile.Profile) map[string]*figures {
	all := map[string]*figures{}
	for _, s := range p.Sample {
		if name := goCaller(s); contains(s, "why_malloc") {
			if all[name] == nil {
				all[name] = new(figures)
			}
			all[name].add(s)
		}
	}
	return all
}

// wantTruth: what is in use is what the program says, function by function, to the last byte.
func wantTruth(t *testing.T, h *host, p *profile.Profile) {
	t.Helper()
	found := ofBlocks(p)
	for name, want := range h.truth() {
		got := found[name]
		if got == nil {
			got = new(figures)
		}
		if got.inUseBytes != want.Live {
			t.Errorf("%s: %d bytes in use, true are %d", name, got.inUseBytes, want.Live)
		}
		if bytes := want.Allocated * whyBlockBytes; got.allocBytes != bytes {
			t.Errorf("%s: %d bytes allocated, true are %d", name, got.allocBytes, bytes)
		}
	}
}

// An age is "10m-15m", or "1h-" if its start is not known.
func wantAge(t *testing.T, s *profile.Sample) {
	t.Helper()
	ages := s.Label["age"]
	if len(ages) != 1 {
		t.Fatalf("ages %v", ages)
	}
	young, old, both := strings.Cut(ages[0], "-")
	from, err := time.ParseDuration(young)
	if err != nil {
		t.Fatalf("age %q: %v", ages[0], err)
	}
	if to, err := time.ParseDuration(old); both && old != "" && (err != nil || to <= from) {
		t.Fatalf("age %q: %v", ages[0], err)
	}
}

// TestWhyAges: by age too, what is in use and what was allocated add up to the truth.
func TestWhyAges(t *testing.T) {
	t.Parallel()
	h := startWhy(t, program(t, "go-why", oneBuild()))
	for _, command := range []string{"rounds 4", "rounds 4", "collect"} {
		h.tell(command)
		p := h.profile("?labels=age")
		for _, s := range p.Sample {
			wantAge(t, s)
		}
		wantTruth(t, h, p)
		if command == "rounds 4" {
			time.Sleep(3 * time.Second) // an interval is 5 s long
		}
	}
}
