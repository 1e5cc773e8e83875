package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func debtProgram(t testing.TB, b build, flags ...string) string {
	t.Helper()
	root := repositoryRoot()
	dir := filepath.Join(root, "tests", "programs", "go-debt")
	return buildPackage(t, dir, []string{dir, filepath.Join(root, "tests", "programs", "go-steps"),
		filepath.Join(root, "cgo_bridge")},
		b, ".", flags...)
}

// debtAccount is what the account says of the collector.
type debtAccount struct {
	Debt     *int64 `json:"finalizer_debt_bytes"`
	Survived *int64 `json:"finalizer_debt_survived_bytes"`
	Go       struct {
		Cycles  *int64     `json:"gc_cycles"`
		LastGC  *time.Time `json:"last_gc"`
		Goal    *int64     `json:"heap_goal_bytes"`
		Now     *int64     `json:"heap_now_bytes"`
		Percent *int64     `json:"gc_percent"`
		Limit   *int64     `json:"memory_limit_bytes"`
		Waiting *int64     `json:"finalizers_waiting"`
		Running *bool      `json:"finalizer_running"`
	}
	Warnings []string
}

// debt takes an account; one with the package's figures, if the program has it.
func (h *host) debt() (a debtAccount) {
	h.t.Helper()
	for try := 0; try < 100; try++ {
		if err := json.Unmarshal(h.get("/v1/account"), &a); err != nil {
			h.t.Fatal(err)
		}
		if len(a.Warnings) == 0 || !strings.Contains(a.Warnings[0], "did not arrive") {
			break // else Go was busy
		}
		time.Sleep(100 * time.Millisecond)
	}
	return a
}

// checkCollector compares the account with what Go says of its collector.
func (h *host) checkCollector() {
	h.t.Helper()
	h.tell("facts")
	g := h.debt().Go
	var cycles, last, goal, percent int64
	h.fact("cycles", &cycles)
	h.fact("last_gc", &last)
	h.fact("percent", &percent)
	var whole uint64
	h.fact("goal", &whole)
	if g.Cycles == nil || g.Percent == nil || g.Now == nil {
		h.t.Fatalf("not known: cycles %v, percent %v, heap %v", g.Cycles, g.Percent, g.Now)
	}
	if *g.Cycles != cycles || *g.Percent != percent {
		h.t.Errorf("%d cycles at GOGC=%d, Go says %d at %d", *g.Cycles, *g.Percent, cycles,
			percent)
	}
	switch {
	case (g.LastGC == nil) != (cycles == 0):
		h.t.Errorf("the last collection was at %v, and there were %d", g.LastGC, cycles)
	case g.LastGC != nil && g.LastGC.UnixNano() != last:
		h.t.Errorf("the last collection was at %v, Go says %v", g.LastGC, time.Unix(0, last))
	}
	isNone := whole > 1<<60
	if goal = int64(whole); (g.Goal == nil) != isNone {
		h.t.Errorf("the goal is %v, Go says %d", g.Goal, whole)
	} else if !isNone && (*g.Goal < goal-mib || *g.Goal > goal+mib) {
		h.t.Errorf("the goal is %d, Go says %d", *g.Goal, goal)
	}
}

// TestCollectorFigures: when Go collected last and will next, by its variables and by the package.
func TestCollectorFigures(t *testing.T) {
	for _, b := range everyBuild() {
		for name, flags := range map[string][]string{"": nil, "-package": {"-tags=withpackage"}} {
			t.Run(b.String()+name, func(t *testing.T) {
				t.Parallel()
				h := start(t, debtProgram(t, b, flags...), hostOptions{})
				if b.mode == "stripped" && name == "" {
					h.tell("gc")
					if g := h.debt().Go; g.Cycles != nil || g.LastGC != nil || g.Goal != nil ||
						g.Percent != nil || g.Running != nil {
						t.Errorf("known without symbols: %+v", g)
					}
					return
				}
				h.checkCollector() // before the first
				h.tell("gc")
				h.checkCollector()
				h.tell("percent 300")
				h.tell("gc")
				h.checkCollector()
				h.tell("percent -1")
				h.checkCollector()
				h.tell("limit %d", 40*mib)
				h.checkCollector()
				if g := h.debt().Go; g.Limit == nil || *g.Limit != 40*mib {
					t.Errorf("the limit is %v", g.Limit)
				}
			})
		}
	}
}
