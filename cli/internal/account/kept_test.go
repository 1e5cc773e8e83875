package account

import "testing"

// The verdict's figure of what trim returns is in the table.
func TestKeptLine(t *testing.T) {
	const mib = 1 << 20
	n := func(i int64) *int64 { return &i }
	for want, k := range map[string]Kept{
		"": {},
		"trim returns 1.0 MiB, at the ends of arenas 2.0 MiB, " +
			"on pages with blocks in use 3.0 MiB": {
			Returnable: n(mib), ArenaEnds: n(2 * mib), Pinned: n(3 * mib), Cached: n(0)},
		"trim returns up to 428.0 MiB (427.0 MiB of it in small blocks), " +
			"at the ends of arenas 0 B, on pages with blocks in use 0 B": {
			Returnable: n(mib), ArenaEnds: n(0), Pinned: n(0), Cached: n(427 * mib)},
	} {
		if got := k.Line(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
