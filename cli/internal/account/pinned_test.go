package account

import (
	"slices"
	"testing"

	"cgoheap.example/cli/internal/stacks"
)

func TestShareSaysNoMoreThanIsKnown(t *testing.T) {
	for want, h := range map[string]Holding{
		"70 %":        {Bytes: 700, StandardError: 25},
		"50 to 90 %":  {Bytes: 700, StandardError: 100},
		"60 to 100 %": {Bytes: 1000, StandardError: 200},
		"0 to 30 %":   {Bytes: 100, StandardError: 100},
		"100 %":       {Bytes: 1001},
	} {
		if got := h.Share(1000); got != want {
			t.Errorf("%+v: %s, want %s", h, got, want)
		}
	}
}

func TestPinnersOfOneNameAreOne(t *testing.T) {
	var callers stacks.CallerRule
	by := &PinnedBy{Stacks: []PinnedStack{
		{Holding{6 << 20, 3 << 20, 10, 1 << 10}, []string{"malloc", "take", "main", "_start"}},
		{Holding{7 << 20, 0, 5, 1 << 10}, []string{"malloc", "other", "main", "_start"}},
		{Holding{2 << 20, 4 << 20, 1, 1 << 10}, []string{"calloc", "take", "f", "main", "_start"}},
	}}
	want := []string{
		"8.0 MiB ± 10.0 MiB pinned by 11 blocks in 2.0 KiB: take",
		"7.0 MiB pinned by 5 blocks in 1.0 KiB: other",
	}
	if got := by.Lines(&callers); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := (*PinnedBy)(nil).Lines(&callers); got != nil {
		t.Errorf("%q of nothing", got)
	}
}
