package report

import (
	"fmt"
	"math"
	"strings"
	"time"

	"cgoheap.example/cli/internal/cohort"
	"cgoheap.example/cli/internal/termtext"
)

// Why memory is still there: a row for each holder, with the share of each cohort that lives.

type heldRow struct {
	Bytes, Survives, Waits, Caller, Leaf, Says string
	Curve                                      string // in words
	Points                                     string // of a polyline; "": there is no cohort
}

const maxHeld = 20

func (in *Input) addHeld(p *page) {
	room := maxCost
	for i, h := range in.Held {
		if i == maxHeld || room < 0 {
			p.HeldNote += fmt.Sprintf("Of %d rows the largest. ", len(in.Held))
			break
		}
		r := heldRow{Bytes: h.Amount(), Survives: h.Percent(), Waits: h.Waits(),
			Caller: shown(h.GoCaller), Leaf: shown(h.CLeaf), Says: shown(h.Says)}
		r.Points, r.Curve = curveOf(h.Cohorts)
		room -= cost(r.Caller + r.Leaf + r.Says + r.Points)
		p.Held = append(p.Held, r)
	}
	p.HeldNote += "Each curve is the share of what was allocated that still lives, by its age: " +
		"from the youngest on the left to the oldest on the right, on a logarithmic scale."
}

// The curve's box, with a pixel around it.
const curveWidth, curveHeight = 118.0, 24.0

// curveOf has two points for each cohort in which something was allocated.
func curveOf(cohorts []cohort.Cohort) (points, words string) {
	oldest := time.Duration(0)
	for _, c := range cohorts {
		oldest = max(oldest, c.From, c.To)
	}
	x := func(age time.Duration) float64 {
		return 1 + curveWidth*math.Log1p(max(0, age.Seconds()))/math.Log1p(oldest.Seconds())
	}
	var list, shares []string
	for _, c := range cohorts {
		if c.Allocated <= 0 {
			continue
		}
		y := 1 + curveHeight*(1-c.Share())
		to := c.To
		if to == 0 {
			to = oldest
		}
		list = append(list, fmt.Sprintf("%.1f,%.1f %.1f,%.1f", x(c.From), y, x(to), y))
		shares = append(shares, fmt.Sprintf("%.0f %%", 100*c.Share()))
	}
	if len(list) == 0 || oldest <= 0 {
		return "", ""
	}
	return strings.Join(list, " "), fmt.Sprintf("from the youngest to %s old: %s",
		termtext.Duration(oldest), strings.Join(shares, ", "))
}
