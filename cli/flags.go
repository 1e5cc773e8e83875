package main

import (
	"errors"
	"sort"
	"strconv"
	"strings"
	"time"

	"cgoheap/cli/internal/termtext"
)

// flags reads a verb's command line.  Not the standard library's: flags are
// accepted after positional arguments too (`cgoheap top 42 -n 5`), and an error
// is one sentence that says what would have been right.
type flags struct {
	byName  map[string]*flagSpec
	program bool // what follows the first positional argument is not ours
}

type flagSpec struct {
	isBool bool
	given  bool
	set    func(value string) error
}

func newFlags() *flags {
	return &flags{byName: map[string]*flagSpec{}}
}

// errHelp ends parsing where --help stands among our flags.
var errHelp = errors.New("help wanted")

// add registers a flag under one or more spellings, each with its dashes.
func (f *flags) add(names string, spec *flagSpec) *flagSpec {
	for _, name := range strings.Fields(names) {
		f.byName[name] = spec
	}
	return spec
}

func (f *flags) boolean(names string, target *bool) {
	f.add(names, &flagSpec{isBool: true, set: func(string) error { *target = true; return nil }})
}

func (f *flags) text(names string, target *string) *flagSpec {
	return f.add(names, &flagSpec{set: func(v string) error { *target = v; return nil }})
}

// size takes bytes within [low, high].
func (f *flags) size(names string, target *uint64, low, high uint64) *flagSpec {
	return f.add(names, &flagSpec{set: func(v string) error {
		n, ok := termtext.ParseBytes(v)
		if !ok || n < low || n > high {
			return usagef("wants bytes from %s to %s, such as 65536 or 512KiB", termtext.ExactBytes(low), termtext.ExactBytes(high))
		}
		*target = n
		return nil
	}})
}

func (f *flags) duration(names string, target *time.Duration, low, high time.Duration) *flagSpec {
	return f.add(names, &flagSpec{set: func(v string) error {
		d, ok := termtext.ParseDuration(v)
		if !ok || d < low || d > high {
			return usagef("wants a time from %s to %s, such as 30s or 10m", termtext.Duration(low), termtext.Duration(high))
		}
		*target = d
		return nil
	}})
}

func (f *flags) count(names string, target *int, low, high int) *flagSpec {
	return f.add(names, &flagSpec{set: func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < low || n > high {
			return usagef("wants a number from %d to %d", low, high)
		}
		*target = n
		return nil
	}})
}

func (f *flags) choice(names string, target *string, allowed ...string) *flagSpec {
	return f.add(names, &flagSpec{set: func(v string) error {
		for _, a := range allowed {
			if v == a {
				*target = v
				return nil
			}
		}
		return usagef("wants one of %s", strings.Join(allowed, ", "))
	}})
}

// parse returns the positional arguments.
func (f *flags) parse(args []string) ([]string, error) {
	var rest []string
	for len(args) > 0 {
		arg := args[0]
		switch {
		case arg == "--":
			return append(rest, args[1:]...), nil
		case arg == "-" || !strings.HasPrefix(arg, "-"):
			if f.program {
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
func (f *flags) parseFlag(args []string) (int, error) {
	name, value, hasValue := strings.Cut(args[0], "=")
	spec := f.byName[name]
	used := 1
	switch {
	case name == "--help" || name == "-h" || name == "-help":
		return 0, errHelp
	case spec == nil:
		return 0, usagef("there is no flag %s%s", termtext.Escape(name), didYouMean(nearest(name, f.names())))
	case spec.isBool && hasValue:
		return 0, usagef("%s takes no value", name)
	case !spec.isBool && !hasValue:
		if len(args) < 2 {
			return 0, usagef("%s wants a value", name)
		}
		value = args[1]
		used = 2
	}
	spec.given = true
	if err := spec.set(value); err != nil {
		return 0, usagef("%s %s, not %s", name, err, termtext.Quote(value))
	}
	return used, nil
}

func (f *flags) names() []string {
	names := []string{"--help"}
	for name := range f.byName {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func didYouMean(near string) string {
	if near == "" {
		return ""
	}
	return " (did you mean " + near + "?)"
}

// parseExactly is parse where as many positional arguments are wanted as named.
func (f *flags) parseExactly(args []string, names ...string) ([]string, error) {
	rest, err := f.parse(args)
	if err != nil {
		return nil, err
	}
	if len(rest) < len(names) {
		return nil, usagef("%s is missing", names[len(rest)])
	}
	if len(rest) > len(names) {
		return nil, usagef("%s is one argument too many", termtext.Quote(rest[len(names)]))
	}
	return rest, nil
}

// parseTarget is for the verbs that look at one process: its ID, its program's name, or "" for the only one there is.
func (f *flags) parseTarget(args []string) (string, error) {
	rest, err := f.parse(args)
	switch {
	case err != nil:
		return "", err
	case len(rest) > 1:
		return "", usagef("%s is one argument too many", termtext.Quote(rest[1]))
	case len(rest) == 0:
		return "", nil
	case rest[0] == "":
		return "", usagef(`"" is neither a process ID nor a program's name`)
	}
	return rest[0], nil
}
