package main

import (
	"testing"

	"github.com/google/pprof/profile"
)

// A mapping has what all of its locations have.
func TestBoxMappingFlags(t *testing.T) {
	known := boxLine{function: "f", file: "f.c", line: 3}
	for name, c := range map[string]struct {
		locations               [][]boxLine
		files, lines, inlinings bool
	}{
		"no location":       {nil, false, false, false},
		"all are known":     {[][]boxLine{{known}, {known, known}}, true, true, true},
		"one has no file":   {[][]boxLine{{known}, {{function: "g"}}}, false, false, false},
		"one has no line":   {[][]boxLine{{known}, {{function: "g", file: "g.c"}}}, true, false, true},
		"one is an address": {[][]boxLine{{known}, nil}, false, false, false},
	} {
		w := &boxProfile{p: &profile.Profile{}, functions: map[boxLine]*profile.Function{},
			mappings: map[*boxModule]*profile.Mapping{}}
		w.addMapping(&boxModule{})
		m := w.p.Mapping[0]
		for _, lines := range c.locations {
			l := &profile.Location{Mapping: m}
			for _, line := range lines {
				l.Line = append(l.Line, profile.Line{Function: w.function(line), Line: line.line})
			}
			w.p.Location = append(w.p.Location, l)
		}
		w.setFlags()
		if !m.HasFunctions || m.HasFilenames != c.files || m.HasLineNumbers != c.lines || m.HasInlineFrames != c.inlinings {
			t.Errorf("%s: %+v", name, m)
		}
	}
}
