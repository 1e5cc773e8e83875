package main

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// A table is one of Markdown whose columns line up in a terminal too. Its first row is the head;
// the first column is text, the others are figures.
type table [][]string

func (t *table) add(cells ...string) { *t = append(*t, cells) }

func (t table) String() string {
	widths := make([]int, len(t[0]))
	for _, cells := range t {
		for i, c := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c), 3)
		}
	}
	var b strings.Builder
	for n, cells := range t {
		for i, c := range cells {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if i == 0 {
				fmt.Fprintf(&b, "| %s%s ", c, pad)
			} else {
				fmt.Fprintf(&b, "| %s%s ", pad, c)
			}
		}
		b.WriteString("|\n")
		if n > 0 {
			continue
		}
		for i, w := range widths {
			if i == 0 {
				fmt.Fprintf(&b, "|%s", strings.Repeat("-", w+2))
			} else {
				fmt.Fprintf(&b, "|%s:", strings.Repeat("-", w+1))
			}
		}
		b.WriteString("|\n")
	}
	return b.String()
}

// What is unknown is an empty cell.
func cell(format string, value float64) string {
	if math.IsNaN(value) {
		return ""
	}
	return fmt.Sprintf(format, value)
}

// figures3 is the value with as many decimals as it takes to tell it from another.
func figures3(value float64) string {
	switch {
	case value >= 100:
		return cell("%.0f", value)
	case value >= 10:
		return cell("%.1f", value)
	}
	return cell("%.2f", value)
}

// times is a ratio.
func times(value float64) string {
	if math.IsNaN(value) {
		return ""
	}
	return "×" + figures3(value)
}

func (s spread) String() string {
	if s.n == 0 {
		return ""
	}
	return fmt.Sprintf("%s (%s-%s)", times(s.median), figures3(s.low), figures3(s.high))
}

func duration(ns float64) string {
	switch {
	case ns < 1e3:
		return cell("%.1f ns", ns)
	case ns < 1e6:
		return cell("%.1f µs", ns/1e3)
	case ns < 1e9:
		return cell("%.1f ms", ns/1e6)
	}
	return cell("%.2f s", ns/1e9)
}

func sizeText(n float64) string {
	switch {
	case math.Abs(n) < 1<<20:
		return cell("%.1f KiB", n/(1<<10))
	}
	return cell("%.1f MiB", n/(1<<20))
}

func signedMiB(kib float64) string { return cell("%+.1f MiB", kib/(1<<10)) }

func number(n float64) string {
	switch {
	case n < 1e6:
		return cell("%.0f", n)
	case n < 1e9:
		return cell("%.1f M", n/1e6)
	}
	return cell("%.2f G", n/1e9)
}
