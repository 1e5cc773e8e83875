package verdict

import (
	"slices"
	"strings"
)

const shownRules = 3

// Paragraphs are the first findings and the pressing ones; the last one names the rest.
func Paragraphs(findings []Finding) []string {
	var texts, left []string
	for i, f := range findings {
		if i < shownRules || f.pressing {
			texts = append(texts, f.Text)
		} else {
			left = append(left, f.Rule)
		}
	}
	if len(left) > 0 {
		texts = append(texts, "Less pressing, in full with --json: "+strings.Join(left, ", ")+".")
	}
	return texts
}

// Repeats says that a finding says what the library's warning says, and more.
func Repeats(findings []Finding, warning string) bool {
	return strings.Contains(warning, "the samples account for") &&
		slices.ContainsFunc(findings, func(f Finding) bool { return f.Rule == estimateRule })
}
