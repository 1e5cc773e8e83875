// Package manual makes man pages and shell completions from the help texts, so
// that a flag is described once.  It relies on their shape: a usage line,
// paragraphs, flags indented by two spaces and explained in a column of their
// own, and blocks of examples below a line that ends in a colon.
package manual

import "strings"

// Verb is a verb and its help text.
type Verb struct {
	Name, Short, Help string
}

// Flag is one that a help text lists.
type Flag struct {
	Names []string // each spelling, with its dashes
	Value string   // what follows it, as the help calls it; "" if nothing does
	Text  string
	// The value may be left out, and is not a word of its own: --leak-check[=N].
	Optional bool
}

// block is a part of a help text between empty lines.
type block struct {
	kind  kind
	lines []string
	flags []Flag
}

type kind int

const (
	paragraph kind = iota
	flagList
	heading  // one line that ends in a colon
	literal  // indented: shown as it is
	synopsis // the usage line
)

// Flags lists the flags of a help text.
func (v Verb) Flags() []Flag {
	var all []Flag
	for _, b := range blocks(v.Help) {
		all = append(all, b.flags...)
	}
	if rest := usage(v.Help); strings.Contains(rest, "[--") {
		all = append(all, bracketed(rest, all)...)
	}
	return all
}

// usage is the usage line without the word.
func usage(help string) string {
	line, _, _ := strings.Cut(help, "\n")
	return strings.TrimPrefix(line, "usage: ")
}

// bracketed are the flags of a usage line that have no line of their own: [--json].
func bracketed(line string, known []Flag) []Flag {
	var more []Flag
	for _, part := range strings.Split(line, "[")[1:] {
		part, _, _ = strings.Cut(part, "]")
		name, value, _ := strings.Cut(strings.Fields(part)[0], "=")
		if fields := strings.Fields(part); len(fields) > 1 {
			value = fields[1]
		}
		if strings.HasPrefix(name, "--") && name != "--" && !has(known, name) {
			more = append(more, Flag{Names: []string{name}, Value: value})
		}
	}
	return more
}

func has(flags []Flag, name string) bool {
	for _, f := range flags {
		for _, n := range f.Names {
			if n == name {
				return true
			}
		}
	}
	return false
}

// blocks takes a help text apart.
func blocks(help string) []block {
	var all []block
	for _, part := range strings.Split(strings.TrimRight(help, "\n"), "\n\n") {
		lines := strings.Split(strings.Trim(part, "\n"), "\n")
		for len(lines) > 0 {
			b, used := nextBlock(lines)
			all = append(all, b)
			lines = lines[used:]
		}
	}
	return all
}

// nextBlock takes the lines that are of one kind.
func nextBlock(lines []string) (block, int) {
	first := lines[0]
	switch {
	case strings.HasPrefix(first, "usage: "):
		return block{kind: synopsis, lines: lines[:1]}, 1
	case isFlagLine(first):
		used := 1
		for used < len(lines) && strings.HasPrefix(lines[used], " ") {
			used++
		}
		return block{kind: flagList, lines: lines[:used], flags: flagsOf(lines[:used])}, used
	case strings.HasPrefix(first, " "):
		used := 1
		for used < len(lines) && strings.HasPrefix(lines[used], " ") {
			used++
		}
		return block{kind: literal, lines: lines[:used]}, used
	case strings.HasSuffix(first, ":") && len(lines) > 1 && strings.HasPrefix(lines[1], " "):
		return block{kind: heading, lines: lines[:1]}, 1
	}
	used := 1
	for used < len(lines) && !strings.HasPrefix(lines[used], " ") && !isHeading(lines, used) {
		used++
	}
	return block{kind: paragraph, lines: lines[:used]}, used
}

func isHeading(lines []string, i int) bool {
	return strings.HasSuffix(lines[i], ":") && i+1 < len(lines) &&
		strings.HasPrefix(lines[i+1], " ") && !isFlagLine(lines[i+1])
}

func isFlagLine(line string) bool {
	return strings.HasPrefix(line, "  -") && len(line) > 3 && line[3] != ' '
}

// flagsOf reads the lines of a list: `  -n, --rows N    rows to show`, and what continues it.
func flagsOf(lines []string) []Flag {
	var flags []Flag
	for _, line := range lines {
		if !isFlagLine(line) {
			if last := len(flags) - 1; last >= 0 {
				more := flags[last].Text + " " + strings.TrimSpace(line)
				flags[last].Text = strings.TrimSpace(more)
			}
			continue
		}
		spelled, text, _ := strings.Cut(strings.TrimSpace(line), "  ")
		flag := Flag{Text: strings.TrimSpace(text)}
		for _, word := range strings.Fields(strings.ReplaceAll(spelled, ",", " ")) {
			if !strings.HasPrefix(word, "-") {
				flag.Value = strings.TrimSpace(flag.Value + " " + word)
				continue
			}
			name, value, joined := strings.Cut(word, "[=")
			flag.Optional = joined
			if !joined {
				name, value, joined = strings.Cut(word, "=")
			}
			if joined {
				flag.Value = strings.TrimSuffix(value, "]")
			}
			flag.Names = append(flag.Names, name)
		}
		flags = append(flags, flag)
	}
	return flags
}
