package account

import (
	"fmt"

	"cgoheap.example/cli/internal/termtext"
)

// MemStatsSource is the source of figures from the service's net/http/pprof.
const MemStatsSource = "runtime.MemStats"

// FillGo fills what the account does not know with the service's figures.  It checks that
// both are of one process: Go cannot use more than it has mapped.
func (a *Account) FillGo(from *Go, target string) error {
	mapped, used := a.Owner(GoHeap).Mapped, Known(from.HeapInUse)+Known(from.Stacks)
	if mapped != nil && used > *mapped {
		return fmt.Errorf("%s describes another process: "+
			"%s of Go heap in use there, %s mapped here",
			termtext.QuoteShell(target), termtext.Bytes(used), termtext.Bytes(*mapped))
	}
	filled := false
	if a.Go.Metadata == nil { // which only the Go package tells the shim
		a.Go.Metadata = from.Metadata
	}
	for _, f := range []struct{ to, from **int64 }{
		{&a.Go.HeapInUse, &from.HeapInUse}, {&a.Go.HeapFree, &from.HeapFree},
		{&a.Go.HeapReleased, &from.HeapReleased}, {&a.Go.Stacks, &from.Stacks},
	} {
		if *f.to == nil {
			*f.to = *f.from
			filled = true
		}
	}
	switch {
	case a.Go.Source == "":
		a.Go.Source = from.Source
	case filled:
		a.Go.Source += ", " + MemStatsSource
	}
	return nil
}
