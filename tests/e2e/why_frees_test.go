package e2e

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// whyPrograms are go-why by each release, and with the language of others in its go.mod.
func whyPrograms(t *testing.T) map[string]string {
	paths := map[string]string{}
	for _, version := range goVersions() {
		paths[version] = program(t, "go-why", build{version, "plain"})
	}
	for _, language := range []string{"1.22", "1.27"} {
		paths["go.mod-"+language] = agedProgram(t, "go-why", language)
	}
	return paths
}

// TestWhyFreedBy: who frees the blocks of each function.
func TestWhyFreedBy(t *testing.T) {
	for name, path := range whyPrograms(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := startWhy(t, path)
			h.tell("rounds 5")
			h.tell("collect")
			h.tell("rounds 5")
			wantFreedBy(t, h)
		})
	}
}

func wantFreedBy(t *testing.T, h *host) {
	t.Helper()
	want := map[string]string{"main.finalized": "finalizer", "main.byHand": "go",
		"main.byThread": "c", "main.churn": "go", "main.drip": "go",
		"main.leak": "", "main.warmUp": ""}
	var hasCleanups bool
	h.fact("cleanups", &hasCleanups)
	if hasCleanups {
		want["main.cleaned"] = "cleanup"
	}
	found := map[string]bool{}
	for _, s := range h.profile("").Sample {
		name := goCaller(s)
		expected, ok := want[name]
		if !ok || !contains(s, "why_malloc") {
			continue
		}
		found[name] = true
		if got := strings.Join(s.Label["freed_by"], " "); got != expected {
			t.Errorf("%s: freed by %q, want %q", name, got, expected)
		}
	}
	for name := range want {
		if !found[name] {
			t.Errorf("%s is not in the profile", name)
		}
	}
}

// TestWhyDebt: what finalizers and cleanups will free is debt, and nothing else is; a collection
// pays it.
func TestWhyDebt(t *testing.T) {
	t.Parallel()
	h := startWhy(t, program(t, "go-why", oneBuild()))
	h.tell("rounds 20")
	h.tell("collect")
	h.tell("rounds 50")
	truth := h.truth()
	want := truth["main.finalized"].Live + truth["main.cleaned"].Live
	if a := h.kept(); a.Debt == nil || !within(*a.Debt, want, 0.02, 64*kib) {
		t.Errorf("debt %v, true are %d bytes", a.Debt, want)
	}
	h.tell("collect")
	if a := h.kept(); a.Debt == nil || *a.Debt > 64*kib {
		t.Errorf("debt %v after all has been freed", a.Debt)
	}
}

// TestWhyFrees: the stacks that free, by what they free, and how much.
func TestWhyFrees(t *testing.T) {
	t.Parallel()
	h := startWhy(t, program(t, "go-why", oneBuild()))
	h.tell("rounds 100")
	h.tell("collect")
	kinds := map[string]string{"main.finalized": "finalizer", "main.cleaned": "cleanup",
		"main.byHand": "go", "main.byThread": "c", "main.churn": "go", "main.drip": "go"}
	freed := map[string]float64{}
	p := h.profile("?view=frees")
	objects := slices.IndexFunc(p.SampleType, func(v *profile.ValueType) bool {
		return v.Type == "freed_objects"
	})
	for _, s := range p.Sample {
		name := strings.Join(s.Label["allocated_by"], " ")
		want, ok := kinds[name]
		if !ok || blockSize(s) != whyBlockBytes {
			continue
		}
		if got := strings.Join(s.Label["freed_by"], " "); got != want {
			t.Errorf("%s: %v frees it, by %q, want %q", name, names(s), got, want)
		}
		freed[name] += float64(s.Value[objects])
	}
	for name := range kinds {
		// One free in 64 is captured, and counts for all: the standard error is 8 of the root.
		want := float64(h.truth()[name].Freed)
		if off := math.Abs(freed[name] - want); freed[name] == 0 || off > 5*8*math.Sqrt(want) {
			t.Errorf("%s: %.0f freed, true are %.0f", name, freed[name], want)
		}
	}
}
