package account

import (
	"testing"
	"time"
)

func TestSaysGC(t *testing.T) {
	num := func(n int64) *int64 { return &n }
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	const mib = 1 << 20
	for _, c := range []struct {
		what string
		of   Go
		want string
	}{
		{"nothing is known", Go{}, ""},
		{"usual", Go{LastGC: ago(50 * time.Second), HeapGoal: num(64 * mib), HeapNow: num(11 * mib),
			GCPercent: num(100), GCCycles: num(3)}, "the last GC was 50s ago, the next at " +
			"64.0 MiB of Go heap (now 11.0 MiB) or in 1m10s"},
		{"overdue", Go{LastGC: ago(125 * time.Second), HeapGoal: num(64 * mib),
			GCPercent: num(100)}, "the last GC was 2m05s ago, the next at 64.0 MiB of Go " +
			"heap or in 1s"},
		{"the package of an older release", Go{LastGC: ago(time.Second), HeapGoal: num(64 * mib)},
			"the last GC was 1s ago, the next at 64.0 MiB of Go heap"},
		{"never", Go{GCCycles: num(0), HeapGoal: num(4 * mib), HeapNow: num(mib),
			GCPercent: num(100)}, "no GC has run yet, the first at 4.0 MiB of Go heap " +
			"(now 1.0 MiB)"},
		{"off", Go{LastGC: ago(6 * time.Minute), GCPercent: num(-1), HeapNow: num(11 * mib)},
			"the last GC was 6m ago, none comes by itself (GOGC=off)"},
		{"off, and a limit", Go{LastGC: ago(6 * time.Minute), GCPercent: num(-1),
			HeapNow: num(11 * mib), HeapGoal: num(900 * mib), MemoryLimit: num(1000 * mib)},
			"the last GC was 6m ago, the next at 900.0 MiB of Go heap (now 11.0 MiB)"},
		{"in the future, by a clock that was set", Go{LastGC: ago(-time.Hour)},
			"the last GC was 0s ago"},
	} {
		a := &Account{Time: now, Go: c.of}
		if got := a.SaysGC(); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

func TestDebtLine(t *testing.T) {
	num := func(n int64) *int64 { return &n }
	now := time.Now()
	for want, a := range map[string]*Account{
		"":                                      {Debt: num(0), DebtSurvived: num(0)},
		"finalizers and cleanups free 9.0 MiB":  {Debt: num(9 << 20)},
		"finalizers and cleanups free 12.0 MiB": {Debt: num(12 << 20), DebtSurvived: num(0)},
		"finalizers and cleanups free 8.0 MiB: 6.0 MiB newer than the last GC, 2.0 MiB " +
			"survived it": {Debt: num(8 << 20), DebtSurvived: num(2 << 20), DebtNew: num(6 << 20),
			Go: Go{LastGC: &now}},
	} {
		if got := a.DebtLine(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := (&Account{}).DebtLine(); got != "" {
		t.Errorf("not known: %q", got)
	}
}
