package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cgoheap.example/cli/internal/cohort"
	"cgoheap.example/cli/internal/termtext"
)

// Rules about the age of what C holds: of what was allocated in each past interval, how much lives.

const (
	shownLeaks = 3
	// A leak of this share of RSS, or of these bytes, is worth a sentence.
	leakShare = 0.01
	leakBytes = 4 << 20
)

// knowsAges: some row has a class.
func (s *Situation) knowsAges() bool {
	for _, h := range s.Held {
		if h.Class != cohort.TooEarly {
			return true
		}
	}
	return false
}

// leaks names what survives in every cohort.
func leaks(s *Situation) string {
	found := slices.DeleteFunc(slices.Clone(s.Held), func(h cohort.Held) bool {
		return h.Class != cohort.Leak
	})
	slices.SortStableFunc(found, func(a, b cohort.Held) int {
		return cmp.Compare(b.Leaked, a.Leaked)
	})
	var named []string
	var perHour, total int64
	isNew := false
	for i, h := range found {
		total, perHour, isNew = total+h.Leaked, perHour+h.PerHour, isNew || h.IsNew
		if i < shownLeaks {
			named = append(named, fmt.Sprintf("%s through %s, %s (%s)", termtext.Escape(h.GoCaller),
				termtext.Escape(h.CLeaf), termtext.Bytes(h.Leaked), h.Shows))
		}
	}
	if len(named) == 0 || total < leakBytes && s.share(total) < leakShare {
		return ""
	}
	if left := len(found) - len(named); left > 0 {
		named = append(named, termtext.CountOf(left, "row more", "rows more"))
	}
	text := fmt.Sprintf("Leak: %s that stays, and %s an hour more: by %s.",
		termtext.Bytes(total), termtext.Bytes(perHour), strings.Join(named, "; "))
	if isNew {
		text += " A cache that still fills looks the same: look again when the cohorts are older."
	}
	if s.Ended {
		return text
	}
	return text + " " + upperFirst(s.showWhy()) + " shows why each is still there."
}

func (s *Situation) showWhy() string {
	return s.command("top --why %d")
}

// byAge sums what the classes say of C's blocks: "By the age of its blocks, 481.0 MiB is a cache
// and 96.0 MiB churn; of 12.0 MiB it is too early to say whether it leaks."
func (s *Situation) byAge() string {
	if !s.knowsAges() {
		return ""
	}
	of := map[cohort.Class]int64{}
	for _, h := range s.Held {
		if h.Origin == "malloc" {
			of[h.Class] += h.Bytes
		}
	}
	var parts []string
	for _, c := range []struct {
		class cohort.Class
		is    string
	}{
		{cohort.Leak, "%s is held by what leaks"}, {cohort.Cache, "%s is a cache"},
		{cohort.WarmUp, "%s is from a warm-up"}, {cohort.Churn, "%s is churn"},
	} {
		if n := of[c.class]; n > 0 {
			parts = append(parts, fmt.Sprintf(c.is, termtext.Bytes(n)))
		}
	}
	text := "By the age of its blocks, " + listOf(parts)
	if n := of[cohort.TooEarly]; n > 0 && len(parts) > 0 {
		return fmt.Sprintf("%s; of %s it is too early to say whether it leaks.", text,
			termtext.Bytes(n))
	}
	if len(parts) == 0 {
		return ""
	}
	return text + "."
}
