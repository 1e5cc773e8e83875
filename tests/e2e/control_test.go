package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// post changes the sampling and returns what the shim then says of it.
func (h *host) post(query string) (s status) {
	h.t.Helper()
	code, _, body := h.request("POST", "/v1/sampling?"+query)
	if code != 200 {
		h.t.Fatalf("POST %s: %d %s", query, code, body)
	}
	if err := json.Unmarshal(body, &s); err != nil {
		h.t.Fatalf("POST %s: %v\n%s", query, err, body)
	}
	return s
}

func wantFigures(t *testing.T, h *host, function string, want figures) {
	t.Helper()
	if got := sum(h.profile(""), function); got != want {
		t.Errorf("%s has %+v, want %+v", function, got, want)
	}
}

// allocUntilSampled: threads learn of a change at an allocation, within a
// second; from then on each one counts. The count until then is returned.
func (h *host) allocUntilSampled(name string) { h.allocUntilSampledBy(name, 64) }

func (h *host) allocUntilSampledBy(name string, size int) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		h.tell("alloc %s 1 %d", name, size)
		if sum(h.profile(""), "main.alloc"+name).inUseObjects > 0 {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatal("sampling does not begin")
		}
	}
}

// allocUntilUnsampled is the reverse.
func (h *host) allocUntilUnsampled(name string) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		before := sum(h.profile(""), "main.alloc"+name)
		h.tell("alloc %s 20 64", name)
		if sum(h.profile(""), "main.alloc"+name) == before {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatal("sampling does not end")
		}
	}
}

func TestDormant(t *testing.T) {
	path := program(t, "go-driven", oneBuild())
	h := start(t, path, hostOptions{sampleBytes: 1, env: []string{"CGOHEAP_START=dormant"}})
	h.tell("alloc A 1000 1000")
	if s := h.status(); s.State != "dormant" || s.Samples.Taken != 0 {
		t.Errorf("dormant, and yet: %+v", s)
	}
	// What is mapped is known always: it is not sampled.
	for _, s := range h.profile("").Sample {
		if s.Label["origin"][0] == "malloc" {
			t.Errorf("a sample while dormant: %v", names(s))
		}
	}
	if s := h.post("state=on"); s.State != "sampling" || s.SampleBytes != 1 {
		t.Errorf("on: %+v", s)
	}
	h.allocUntilSampled("B")
	before := sum(h.profile(""), "main.allocC")
	h.tell("alloc C 10 500")
	if got := sum(h.profile(""), "main.allocC"); got.inUseObjects-before.inUseObjects > 10 {
		t.Errorf("main.allocC has %+v", got)
	}
	wantFigures(t, h, "main.allocA", figures{})
	h.tell("free A 1000") // never sampled: nothing to take out
	wantFigures(t, h, "main.allocA", figures{})
}

// Off: no new samples; those taken before stay until their blocks are freed.
func TestOffAndOn(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1})
	h.tell("alloc A 10 1000")
	wantFigures(t, h, "main.allocA", figures{10, 10_000, 10, 10_000})
	if s := h.post("state=off"); s.State != "dormant" {
		t.Errorf("off: %+v", s)
	}
	h.allocUntilUnsampled("B")
	wantFigures(t, h, "main.allocA", figures{10, 10_000, 10, 10_000})
	h.tell("free A 4")
	wantFigures(t, h, "main.allocA", figures{10, 10_000, 6, 6000})
	h.tell("alloc C 10 1000")
	if got := sum(h.profile(""), "main.allocC"); got.allocObjects >= 10 {
		t.Errorf("sampled while off: %+v", got)
	}
	h.post("state=on")
	h.allocUntilSampled("C")
	h.tell("free A 6")
	wantFigures(t, h, "main.allocA", figures{10, 10_000, 0, 0})
}

func TestIntervalChange(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{})
	if s := h.status(); s.SampleBytes != defaultInterval {
		t.Errorf("interval %d", s.SampleBytes)
	}
	if s := h.post("state=on&sample_bytes=1"); s.SampleBytes != 1 {
		t.Errorf("on: %+v", s)
	}
	if p := h.profile(""); p.Period != 1 {
		t.Errorf("period %d", p.Period)
	}
	h.allocUntilSampled("A")
	// Back to a coarse one: blocks sampled at 1 still weigh what they did.
	exact := sum(h.profile(""), "main.allocA")
	h.post("state=on&sample_bytes=64KiB")
	if s := h.status(); s.SampleBytes != 65536 {
		t.Errorf("interval %d", s.SampleBytes)
	}
	wantFigures(t, h, "main.allocA", exact)
	h.tell("free A %d", exact.inUseObjects)
	after := sum(h.profile(""), "main.allocA")
	if after.inUseObjects < 0 || after.allocObjects != exact.allocObjects {
		t.Errorf("after free: %+v", after)
	}
}

// For a second: it ends by itself and says how long it still has.
func TestSamplingForATime(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1,
		env: []string{"CGOHEAP_START=dormant"}})
	s := h.post("state=on&for=1h")
	if s.State != "sampling" || s.Remaining == nil || *s.Remaining <= 0 ||
		*s.Remaining > int64(time.Hour) {
		t.Errorf("on for an hour: %+v", s)
	}
	h.post("state=on&for=1s")
	for deadline := time.Now().Add(patience); h.status().State != "dormant"; time.Sleep(
		100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a second has not ended")
		}
	}
	if s := h.status(); s.Remaining != nil {
		t.Errorf("dormant with %d ns remaining", *s.Remaining)
	}
	h.allocUntilUnsampled("A")
}

// The command, on a dormant process: on for a while, and then what it says of that.
func TestSamplingCommand(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()),
		hostOptions{env: []string{"CGOHEAP_START=dormant"}})
	pid := fmt.Sprint(h.pid())
	cgoheap(t, h, "sampling", pid, "on", "--for", "10m", "--sample-bytes", "128KiB")
	h.allocUntilSampledBy("A", 1<<20)
	said := string(cgoheap(t, h, "sampling", pid))
	want := `^process \d+ \(go-driven\): sampling, 1 in 128KiB, for (10m|9m\d+s) more; recording ` +
		`takes \S+ of one core now, \S+ so far\n$`
	if !regexp.MustCompile(want).MatchString(said) {
		t.Errorf("it says %q", said)
	}
	cgoheap(t, h, "sampling", pid, "off")
	if said := string(cgoheap(t, h, "sampling", pid)); !strings.Contains(said,
		": dormant, 1 in 128KiB; recording took ") {
		t.Errorf("it says %q", said)
	}
}

// fork in C: the child allocates without end or harm, the parent's figures are
// the parent's. os/exec, which forks by clone(CLONE_VFORK|CLONE_VM), likewise.
func TestForkAndExec(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1})
	h.tell("alloc A 10 1000")
	h.tell("churn 3") // the shim's locks are taken while we fork
	for i := 0; i < 20; i++ {
		h.tell("fork 5000")
		var code int
		if h.fact("child", &code); code != 7 {
			t.Fatalf("child %d exits with %d", i, code)
		}
		h.tell("run echo hello")
		var output string
		if h.fact("output", &output); output[len(output)-5:] != "hello" {
			t.Fatalf("the command says %q", output)
		}
	}
	wantFigures(t, h, "main.allocA", figures{10, 10_000, 10, 10_000})
	h.tell("free A 5")
	h.tell("alloc B 7 100")
	wantFigures(t, h, "main.allocA", figures{10, 10_000, 5, 5000})
	wantFigures(t, h, "main.allocB", figures{7, 700, 7, 700})
	h.wantNothingDropped()
	if s := h.status(); s.PID != h.pid() || s.State != "sampling" {
		t.Errorf("status is %+v", s)
	}
	wantUntouched(t, h)
}
