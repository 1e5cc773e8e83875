package recorder

import (
	"testing"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/symbolize"
)

// A mapping has what all of its locations have.
func TestBoxMappingFlags(t *testing.T) {
	known := symbolize.Line{Function: "f", File: "f.c", Line: 3}
	noFile, noLine := symbolize.Line{Function: "g"}, symbolize.Line{Function: "g", File: "g.c"}
	for name, c := range map[string]struct {
		locations               [][]symbolize.Line
		files, lines, inlinings bool
	}{
		"no location":       {nil, false, false, false},
		"all are known":     {[][]symbolize.Line{{known}, {known, known}}, true, true, true},
		"one has no file":   {[][]symbolize.Line{{known}, {noFile}}, false, false, false},
		"one has no line":   {[][]symbolize.Line{{known}, {noLine}}, true, false, true},
		"one is an address": {[][]symbolize.Line{{known}, nil}, false, false, false},
	} {
		w := &profileWriter{p: &profile.Profile{},
			functions: map[symbolize.Line]*profile.Function{},
			mappings:  map[*Module]*profile.Mapping{}}
		w.addMapping(&Module{})
		m := w.p.Mapping[0]
		for _, lines := range c.locations {
			l := &profile.Location{Mapping: m}
			for _, line := range lines {
				l.Line = append(l.Line, profile.Line{Function: w.function(line), Line: line.Line})
			}
			w.p.Location = append(w.p.Location, l)
		}
		w.setFlags()
		if !m.HasFunctions || m.HasFilenames != c.files ||
			m.HasLineNumbers != c.lines || m.HasInlineFrames != c.inlinings {
			t.Errorf("%s: %+v", name, m)
		}
	}
}
