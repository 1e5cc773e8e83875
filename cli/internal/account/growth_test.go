package account

import (
	"encoding/json"
	"testing"
	"time"

	"cgoheap.example/cli/internal/fakeshim"
)

func TestGrowthNeedsTime(t *testing.T) {
	one, two := looked(t, fakeshim.Account("serve", 1)), looked(t, fakeshim.Account("serve", 2))
	never, at, before := GrowthSince(nil, one), GrowthSince(one, one), GrowthSince(two, one)
	if never != nil || at != nil || before != nil {
		t.Error("growth since never, now, or the future")
	}
	if g := GrowthSince(one, two); g == nil || g.Elapsed != time.Hour || g.RSS != 40<<20 {
		t.Errorf("%+v", g)
	}
	// An owner that was not known has not grown by what it is.
	stripped := looked(t, fakeshim.Account("stripped", 1))
	if g := GrowthSince(stripped, two); g.Of(GoStacks) != nil {
		t.Errorf("%+v", g)
	}
}

// looked is a look of the fake shim's.
func looked(t *testing.T, text string) *Account {
	t.Helper()
	a := &Account{}
	if err := json.Unmarshal([]byte(text), a); err != nil {
		t.Fatal(err)
	}
	return a
}
