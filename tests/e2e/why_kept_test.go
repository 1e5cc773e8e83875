package e2e

import (
	"encoding/json"
	"math"
	"testing"
)

// kept is what the account says of freed memory that is still resident, and of memory that waits
// for a collection of garbage.
type kept struct {
	Kept struct {
		Returnable int64 `json:"returnable_bytes"`
		Pinned     int64 `json:"pinned_bytes"`
		By         *struct {
			Method        string
			Bytes         int64
			StandardError int64 `json:"standard_error_bytes"`
			Stacks        []struct {
				Bytes  int64
				Frames []string
			}
		} `json:"pinned_by"`
	} `json:"c_retained_kept"`
	Debt *int64 `json:"finalizer_debt_bytes"`
}

func (h *host) kept() (a kept) {
	h.t.Helper()
	if err := json.Unmarshal(h.get("/v1/account"), &a); err != nil {
		h.t.Fatal(err)
	}
	return a
}

type fragments struct{ Pinned, Returnable int64 }

// fragmented is go-why with blocks of 2,000 bytes of which it has freed all but each n-th.
func fragmented(t *testing.T, sampleBytes, n, blocks int) (*host, fragments) {
	t.Helper()
	h := start(t, program(t, "go-why", oneBuild()), hostOptions{sampleBytes: sampleBytes})
	h.tell("fragment %d %d", blocks, n)
	var truth fragments
	h.fact("fragments", &truth)
	return h, truth
}

// TestWhyPinned: half of the blocks pin the other half, none of which can be returned; who holds
// them is named, by samples and by sizes, within three of the errors that are stated.
func TestWhyPinned(t *testing.T) {
	for _, sampleBytes := range []int{1, 0} {
		h, truth := fragmented(t, sampleBytes, 2, 20000)
		a := h.kept()
		if !within(a.Kept.Pinned, truth.Pinned, 0.01, 64*kib) || a.Kept.Returnable > 64*kib {
			t.Errorf("%d bytes pinned, %d returnable, true are %+v", a.Kept.Pinned,
				a.Kept.Returnable, truth)
		}
		by := a.Kept.By
		if by == nil || len(by.Stacks) == 0 {
			t.Fatalf("no stack pins %d bytes", a.Kept.Pinned)
		}
		off := math.Abs(float64(by.Stacks[0].Bytes - truth.Pinned))
		if off > 3*float64(by.StandardError)+0.01*float64(truth.Pinned) {
			t.Errorf("by %s a stack pins %d±%d bytes, true are %d", by.Method,
				by.Stacks[0].Bytes, by.StandardError, truth.Pinned)
		}
		if !hasName(by.Stacks[0].Frames, "main.fragment") {
			t.Errorf("pinned by %v", by.Stacks[0].Frames)
		}
	}
}

// TestWhyReturnable is the near miss: as much is free, but nearly all of it in whole pages.
func TestWhyReturnable(t *testing.T) {
	h, truth := fragmented(t, 1, 40, 20000)
	a := h.kept()
	// A hole's first bytes stay with glibc: up to a page a hole is pinned that looks whole.
	slack := int64(20000/40) * 4096
	if !within(a.Kept.Returnable, truth.Returnable, 0.01, 64*kib) ||
		a.Kept.Pinned > truth.Pinned+slack/4 {
		t.Errorf("%d bytes returnable, %d pinned, true are %+v", a.Kept.Returnable, a.Kept.Pinned,
			truth)
	}
	if by := a.Kept.By; by != nil && by.Bytes > a.Kept.Pinned+3*by.StandardError {
		t.Errorf("%d bytes are pinned, by stacks %d", a.Kept.Pinned, by.Bytes)
	}
}

// TestWhyKeptOutdated: so many free chunks are not looked at again at once. What is freed meanwhile
// is not said to be pinned.
func TestWhyKeptOutdated(t *testing.T) {
	h, many := fragmented(t, 16384, 2, 100000)
	_ = h.kept()
	h.tell("fragment 140000 40") // a part of which may take the holes there are
	var whole fragments
	h.fact("fragments", &whole)
	most := many.Pinned + whole.Pinned + 140000/40*4096/4 // as above
	if a := h.kept(); a.Kept.Pinned > most+most/20 {
		t.Errorf("%d bytes are pinned, of %+v and %+v", a.Kept.Pinned, many, whole)
	}
}

func hasName(frames []string, name string) bool {
	for _, f := range frames {
		if f == name {
			return true
		}
	}
	return false
}
