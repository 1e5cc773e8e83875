// Package flags reads a verb's command line.  Unlike the standard library it accepts
// flags after positional arguments (`cgoheap top 42 -n 5`), and an error is one
// sentence that says what would be right.
package flags

import (
	"errors"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"cgoheap.example/cli/internal/termtext"
)

// Set is the flags that a verb knows.
type Set struct {
	byName  map[string]*Flag
	Program bool // what follows the first positional argument is a program's
}

// Flag is one of them.  An error of Set says what the value should be.
type Flag struct {
	isBool bool
	// A value only follows an equals sign; without one, Set takes "".
	Optional bool
	Given    bool // on the command line that was read
	Set      func(value string) error
}

// New knows no flag but --help.
func New() *Set {
	return &Set{byName: map[string]*Flag{}}
}

// ErrHelp says that --help is among the flags.
var ErrHelp = errors.New("help wanted")

// Add registers a flag under one or more spellings, each with its dashes.
func (f *Set) Add(names string, spec *Flag) *Flag {
	for _, name := range strings.Fields(names) {
		f.byName[name] = spec
	}
	return spec
}

// Boolean is a flag without a value.
func (f *Set) Boolean(names string, target *bool) {
	f.Add(names, &Flag{isBool: true, Set: func(string) error { *target = true; return nil }})
}

// Text takes any value.
func (f *Set) Text(names string, target *string) *Flag {
	return f.Add(names, &Flag{Set: func(v string) error { *target = v; return nil }})
}

// Size takes bytes within [low, high].
func (f *Set) Size(names string, target *uint64, low, high uint64) *Flag {
	return f.Add(names, &Flag{Set: func(v string) error {
		n, ok := termtext.ParseBytes(v)
		if !ok || n < low || n > high {
			return Usagef("bytes from %s to %s, such as 65536 or 512KiB",
				termtext.ExactBytes(low), termtext.ExactBytes(high))
		}
		*target = n
		return nil
	}})
}

// Duration takes a time within [low, high].
func (f *Set) Duration(names string, target *time.Duration, low, high time.Duration) *Flag {
	return f.Add(names, &Flag{Set: func(v string) error {
		d, ok := termtext.ParseDuration(v)
		if !ok || d < low || d > high {
			return Usagef("a time from %s to %s, such as 30s or 10m",
				termtext.Duration(low), termtext.Duration(high))
		}
		*target = d
		return nil
	}})
}

// Count takes a number within [low, high].
func (f *Set) Count(names string, target *int, low, high int) *Flag {
	return f.Add(names, &Flag{Set: func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < low || n > high {
			return Usagef("a number from %d to %d", low, high)
		}
		*target = n
		return nil
	}})
}

// Pattern takes a regular expression.
func (f *Set) Pattern(names string, target **regexp.Regexp) *Flag {
	return f.Add(names, &Flag{Set: func(v string) (err error) {
		if *target, err = regexp.Compile(v); err != nil {
			return Usagef("a regular expression (%s)",
				termtext.Escape(strings.TrimPrefix(err.Error(), "error parsing regexp: ")))
		}
		return nil
	}})
}

// Choice takes one of the words.
func (f *Set) Choice(names string, target *string, allowed ...string) *Flag {
	return f.Add(names, &Flag{Set: func(v string) error {
		for _, a := range allowed {
			if v == a {
				*target = v
				return nil
			}
		}
		return Usagef("one of %s", strings.Join(allowed, ", "))
	}})
}

// Parse returns the positional arguments.
func (f *Set) Parse(args []string) ([]string, error) {
	var rest []string
	for len(args) > 0 {
		arg := args[0]
		switch {
		case arg == "--":
			return append(rest, args[1:]...), nil
		case arg == "-" || !strings.HasPrefix(arg, "-"):
			if f.Program {
				return append(rest, args...), nil
			}
			rest = append(rest, arg)
			args = args[1:]
		default:
			used, err := f.parseFlag(args)
			if err != nil {
				return nil, err
			}
			args = args[used:]
		}
	}
	return rest, nil
}

// parseFlag takes the flag at args[0] and returns how many arguments it was.
func (f *Set) parseFlag(args []string) (int, error) {
	name, value, hasValue := strings.Cut(args[0], "=")
	spec := f.byName[name]
	used := 1
	switch {
	case name == "--help" || name == "-h" || name == "-help":
		return 0, ErrHelp
	case spec == nil:
		near := DidYouMean(Nearest(name, f.names()))
		return 0, Usagef("unknown flag %s%s", termtext.Escape(name), near)
	case spec.isBool && hasValue:
		return 0, Usagef("%s takes no value", name)
	case !spec.isBool && !spec.Optional && !hasValue:
		if len(args) < 2 {
			return 0, Usagef("%s needs a value", name)
		}
		value = args[1]
		used = 2
	}
	spec.Given = true
	if err := spec.Set(value); err != nil {
		return 0, Usagef("invalid %s %s: expected %s", name, termtext.Quote(value), err)
	}
	return used, nil
}

func (f *Set) names() []string {
	names := []string{"--help"}
	for name := range f.byName {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// DidYouMean follows an unknown word; "" if near is.
func DidYouMean(near string) string {
	if near == "" {
		return ""
	}
	return " (did you mean " + near + "?)"
}

// ParseExactly wants exactly the named positional arguments.
func (f *Set) ParseExactly(args []string, names ...string) ([]string, error) {
	rest, err := f.Parse(args)
	if err != nil {
		return nil, err
	}
	if len(rest) < len(names) {
		return nil, Usagef("%s is missing", names[len(rest)])
	}
	if len(rest) > len(names) {
		return nil, Usagef("unexpected argument %s", termtext.Quote(rest[len(names)]))
	}
	return rest, nil
}

// ParseTarget is for verbs that take one process: by its ID, its program's name, or "" for the
// only one.
func (f *Set) ParseTarget(args []string) (string, error) {
	rest, err := f.Parse(args)
	switch {
	case err != nil:
		return "", err
	case len(rest) > 1:
		return "", Usagef("unexpected argument %s", termtext.Quote(rest[1]))
	case len(rest) == 0:
		return "", nil
	case rest[0] == "":
		return "", Usagef(`"" is neither a process ID nor a program's name`)
	}
	return rest[0], nil
}
