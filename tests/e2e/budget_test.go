package e2e

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

type overhead struct {
	Configured int64 `json:"configured_sample_bytes"`
	Overhead   struct {
		CPURatio    float64  `json:"cpu_ratio"`
		MaxCPURatio *float64 `json:"max_cpu_ratio"`
		CPUNS       int64    `json:"cpu_ns"`
		RaisedFor   *string  `json:"raised_for"`
	}
}

func (h *host) overhead() (o overhead) {
	h.t.Helper()
	if err := json.Unmarshal(h.get("/v1/status"), &o); err != nil {
		h.t.Fatal(err)
	}
	return o
}

// A program that allocates without end, and a bound that this is far above: the
// interval rises, what was estimated before and after is still true, and when
// the program is calm the interval is what was asked for.
func TestCPUBudget(t *testing.T) {
	const configured, size, batch = 1024, 256, 20_000
	h := start(t, program(t, "go-driven", oneBuild()),
		hostOptions{sampleBytes: configured, env: []string{"CGOHEAP_MAX_CPU=0.05",
			"CGOHEAP_MAX_MEMORY=512MiB"}})
	held, coarsest := 0, int64(configured)
	for deadline := time.Now().Add(patience); ; {
		h.tell("alloc A %d %d", batch, size)
		held += batch
		s := h.status()
		coarsest = max(coarsest, s.SampleBytes)
		if s.SampleBytes >= 8*configured {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the interval is still %d: %+v", s.SampleBytes, h.overhead())
		}
	}
	o := h.overhead()
	if o.Configured != configured || o.Overhead.MaxCPURatio == nil ||
		*o.Overhead.MaxCPURatio != 0.0005 ||
		o.Overhead.CPUNS <= 0 {
		t.Errorf("status: %+v", o)
	}
	var raised string
	for _, c := range h.profile("").Comments {
		if strings.Contains(c, "coarser than the requested 1024 bytes") {
			raised = c
		}
	}
	if !strings.Contains(raised, "CGOHEAP_MAX_CPU") && h.status().SampleBytes != configured {
		t.Errorf("the profile does not say that it is coarser: %q", h.profile("").Comments)
	}
	h.tell("alloc A %d %d", batch, size)
	held += batch
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		interval := h.status().SampleBytes
		if coarsest = max(coarsest, interval); interval == configured {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("calm, and the interval is still %d: %+v", interval, h.overhead())
		}
	}
	if o := h.overhead(); o.Overhead.RaisedFor != nil {
		t.Errorf("calm, and yet: %+v", o)
	}
	// As if all had been sampled at the coarsest: an upper bound of the error.
	met := 1 - math.Exp(-size/float64(coarsest))
	want := float64(held) * size
	e := estimate{got: float64(sum(h.profile(""), "main.allocA").inUseBytes), want: want,
		variance: want * size * (1 - met) / met}
	if d := e.deviations(); math.Abs(d) > 4 {
		t.Errorf("estimated %.4g of %.4g: %.1f standard errors", e.got, e.want, d)
	}
	t.Logf("%d blocks, coarsest interval %d, %.2f standard errors", held, coarsest, e.deviations())
	h.tell("free A %d", held)
	if got := sum(h.profile(""), "main.allocA"); got.inUseBytes != 0 || got.inUseObjects != 0 {
		t.Errorf("all is freed, and %+v remains", got)
	}
}

// More and more blocks, until there is no room for them: the interval rises before the tables are
// full, so that none is dropped and what is estimated is still true; freed, all is as it was.
func TestMemoryBudget(t *testing.T) {
	const configured, size, batch = 64, 256, 2_000
	h := start(t, program(t, "go-driven", oneBuild()),
		hostOptions{sampleBytes: configured, env: []string{"CGOHEAP_MAX_MEMORY=5MiB",
			"CGOHEAP_MAX_CPU=100"}})
	held, coarsest := 0, int64(configured)
	for deadline := time.Now().Add(patience); coarsest < 16*configured; {
		h.tell("alloc A %d %d", batch, size)
		held += batch
		time.Sleep(50 * time.Millisecond) // full in two seconds, were nothing done
		coarsest = max(coarsest, h.status().SampleBytes)
		if time.Now().After(deadline) {
			t.Fatalf("%d blocks, and the interval is still %d: %+v", held, coarsest, h.overhead())
		}
	}
	if o := h.overhead(); o.Configured != configured || o.Overhead.RaisedFor == nil ||
		*o.Overhead.RaisedFor != "memory" {
		t.Errorf("status: %+v", o)
	}
	p := h.profile("")
	if comments := strings.Join(p.Comments, "\n"); !strings.Contains(comments,
		"coarser than the requested 64 bytes") ||
		!strings.Contains(comments, "memory (CGOHEAP_MAX_MEMORY)") {
		t.Errorf("the profile does not say that it is coarser, and why: %q", p.Comments)
	}
	h.wantNothingDropped()
	met := 1 - math.Exp(-size/float64(coarsest))
	want := float64(held) * size
	e := estimate{got: float64(sum(p, "main.allocA").inUseBytes), want: want,
		variance: want * size * (1 - met) / met}
	if d := e.deviations(); math.Abs(d) > 4 {
		t.Errorf("estimated %.4g of %.4g: %.1f standard errors", e.got, e.want, d)
	}
	t.Logf("%d blocks, coarsest interval %d, %.2f standard errors", held, coarsest, e.deviations())
	h.tell("free A %d", held)
	for deadline := time.Now().Add(patience); h.status().SampleBytes != configured; time.Sleep(
		100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("all is freed, and the interval is still %d: %+v", h.status().SampleBytes,
				h.overhead())
		}
	}
	if o := h.overhead(); o.Overhead.RaisedFor != nil {
		t.Errorf("all is freed, and yet: %+v", o)
	}
}

// Interval 1 is a promise: it is broken only where a bound was named.
func TestCPUBudgetOfExactFigures(t *testing.T) {
	path := program(t, "go-driven", oneBuild())
	h := start(t, path, hostOptions{sampleBytes: 1})
	n := int64(0)
	for began := time.Now(); time.Since(began) < 3*time.Second; n += 10_000 {
		h.tell("alloc A 10000 100")
		h.tell("free A 9999")
	}
	wantFigures(t, h, "main.allocA", figures{n, n * 100, n / 10_000, n / 100})
	if o := h.overhead(); h.status().SampleBytes != 1 || o.Overhead.MaxCPURatio != nil {
		t.Errorf("%+v", o)
	}
	h.finish()

	h = start(t, path, hostOptions{sampleBytes: 1, env: []string{"CGOHEAP_MAX_CPU=0.1"}})
	for deadline := time.Now().Add(patience); h.status().SampleBytes == 1; {
		h.tell("alloc A 10000 100")
		if time.Now().After(deadline) {
			t.Fatalf("the interval is still 1: %+v", h.overhead())
		}
	}
}
