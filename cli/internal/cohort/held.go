package cohort

import (
	"cmp"
	"slices"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/termtext"
)

// Held is a row and why its memory is still there.
type Held struct {
	holders.RowKey
	Bytes int64 `json:"in_use_bytes"`
	*Why

	estimated bool // by samples
}

// Amount is the bytes in use, as people read them.
func (h *Held) Amount() string { return termtext.Estimate(termtext.Bytes(h.Bytes), h.estimated) }

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
			if sinceGC != nil && row.outlived(*sinceGC, known) {
				w.Says += "; most of it was there then and was not freed"
			}
		}
		all = append(all, Held{key, row.InUse(), w, t.isEstimate && key.Origin == "malloc"})
	}
	slices.SortFunc(all, func(a, b Held) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.GoCaller, b.GoCaller),
			cmp.Compare(a.CLeaf, b.CLeaf), cmp.Compare(a.Origin, b.Origin))
	})
	return all
}

// recentGC: since one that is longer ago, the program may have let go of what it did not free.
const recentGC = 2 * time.Minute

// outlived: most of what is in use was allocated before a GC that was so long ago.  The account
// knows it to a tenth of a second, but only of all rows together.
func (h *History) outlived(sinceGC time.Duration, known *account.Account) bool {
	old := h.Older
	for _, c := range h.Cohorts {
		if c.From >= sinceGC {
			old += c.Live
		}
	}
	survived := account.Known(known.DebtSurvived)
	all := survived > 0 && float64(survived) >= 0.9*float64(account.Known(known.Debt))
	return sinceGC < recentGC && (all || 2*old > h.InUse())
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
