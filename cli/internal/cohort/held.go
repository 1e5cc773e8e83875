package cohort

import (
	"cmp"
	"slices"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/holders"
)

// Held is a row and why its memory is still there.
type Held struct {
	holders.RowKey
	Bytes int64 `json:"in_use_bytes"`
	*Why
}

// Judge gives all rows that hold something and of which something is known, the largest first.
// known has Go's figures of about the same time; nil: there are none.
func (t *Table) Judge(known *account.Account) []Held {
	var sinceGC *time.Duration
	if known != nil {
		since := known.SinceGC()
		if known.NeverCollected() {
			since = Never
		}
		if since >= 0 {
			sinceGC = &since
		}
	}
	var all []Held
	for key, row := range t.Rows {
		if row.InUse() == 0 || len(row.Cohorts) == 0 {
			continue
		}
		w := row.Judge(sinceGC)
		if w.waitsForGC() {
			w.Says += "; freed by " + row.FreedBy + "s"
			if known != nil && known.SaysGC() != "" {
				w.Says += "; " + known.SaysGC()
			}
		}
		all = append(all, Held{key, row.InUse(), w})
	}
	slices.SortFunc(all, func(a, b Held) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.GoCaller, b.GoCaller),
			cmp.Compare(a.CLeaf, b.CLeaf), cmp.Compare(a.Origin, b.Origin))
	})
	return all
}

func (w *Why) waitsForGC() bool { return w.WaitsFor != nil && *w.WaitsFor == WaitsForGC }

// Waits is what a row waits for, as people read it.
func (w *Why) Waits() string {
	switch {
	case w.WaitsFor == nil:
		return "-"
	case w.waitsForGC():
		return account.WaitsForGC
	}
	return *w.WaitsFor
}
