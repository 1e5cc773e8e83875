package termtext

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// WriteWrapped wraps text to width columns; lines after the first begin with indent.
func WriteWrapped(w io.Writer, text, indent string, width int) {
	for i, line := range Wrap(text, width-len(indent)) {
		if i > 0 {
			line = indent + line
		}
		fmt.Fprintln(w, line)
	}
}

// Wrap breaks text at spaces, but never inside `a command` nor between a figure and its unit.
func Wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, part := range unbroken(text) {
		switch {
		case line == "":
			line = part
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(part) > width:
			lines, line = append(lines, line), part
		default:
			line += " " + part
		}
	}
	return append(lines, line)
}

func unbroken(text string) []string {
	var parts []string
	quoted := false
	for _, word := range strings.Fields(text) {
		if last := len(parts) - 1; last >= 0 && (quoted || isUnit(word)) {
			parts[last] += " " + word
		} else {
			parts = append(parts, word)
		}
		if strings.Count(word, "`")%2 == 1 {
			quoted = !quoted
		}
	}
	return parts
}

func isUnit(word string) bool {
	switch strings.Trim(word, ",.;:()") {
	case "B", "KiB", "MiB", "GiB", "TiB", "%":
		return true
	}
	return false
}
