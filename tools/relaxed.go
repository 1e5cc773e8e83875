// Command relaxed compares the relaxed accesses of shim/ with tests/order/relaxed, where each has
// its kind, and says what is missing there and what is there without being in the sources.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
)

const table = "tests/order/relaxed"

var (
	comment = regexp.MustCompile(`(?s)/\*.*?\*/`)
	access  = regexp.MustCompile(`\b(LOAD|STORE|ADD|lower_to|raise_to|__atomic_\w+)\s*\(`)
	cast    = regexp.MustCompile(`\([^()]*\*\)`)
	group   = regexp.MustCompile(`\([^()]*\)|\[[^][]*\]`)
	word    = regexp.MustCompile(`\w+`)
)

// arguments of a call whose opening parenthesis is before text.
func arguments(text string) (args []string) {
	depth, from := 1, 0
	for i, c := range text {
		switch {
		case strings.ContainsRune("([{", c):
			depth++
		case strings.ContainsRune(")]}", c):
			depth--
		}
		if depth == 0 || depth == 1 && c == ',' {
			args = append(args, strings.TrimSpace(text[from:i]))
			from = i + 1
		}
		if depth == 0 {
			break
		}
	}
	return args
}

// isRelaxed tells by the order; a compare and exchange has one for success before the last.
func isRelaxed(function string, args []string) bool {
	if !strings.HasPrefix(function, "__atomic_") {
		return true
	}
	order := len(args) - 1
	if strings.Contains(function, "compare_exchange") {
		order--
	}
	return args[order] == "__ATOMIC_RELAXED"
}

// nameOf is the variable or the member: count of &shards[i].count; "memory" is the host's.
func nameOf(address string) string {
	if strings.HasPrefix(address, "(const ") {
		return "memory"
	}
	address = cast.ReplaceAllString(address, "")
	for address != group.ReplaceAllString(address, "") {
		address = group.ReplaceAllString(address, "")
	}
	address = strings.ReplaceAll(address, "->", ".")
	words := word.FindAllString(address[strings.LastIndex(address, ".")+1:], 1)
	return strings.Join(words, "")
}

func inSources() map[string]bool {
	found := map[string]bool{}
	files, _ := filepath.Glob("shim/*/*.[ch]")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || file == "shim/base/base.h" {
			continue
		}
		code := comment.ReplaceAllString(string(text), "")
		for _, at := range access.FindAllStringSubmatchIndex(code, -1) {
			args := arguments(code[at[1]:])
			if isRelaxed(code[at[2]:at[3]], args) {
				found[file+" "+nameOf(args[0])] = true
			}
		}
	}
	return found
}

// inTable: lines "FILE KIND NAME...".
func inTable() (found map[string]bool, faults []string) {
	found, kinds := map[string]bool{}, map[string]bool{}
	text, err := os.ReadFile(table)
	if err != nil {
		return found, []string{err.Error()}
	}
	for _, line := range strings.Split(string(text), "\n") {
		if kind, _, is := strings.Cut(strings.TrimPrefix(line, "#   "), ": "); is &&
			strings.HasPrefix(line, "#   ") {
			kinds[kind] = true
		}
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		if len(fields) < 3 || !kinds[fields[1]] {
			faults = append(faults, table+": no kind that is explained: "+line)
			continue
		}
		for _, name := range fields[2:] {
			found[fields[0]+" "+name] = true
		}
	}
	return found, faults
}

func main() {
	sources := inSources()
	known, faults := inTable()
	for access := range sources {
		if !known[access] {
			faults = append(faults, access+": relaxed, and not in "+table)
		}
	}
	for access := range known {
		if !sources[access] {
			faults = append(faults, access+": in "+table+", and not relaxed anywhere")
		}
	}
	sort.Strings(faults)
	for _, fault := range faults {
		fmt.Println(fault)
	}
	if len(faults) > 0 {
		os.Exit(1)
	}
}
