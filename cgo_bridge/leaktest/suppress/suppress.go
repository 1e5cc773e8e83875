// Package suppress says which stacks of a leak check are not reported: what was allocated
// before the program's own code began, and what a list of functions suppresses. The leak test
// of cgo_bridge/leaktest and cgoheap run --leak-check use the same rules.
package suppress

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// A Frame is one call of a stack. Module is the path of the file that it is code of; "" unknown.
type Frame struct {
	Function, File, Module string
	Inlined                bool // into the next frame
}

// A Rule suppresses the stacks that have a frame it matches.
type Rule struct {
	Text string // as it was written
	Line int
	Used bool // it has suppressed a stack

	matches func(stack []Frame, at int) bool
}

// A List is rules in the order in which they are asked.
type List struct {
	Rules []*Rule
}

//go:embed defaults.txt
var defaults string

// Defaults suppress what libc, NSS, the loader and Go's runtime keep for themselves. A function
// of the program's that has such a name is not meant.
func Defaults() *List {
	l, err := Parse(strings.NewReader(defaults))
	if err != nil {
		panic(err) // a test reads it
	}
	for _, r := range l.Rules {
		r.matches = defaultRule(r.Text)
	}
	return l
}

// defaultRule is of one line of defaults.txt.
func defaultRule(text string) func(stack []Frame, at int) bool {
	if glob, isBelow := strings.CutPrefix(text, "below "); isBelow {
		return func(stack []Frame, at int) bool {
			f := &stack[at]
			return isOfLibc(f) && isFunction(glob, f) && callsTo(stack, at) > 1
		}
	}
	if glob, isBy := strings.CutPrefix(text, "by "); isBy {
		return func(stack []Frame, at int) bool {
			f := &stack[at]
			isGiven := strings.HasPrefix(f.Function, "omp_") // omp_alloc gives to its caller
			return match(glob, path.Base(f.Module)) && !isGiven && callsTo(stack, at) == 1
		}
	}
	ofGo := strings.HasPrefix(text, "runtime.") || strings.Contains(text, "_cgo_")
	return func(stack []Frame, at int) bool {
		f := &stack[at]
		return (ofGo || isOfLibc(f)) && isFunction(text, f)
	}
}

// callsTo is how many calls there are from a frame to the leaf; what is inlined is not called.
func callsTo(stack []Frame, at int) (calls int) {
	for i := range stack[:at] {
		if !stack[i].Inlined {
			calls++
		}
	}
	return calls
}

// isOfLibc: the C library and what belongs to it.
func isOfLibc(f *Frame) bool {
	name := path.Base(f.Module)
	for _, prefix := range []string{"libc.so", "libc-2", "ld-linux", "ld-2", "libnss_", "libresolv",
		"libpthread", "libdl", "librt", "libgcc_s", "libstdc++"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// Parse reads a function or a glob a line. "#" begins a comment. A line of LeakSanitizer's,
// "leak:PATTERN", matches as it does there: anywhere in a frame's function, file or module.
func Parse(from io.Reader) (*List, error) {
	l := &List{}
	lines := bufio.NewScanner(from)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimPrefix(lines.Text(), byteOrderMark)
		if at := commentAt(text); at >= 0 {
			text = text[:at]
		}
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		r, err := NewRule(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		r.Line = n
		l.Rules = append(l.Rules, r)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, errors.New("a line is longer than 64 KiB: is it a text?")
	}
	return l, lines.Err()
}

// byteOrderMark begins a text that some editors of Windows have written.
const byteOrderMark = "\ufeff"

// commentAt is where a comment begins: at "#" that is first or after a space; -1: there is none.
func commentAt(text string) int {
	for i := range text {
		if text[i] == '#' && (i == 0 || text[i-1] == ' ' || text[i-1] == '\t') {
			return i
		}
	}
	return -1
}

// NewRule is the rule of one line.
func NewRule(text string) (*Rule, error) {
	kind, pattern, found := strings.Cut(text, ":")
	switch {
	case !found || strings.HasPrefix(pattern, ":") || strings.ContainsAny(kind, "*?./ ("):
		return &Rule{Text: text, matches: func(stack []Frame, at int) bool {
			return isFunction(text, &stack[at])
		}}, nil
	case kind != "leak":
		return nil, fmt.Errorf("unknown kind of suppression %q: write a function, or leak:PATTERN",
			kind[:min(len(kind), 40)])
	case strings.Trim(pattern, " ^$") == "":
		return nil, fmt.Errorf("leak: has no pattern")
	}
	glob := anywhere(pattern)
	return &Rule{Text: text, matches: func(stack []Frame, at int) bool {
		f := &stack[at]
		return match(glob, f.Function) || f.File != "" && match(glob, f.File) ||
			f.Module != "" && match(glob, f.Module)
	}}, nil
}

// anywhere makes LeakSanitizer's pattern one of the whole text.
func anywhere(pattern string) string {
	glob := pattern
	if glob = strings.TrimPrefix(pattern, "^"); glob == pattern {
		glob = "*" + glob
	}
	if cut := strings.TrimSuffix(glob, "$"); cut != glob {
		return cut
	}
	return glob + "*"
}

// isFunction: a Go function also goes without the path before its package's name.
func isFunction(glob string, f *Frame) bool {
	return match(glob, f.Function) || match(glob, path.Base(f.Function))
}

// match is a glob of * and ? against a whole text.
func match(glob, text string) bool {
	star, from := -1, 0 // where the last * was, and what it has taken
	g, t := 0, 0
	for t < len(text) {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, from = g, t
			g++
		case g < len(glob) && (glob[g] == '?' || glob[g] == text[t]):
			g, t = g+1, t+1
		case star >= 0:
			from++
			g, t = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(glob[g:], "*") == ""
}

// Match returns the first rule that suppresses the stack; nil: none does.
func (l *List) Match(stack []Frame) *Rule {
	if l == nil {
		return nil
	}
	for _, r := range l.Rules {
		for i := range stack {
			if r.matches(stack, i) {
				r.Used = true
				return r
			}
		}
	}
	return nil
}

// Unused are the rules that have suppressed nothing.
func (l *List) Unused() (unused []*Rule) {
	if l != nil {
		for _, r := range l.Rules {
			if !r.Used {
				unused = append(unused, r)
			}
		}
	}
	return unused
}

// FirstGo is the index of the innermost Go frame; 0 if there is none. Stacks that are one from
// there on are shown as one: a C library allocates at many places for one call.
func FirstGo(stack []Frame) int {
	for i := range stack {
		if f := &stack[i]; strings.HasSuffix(f.File, ".go") && strings.Contains(f.Function, ".") {
			return i
		}
	}
	return 0
}

// startup are functions under which nothing but initialization runs: Go's package variables and
// init functions, also a plugin's; constructors of the program and of libraries.
var startup = map[string]bool{
	"runtime.doInit": true, "runtime.doInit1": true, "__libc_csu_init": true,
}

// startupOfLibc are functions of libc's that call constructors.
var startupOfLibc = map[string]bool{"call_init": true, "_dl_init": true, "_dl_start_user": true}

// IsStartup says whether the stack allocated before the program's own code began, or while a
// library was loaded.
func IsStartup(stack []Frame) bool {
	for i := range stack {
		f := &stack[i]
		if startup[f.Function] || startupOfLibc[f.Function] && isOfLibc(f) ||
			strings.HasPrefix(f.Function, "_GLOBAL__sub_I_") ||
			strings.HasPrefix(path.Base(f.Module), "ld-linux") {
			return true
		}
	}
	return false
}
