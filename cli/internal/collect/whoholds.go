package collect

import (
	"cmp"
	"fmt"
	"io"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/cohort"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/stacks"
	"cgoheap.example/cli/internal/termtext"
)

// mostHolders are shown; one with less than leastHolder of the whole is not.
const (
	mostHolders = 5
	leastHolder = 0.02
)

// holders are the rows of `cgoheap top`, of the saved profile; nil: there is none.
func (f *Facts) holders(callers *stacks.CallerRule) *holders.Summary {
	text := f.text(cgoProfile)
	if text == nil {
		return nil
	}
	p, err := attach.ParseProfile(text)
	if err != nil {
		return nil
	}
	sum, err := holders.Summarize(p, cmp.Or(callers, &stacks.CallerRule{}))
	if err != nil {
		return nil
	}
	return sum
}

// held is why memory is still there, by the saved profile by age; nil: there is none.
func (f *Facts) held(callers *stacks.CallerRule) []cohort.Held {
	text := f.text(AgesFile)
	if text == nil {
		return nil
	}
	p, err := attach.ParseProfile(text)
	if err != nil {
		return nil
	}
	table, err := cohort.Read(p, cmp.Or(callers, &stacks.CallerRule{}))
	if err != nil {
		return nil
	}
	return table.Judge(f.Account)
}

// writeHolders names the Go functions that hold the most blocks, so that no command is needed
// to know them.
func (f *Facts) writeHolders(w io.Writer, callers *stacks.CallerRule) {
	sum := f.holders(callers)
	if sum == nil || sum.Bytes <= 0 {
		return
	}
	heading(w, "WHO HOLDS THE C MEMORY THAT IS IN USE")
	shown := 0
	for i := range sum.Rows {
		r := &sum.Rows[i]
		share := float64(r.Bytes) / float64(sum.Bytes)
		if r.Mapped != nil || shown > 0 && share < leastHolder {
			continue
		}
		fmt.Fprintf(w, "%10s  %3.0f %%  %s, asked for in %s\n", r.Amount(sum.Estimated),
			100*share, termtext.Escape(r.GoCaller), termtext.Escape(r.CLeaf))
		if shown++; shown == mostHolders {
			break
		}
	}
}
