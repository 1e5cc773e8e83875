package main

import (
	"fmt"

	"cgoheap/cli/internal/termtext"
)

// memStatsSource is the source of what the service's own net/http/pprof told.
const memStatsSource = "runtime.MemStats"

// fillGo takes from the service what the account does not know, and makes sure
// that both speak of one process: Go cannot use more than it has mapped.
func (a *account) fillGo(from *goSplit, target string) error {
	mapped := a.owner(goHeap).Mapped
	if mapped != nil && known(from.InUse)+known(from.Stacks) > *mapped {
		return fmt.Errorf("%s tells of another process: %s of Go heap in use there, %s mapped here", termtext.QuoteShell(target),
			termtext.Bytes(known(from.InUse)+known(from.Stacks)), termtext.Bytes(*mapped))
	}
	filled := false
	if a.Go.Metadata == nil { // which only the Go package tells the shim
		a.Go.Metadata = from.Metadata
	}
	for _, f := range []struct{ to, from **int64 }{
		{&a.Go.InUse, &from.InUse}, {&a.Go.Free, &from.Free}, {&a.Go.Released, &from.Released}, {&a.Go.Stacks, &from.Stacks},
	} {
		if *f.to == nil {
			*f.to = *f.from
			filled = true
		}
	}
	switch {
	case a.Go.Source == nil || *a.Go.Source == "":
		a.Go.Source = from.Source
	case filled:
		both := *a.Go.Source + ", " + memStatsSource
		a.Go.Source = &both
	}
	return nil
}
