package holders

import (
	"slices"
	"testing"

	"cgoheap.example/cli/internal/fakeshim"
)

func TestDebtors(t *testing.T) {
	b := fakeshim.NewProfileBuilder(1)
	for _, s := range []struct {
		bytes  int64
		by     string
		caller string
	}{
		{10, "finalizer", "main.a"}, {30, "cleanup", "main.b"}, {25, "finalizer", "main.a"},
		{500, "go", "main.c"}, {600, "c", "main.a"}, {700, "", "main.b"},
		{0, "finalizer", "main.d"},
	} {
		b.Add(1, s.bytes, "malloc", "f", s.caller+"@a.go")
		if s.by != "" {
			b.Profile.Sample[len(b.Profile.Sample)-1].Label["freed_by"] = []string{s.by}
		}
	}
	want := []Debtor{{"main.a", 35}, {"main.b", 30}}
	if got := Debtors(b.Profile, nil); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	b.Profile.SampleType = nil
	if got := Debtors(b.Profile, nil); len(got) != 0 {
		t.Errorf("without sample types: %v", got)
	}
}
