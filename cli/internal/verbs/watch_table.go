package verbs

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"cgoheap.example/cli/internal/drift"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/termtext"
)

// What watch shows of each figure: its name, a sparkline, its value and its change.

type figureLine struct {
	name, label, value, age, change string
}

const slopePoints = 60 // of a change that is shown: a sixteenth of the work of drift's own

// figureLines are all figures that any row has, but for the owners: those explain shows.
func (h *history) figureLines() []figureLine {
	recent := h.since(h.growthTime())
	var lines []figureLine
	for _, name := range series.Names(h.rows) {
		if _, isOwner := series.OwnerOf(name); isOwner {
			continue
		}
		f := series.About(name)
		l := figureLine{name: name, label: f.Label, value: "-"}
		if v, age, known := h.last(name); known {
			l.value = series.Text(f.Unit, v)
			if age >= staleAge {
				l.age = termtext.Duration(age)
			}
		}
		if s, ok := slope(recent, name, slopePoints); ok && f.Kind != series.Setting {
			l.change = changeText(f.Unit, s)
		}
		lines = append(lines, l)
	}
	return lines
}

// staleAge: what is older is shown with its age.
const staleAge = 5 * time.Second

// changeText is "+1.2 MiB/min (0.9 to 1.5)"; 0 is in the interval of what does not surely change.
func changeText(unit series.Unit, s drift.Slope) string {
	perMinute := func(v float64) string { return series.Text(unit, v*60) }
	if s.PerSecond == 0 && s.Low == 0 && s.High == 0 {
		return "0/min"
	}
	sign := ""
	if s.PerSecond > 0 {
		sign = "+"
	}
	return fmt.Sprintf("%s%s/min (%s to %s)", sign, perMinute(s.PerSecond), perMinute(s.Low),
		perMinute(s.High))
}

// layout is how many columns each part of a line gets; 0: it is left out.
type layout struct{ label, spark, value, age, change int }

// Parts have gaps before them, and a sparkline has these widths.
const (
	gap        = 2
	leastSpark = 8
	mostSpark  = 60
)

// layoutOf: what has no room is left out, first the change, then the age and the sparkline; the
// label is cut at last.
func layoutOf(lines []figureLine, rows, width int) layout {
	var l layout
	for _, line := range lines {
		l.label = max(l.label, utf8.RuneCountInString(line.label))
		l.value = max(l.value, utf8.RuneCountInString(line.value))
		l.age = max(l.age, utf8.RuneCountInString(line.age))
		l.change = max(l.change, utf8.RuneCountInString(line.change))
	}
	left := width - l.label - l.value - 1
	take := func(part *int, reserve int) {
		switch {
		case *part == 0:
		case left < *part+gap+reserve:
			*part = 0
		default:
			left -= *part + gap
		}
	}
	take(&l.age, 0)
	take(&l.change, leastSpark+1)
	if left > leastSpark && rows > 1 {
		l.spark = min(left-1, mostSpark)
	}
	l.label = max(0, min(l.label, width-l.value-1))
	return l
}

// table is the figures in so many columns; each line is safe for a terminal.
func (h *history) table(width int) []string {
	lines := h.figureLines()
	l := layoutOf(lines, len(h.rows), width)
	var out []string
	for _, line := range lines {
		text := fmt.Sprintf("%-*s ", l.label, termtext.CutEnd(line.label, l.label))
		if l.spark > 0 {
			text += fmt.Sprintf("%-*s ", l.spark,
				termtext.Sparkline(columns(h.rows, line.name, min(l.spark, len(h.rows)))))
		}
		text += fmt.Sprintf("%*s", l.value, line.value)
		if l.age > 0 {
			text += fmt.Sprintf("%*s", l.age+gap, line.age)
		}
		if l.change > 0 {
			text += fmt.Sprintf("%*s%s", gap, "", line.change)
		}
		out = append(out, termtext.CutEnd(strings.TrimRight(text, " "), width))
	}
	return out
}
