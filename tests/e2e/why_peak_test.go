package e2e

import (
	"math"
	"testing"
)

// TestWhyPeak: what was held when most was held, however short that was, after it has been freed.
func TestWhyPeak(t *testing.T) {
	t.Parallel()
	const blocks = 10_000
	h := startWhy(t, program(t, "go-why", oneBuild()))
	if f := ofBlocks(h.profile("?view=peak"))["main.peak"]; f != nil && f.inUseBytes != 0 {
		t.Errorf("a peak that is still to come: %d bytes", f.inUseBytes)
	}
	h.tell("peak %d", blocks)
	before := h.truth()
	h.tell("over")
	h.tell("rounds 3")
	found := ofBlocks(h.profile("?view=peak"))
	for _, name := range []string{"main.peak", "main.warmUp", "main.cacheFIFO"} {
		want := float64(before[name].Live)
		got := float64(0)
		if f := found[name]; f != nil {
			got = float64(f.inUseBytes)
		}
		if math.Abs(got-want) > 0.02*want {
			t.Errorf("%s: %.0f bytes at the peak, true are %.0f", name, got, want)
		}
	}
	if f := ofBlocks(h.profile(""))["main.peak"]; f == nil || f.inUseBytes != 0 {
		t.Errorf("the peak is not over: %+v", f)
	}
}
