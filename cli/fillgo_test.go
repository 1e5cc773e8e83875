package main

import (
	"testing"

	"cgoheap/cli/internal/fakeshim"
)

// What the runtime's variables said, the service does not change.
func TestGoPprofFillsOnlyWhatIsUnknown(t *testing.T) {
	a := parseAccount(fakeshim.Account("serve", 1))
	from, err := parseMemStats([]byte(memStatsText))
	check0(err)
	check0(a.fillGo(from, "http://x"))
	if *a.Go.InUse != 60<<20 || *a.Go.Source != "runtime.gcController" || *a.Go.Metadata != 31 {
		t.Errorf("%+v", a.Go)
	}
	a.Go.Stacks = nil
	check0(a.fillGo(from, "http://x"))
	if *a.Go.Stacks != 7 || *a.Go.Source != "runtime.gcController, runtime.MemStats" {
		t.Errorf("%+v", a.Go)
	}
}
