package verbs

import (
	"testing"

	"github.com/google/pprof/profile"
)

// freesProfile has a sample for each kind: what it freed and what waits for it.
func freesProfile(kinds map[string][2]int64) *profile.Profile {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "waiting_objects", Unit: "count"},
		{Type: "waiting_space", Unit: "bytes"}, {Type: "freed_objects", Unit: "count"},
		{Type: "freed_space", Unit: "bytes"}}}
	for kind, values := range kinds {
		s := &profile.Sample{Value: []int64{1, values[1], 1, values[0]}}
		if kind != "" {
			s.Label = map[string][]string{"freed_by": {kind}}
		}
		p.Sample = append(p.Sample, s)
	}
	return p
}

func TestDescribeFrees(t *testing.T) {
	for want, kinds := range map[string]map[string][2]int64{
		"no free of a sampled block was seen yet": {},
		"freed, as far as it is known: about 3.0 MiB by Go code": {
			"go": {3 << 20, 1 << 20}},
		"freed, as far as it is known: about 4.0 MiB by finalizers, 3.0 MiB by C threads, " +
			"2.0 MiB by cleanups, 1.0 MiB by stacks without a known root; about 12.0 MiB in use " +
			"waits for Go's GC": {"c": {3 << 20, 9 << 20}, "finalizer": {4 << 20, 5 << 20},
			"cleanup": {2 << 20, 7 << 20}, "": {1 << 20, 1 << 20}},
	} {
		got, err := describeFrees(freesProfile(kinds))
		if err != nil || got != want {
			t.Errorf("%v: %q, %v; want %q", kinds, got, err, want)
		}
	}
	if _, err := describeFrees(&profile.Profile{}); err == nil {
		t.Error("a heap profile is described as one of frees")
	}
}
