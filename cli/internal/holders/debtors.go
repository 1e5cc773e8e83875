package holders

import (
	"cmp"
	"slices"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/stacks"
)

// A Debtor is a Go function for whose C memory finalizers or cleanups are what mostly frees it.
type Debtor struct {
	GoCaller string
	Bytes    int64 // in use
}

// FreedByGC: memory with this label freed_by waits for a collection of Go's.
func FreedByGC(label string) bool { return label == "finalizer" || label == "cleanup" }

// Debtors of a heap profile by its label freed_by, largest first.
func Debtors(p *profile.Profile, callers *stacks.CallerRule) []Debtor {
	bytesAt, byCaller := SampleTypeIndex(p, "inuse_space"), map[string]int64{}
	for _, s := range p.Sample {
		if by := s.Label["freed_by"]; bytesAt >= 0 && len(by) == 1 && FreedByGC(by[0]) {
			byCaller[callers.GoCaller(stacks.FramesOf(s))] += s.Value[bytesAt]
		}
	}
	var list []Debtor
	for name, bytes := range byCaller {
		if bytes > 0 {
			list = append(list, Debtor{name, bytes})
		}
	}
	slices.SortFunc(list, func(a, b Debtor) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.GoCaller, b.GoCaller))
	})
	return list
}
