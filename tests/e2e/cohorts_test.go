package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// cohort is a stack's sample of one age.
type cohort struct {
	from, to time.Duration // to is 0 where the age is not known
	figures
}

func cohortsOf(t *testing.T, p *profile.Profile, function string) (list []cohort) {
	t.Helper()
	for _, s := range p.Sample {
		if goCaller(s) != function {
			continue
		}
		c := cohort{}
		c.add(s)
		if age := s.Label["age"]; len(age) != 1 {
			t.Fatalf("a sample has the ages %q", age)
		} else if age[0] != "older" {
			c.from, c.to = ages(t, age[0])
		}
		list = append(list, c)
	}
	return list
}

func ages(t *testing.T, label string) (from, to time.Duration) {
	t.Helper()
	younger, older, _ := strings.Cut(label, "-")
	from, err := time.ParseDuration(younger)
	if err == nil {
		to, err = time.ParseDuration(older)
	}
	if err != nil || from > to {
		t.Fatalf("the age %q is no interval: %v", label, err)
	}
	return from, to
}

// A leak keeps all of every interval, a cache of 40 blocks only of those since its 40th last
// allocation, and a warm-up has one interval.
func TestCohorts(t *testing.T) {
	t.Parallel()
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1})
	h.tell("alloc C 100 700")
	h.tell("alloc B 40 500")
	warm := time.Now()
	rounds := 0
	var last time.Time // before which nothing that is in the cache was allocated
	for ; time.Since(warm) < 32*time.Second; rounds++ {
		last = time.Now()
		h.tell("alloc A 10 1024")
		h.tell("free B 40")
		h.tell("alloc B 40 500")
		time.Sleep(200 * time.Millisecond)
	}
	sinceWarm := time.Since(warm)
	p := h.profile("?labels=age")
	now := time.Now()

	leak, cache, warmed := cohortsOf(t, p, "main.allocA"), cohortsOf(t, p, "main.allocB"),
		cohortsOf(t, p, "main.allocC")
	want := map[string]figures{
		"main.allocA": {int64(rounds) * 10, int64(rounds) * 10240, int64(rounds) * 10,
			int64(rounds) * 10240},
		"main.allocB": {int64(rounds+1) * 40, int64(rounds+1) * 20000, 40, 20000},
		"main.allocC": {100, 70000, 100, 70000},
	}
	for function, figures := range want {
		if got := sum(p, function); got != figures {
			t.Errorf("all ages of %s have %+v, want %+v", function, got, figures)
		}
	}
	if len(leak) < 5 || len(cache) < 5 || len(warmed) != 1 {
		t.Fatalf("too few ages, or too many of the last: %+v\n%+v\n%+v", leak, cache, warmed)
	}
	for _, c := range leak {
		if c.inUseBytes != c.allocBytes || c.inUseObjects != c.allocObjects {
			t.Errorf("of a leak in %s to %s: %+v", c.from, c.to, c.figures)
		}
	}
	// A second, because a block's time is that of its mark's neighbourhood.
	for _, c := range cache {
		if c.from > now.Sub(last)+time.Second && c.inUseBytes != 0 {
			t.Errorf("of a cache in %s to %s: %+v", c.from, c.to, c.figures)
		}
	}
	if c := warmed[0]; c.to < sinceWarm-100*time.Millisecond || c.inUseObjects != 100 {
		t.Errorf("the warm-up, %s ago, in %s to %s: %+v", sinceWarm, c.from, c.to, c.figures)
	}
	for _, s := range p.Sample {
		if s.Value[2] > s.Value[0] || s.Value[3] > s.Value[1] {
			t.Errorf("more lives than was allocated: %v", s)
		}
	}
}
