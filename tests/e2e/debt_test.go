package e2e

import (
	"encoding/json"
	"fmt"
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
	New      *int64 `json:"finalizer_debt_new_bytes"`
	Go       struct {
		Source  string
		Cycles  *int64     `json:"gc_cycles"`
		LastGC  *time.Time `json:"last_gc"`
		Goal    *int64     `json:"heap_goal_bytes"`
		Now     *int64     `json:"heap_now_bytes"`
		Percent *int64     `json:"gc_percent"`
		Limit   *int64     `json:"memory_limit_bytes"`
		Waiting *int64     `json:"finalizers_waiting"`
		Running *bool      `json:"finalizer_running"`
	}
}

// debt takes an account; one with the package's figures, if the program has it.
func (h *host) debt() (a debtAccount) {
	h.t.Helper()
	var hasPackage bool
	h.fact("package", &hasPackage)
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		a = debtAccount{}
		if err := json.Unmarshal(h.get("/v1/account"), &a); err != nil {
			h.t.Fatal(err)
		}
		if !hasPackage || a.Go.Source == "runtime/metrics" {
			return a // else the library has not met it yet, or Go was busy
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("the package does not answer: %+v", a)
		}
	}
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

// debtUntil waits for an account of which is holds: the ages of blocks are in tenths of a second.
func (h *host) debtUntil(what string, is func(debtAccount) bool, again string) (a debtAccount) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if a = h.debt(); is(a) {
			return a
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("not %s: debt %s, survived %s", what, shown(a.Debt), shown(a.Survived))
		}
		if again != "" {
			h.tell(again)
		}
	}
}

func shown(n *int64) string {
	if n == nil {
		return "unknown"
	}
	return fmt.Sprint(*n)
}

func equalTo(n *int64, want int64) bool { return n != nil && *n == want }

func (h *host) debtVerdict() string { return h.finding("finalizer_debt") }

// finding is what explain says by this rule; "" if it does not.
func (h *host) finding(rule string) string {
	h.t.Helper()
	var said struct{ Verdict []struct{ Rule, Text string } }
	if err := json.Unmarshal(cgoheap(h.t, h, "explain", fmt.Sprint(h.pid()), "--json"),
		&said); err != nil {
		h.t.Fatal(err)
	}
	for _, f := range said.Verdict {
		if f.Rule == rule {
			return f.Text
		}
	}
	return ""
}

func (h *host) wantVerdict(parts ...string) {
	h.t.Helper()
	text := h.debtVerdict()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			h.t.Errorf("the verdict lacks %q:\n%s", part, text)
		}
	}
}

// agesAreKnown: two ticks of the clock that blocks are timed by.
const agesAreKnown = 200 * time.Millisecond

const (
	debtBlock  = 64 << 10
	debtBlocks = 400
	debtBytes  = debtBlock * debtBlocks
)

// debtWays are how a pool is freed, and the builds in which that is tried.
func debtWays() map[string]struct {
	pool  string
	build build
	flags []string
} {
	type way = struct {
		pool  string
		build build
		flags []string
	}
	withPackage := []string{"-tags=withpackage"}
	ways := map[string]way{}
	for _, v := range goVersions() {
		ways[v+"-finalizers"] = way{"finalized", build{v, "plain"}, nil}
		if v >= "1.24" {
			ways[v+"-cleanups"] = way{"cleaned", build{v, "plain"}, nil}
		}
	}
	last := goVersions()[len(goVersions())-1]
	ways[last+"-pie"] = way{"cleaned", build{last, "pie"}, nil}
	for _, v := range outerVersions() {
		ways[v+"-stripped-package"] = way{"finalized", build{v, "stripped"}, withPackage}
	}
	return ways
}

// TestFinalizerDebt: a pool that finalizers or cleanups free, before, after and without a
// collection.
func TestFinalizerDebt(t *testing.T) {
	for name, way := range debtWays() {
		t.Run("go"+name, func(t *testing.T) {
			t.Parallel()
			h := start(t, debtProgram(t, way.build, way.flags...), hostOptions{sampleBytes: 1})
			if a := h.debt(); a.Debt != nil && *a.Debt != 0 {
				t.Errorf("at first, the debt is %s", shown(a.Debt))
			}
			h.tell("percent -1") // it collects when it is told to
			h.tell("%s 20 %d", way.pool, debtBlock)
			h.tell("drop")
			h.tell("collect 20")
			h.tell("gc") // the second at least: without symbols it counts since the one before
			time.Sleep(agesAreKnown)
			h.tell("%s %d %d", way.pool, debtBlocks, debtBlock)
			if a := h.debt(); !equalTo(a.Debt, debtBytes) || !equalTo(a.Survived, 0) ||
				!equalTo(a.New, debtBytes) {
				t.Errorf("new: debt %s, survived %s, new %s", shown(a.Debt), shown(a.Survived),
					shown(a.New))
			}
			caller := "main." + way.pool
			h.wantVerdict("25.0 MiB", ": by "+caller+" (25.0 MiB)",
				"none comes by itself (GOGC=off)",
				"25.0 MiB of it is newer than that: no GC has had a chance to free it.")
			// Go refers to all of it.
			h.debtUntil("survived", func(a debtAccount) bool {
				return equalTo(a.Debt, debtBytes) && equalTo(a.Survived, debtBytes) &&
					equalTo(a.New, 0)
			}, "gc")
			h.wantVerdict("25.0 MiB of it was there at the last GC, which did not free it: Go " +
				"still referred to it then, so it waits for the program to let go of it")
			h.tell("drop")
			if a := h.debt(); !equalTo(a.Debt, debtBytes) {
				t.Errorf("dropped: debt %s", shown(a.Debt))
			}
			h.tell("collect %d", 20+debtBlocks)
			if a := h.debt(); !equalTo(a.Debt, 0) || !equalTo(a.Survived, 0) {
				t.Errorf("collected: debt %s, survived %s", shown(a.Debt), shown(a.Survived))
			}
			if text := h.debtVerdict(); text != "" {
				t.Errorf("nothing waits:\n%s", text)
			}
		})
	}
}

// TestNoFinalizerDebt: a pool that the program closes itself, and one that has finalizers for what
// is forgotten.
func TestNoFinalizerDebt(t *testing.T) {
	h := start(t, debtProgram(t, oneBuild()), hostOptions{sampleBytes: 1})
	for _, pool := range []string{"closed", "finalized"} {
		h.tell("%s 100 %d", pool, debtBlock)
		h.tell("close")
		h.tell("%s %d %d", pool, debtBlocks, debtBlock)
		if a := h.debt(); !equalTo(a.Debt, 0) || !equalTo(a.Survived, 0) {
			t.Errorf("%s: debt %s, survived %s", pool, shown(a.Debt), shown(a.Survived))
		}
		if text := h.debtVerdict(); text != "" {
			t.Errorf("%s:\n%s", pool, text)
		}
	}
}

// TestBlockedFinalizer: what is known of a finalizer that does not return.
func TestBlockedFinalizer(t *testing.T) {
	for _, version := range goVersions() {
		t.Run("go"+version, func(t *testing.T) {
			t.Parallel()
			h := start(t, debtProgram(t, build{version, "plain"}, "-tags=withpackage"),
				hostOptions{})
			if g := h.debt().Go; g.Running == nil || *g.Running {
				t.Errorf("at first, one runs: %v", g.Running)
			}
			h.tell("block")
			g := h.debt().Go
			if g.Running == nil || !*g.Running {
				t.Errorf("one runs: %v", g.Running)
			}
			if hasMetrics := version >= "1.26"; hasMetrics != (g.Waiting != nil) ||
				hasMetrics && *g.Waiting < 1 {
				t.Errorf("%s wait", shown(g.Waiting))
			}
			h.tell("open")
			h.debtUntil("ended", func(a debtAccount) bool {
				return a.Go.Running != nil && !*a.Go.Running &&
					(a.Go.Waiting == nil || *a.Go.Waiting == 0)
			}, "gc")
		})
	}
}

// TestNoCollectionYet: of what C holds it is not known whether a collection frees it.
func TestNoCollectionYet(t *testing.T) {
	h := start(t, debtProgram(t, oneBuild()), hostOptions{env: []string{"GOGC=off"}})
	h.tell("closed %d %d", debtBlocks, debtBlock)
	if h.finding("gc_never") == "" {
		t.Error("it does not say that Go has not collected yet")
	}
	h.tell("gc")
	if text := h.finding("gc_never"); text != "" {
		t.Errorf("Go has just collected:\n%s", text)
	}
}
