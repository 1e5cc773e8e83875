package verbs

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTrim(t *testing.T) {
	s := startShim(t, "serve")
	cgoheap(t, "trim", s.arg()).normal(s).want(t, 0, `process PID (service): malloc_trim returned 80.0 MiB

OWNER          BEFORE      AFTER     CHANGE
C retained  100.0 MiB   20.0 MiB  -80.0 MiB
RSS         901.0 MiB  821.0 MiB  -80.0 MiB

It was free memory, not a leak. It comes back with the next peak; to keep it small, have the program
call malloc_trim(0) after its peaks, or run it with jemalloc preloaded. 20.0 MiB of unused memory
remains.
`, "")
	var v trimmed
	r := cgoheap(t, "trim", "--json", s.arg())
	if err := json.Unmarshal([]byte(r.out), &v); err != nil || r.code != 0 ||
		v.Released != 80<<20 || v.What != "malloc_trim" ||
		v.Before.RSS-v.After.RSS != 80<<20 ||
		!strings.HasPrefix(r.out, "{\n  \"schema\": \"cgoheap.trim/1\",\n  \"before\": {\n"+
			"    \"rss_bytes\": ") {
		t.Errorf("%v %s", err, r.out)
	}
	s = startShim(t, "trims nothing")
	cgoheap(t, "trim", s.arg()).normal(s).want(t, 0, `process PID (service): malloc_trim returned nothing

OWNER     BEFORE      AFTER  CHANGE
RSS    901.0 MiB  901.0 MiB     0 B

100.0 MiB of unused memory remains. cgoheap does not know why.
`, "")
	s = startShim(t, "trims in silence")
	cgoheap(t, "trim", s.arg()).normal(s).want(t, 0, `process PID (service): malloc_trim returned nothing

OWNER     BEFORE      AFTER  CHANGE
RSS    901.0 MiB  901.0 MiB     0 B

How much of the remaining 100.0 MiB is free is unknown: the allocator has no figures.
`, "")
	s = startShim(t, "no trim")
	cgoheap(t, "trim", s.arg()).normal(s).want(t, 1, "",
		"cgoheap: process PID (service) refused: cgoheap knows no trim function of snmalloc\n")
}
