package recorder

import (
	"fmt"
	"slices"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/recordlayout"
	"cgoheap.example/cli/internal/symbolize"
)

// The profile of a recording.

type profileWriter struct {
	symbols   *Names
	p         *profile.Profile
	locations map[uint64]*profile.Location // nil: left out
	functions map[symbolize.Line]*profile.Function
	mappings  map[*Module]*profile.Mapping
}

var originNames = []string{"malloc", "mmap", "thread_stack"}

// Profile is what the heap profile would have been at the end.
func (b *Recording) Profile(symbols *Names) *profile.Profile {
	period := int64(1)
	last := b.Last()
	if last != nil {
		period = max(int64(last.SampleBytes), int64(last.ConfiguredSampleBytes), 1)
	}
	unit := func(name, unit string) *profile.ValueType {
		return &profile.ValueType{Type: name, Unit: unit}
	}
	w := &profileWriter{symbols: symbols, locations: map[uint64]*profile.Location{},
		functions: map[symbolize.Line]*profile.Function{}, mappings: map[*Module]*profile.Mapping{},
		p: &profile.Profile{Period: period, PeriodType: unit("space", "bytes"),
			DefaultSampleType: "inuse_space",
			SampleType: []*profile.ValueType{
				unit("alloc_objects", "count"), unit("alloc_space", "bytes"),
				unit("inuse_objects", "count"), unit("inuse_space", "bytes")},
			Comments: []string{"from the recording of " + b.Program,
				fmt.Sprintf("process %d, started %s", b.PID,
					b.Start.UTC().Format("2006-01-02T15:04:05.000000000Z"))}}}
	if last != nil {
		w.p.TimeNanos = last.Time.Time().UnixNano()
	}
	for i := range b.Modules {
		w.addMapping(&b.Modules[i])
	}
	for i := range b.stacks {
		w.addStack(&b.stacks[i])
	}
	w.setFlags()
	w.p.Comments = slices.Concat(w.p.Comments, b.intervals(), symbols.Missing(), b.Notes)
	return w.p
}

// intervals is the comment by which the library says that its interval changed; as far as the
// seconds go back.
func (b *Recording) intervals() []string {
	var finest, coarsest uint64
	for _, s := range b.Seconds {
		if n := uint64(s.SampleBytes); n > 0 {
			coarsest = max(coarsest, n)
			if finest == 0 || n < finest {
				finest = n
			}
		}
	}
	if finest == coarsest {
		return nil
	}
	return []string{fmt.Sprintf("intervals so far: %d to %d bytes", finest, coarsest)}
}

func (w *profileWriter) addMapping(m *Module) {
	mapping := &profile.Mapping{ID: uint64(len(w.p.Mapping) + 1), Start: m.start, Limit: m.end,
		Offset: m.fileOffset, File: m.Path, BuildID: m.buildID, HasFunctions: true,
		HasFilenames: true, HasLineNumbers: true, HasInlineFrames: true}
	w.p.Mapping = append(w.p.Mapping, mapping)
	w.mappings[m] = mapping
}

// setFlags: a mapping has what all of its locations have; without locations it has nothing.
// Only Go's tables and DWARF have files and inlined calls.
func (w *profileWriter) setFlags() {
	used := map[*profile.Mapping]bool{}
	for _, l := range w.p.Location {
		m := l.Mapping
		if m == nil {
			continue
		}
		used[m] = true
		if len(l.Line) == 0 {
			m.HasFilenames, m.HasLineNumbers, m.HasInlineFrames = false, false, false
		}
		for _, line := range l.Line {
			if line.Function.Filename == "" {
				m.HasFilenames, m.HasInlineFrames = false, false
			}
			m.HasLineNumbers = m.HasLineNumbers && line.Line != 0
		}
	}
	for _, m := range w.p.Mapping {
		if !used[m] {
			m.HasFilenames, m.HasLineNumbers, m.HasInlineFrames = false, false, false
		}
	}
}

func (w *profileWriter) addStack(s *stackRecord) {
	var locations []*profile.Location
	for _, pc := range s.frames {
		if l := w.location(pc); l != nil {
			locations = append(locations, l)
		}
	}
	for _, site := range s.sites {
		origin := "unknown"
		if int(site.origin) < len(originNames) {
			origin = originNames[site.origin]
		}
		sample := &profile.Sample{Location: locations,
			Label: map[string][]string{"origin": {origin}},
			Value: []int64{site.allocObjects, site.allocBytes, site.inUseObjects, site.inUseBytes}}
		s.addLabels(sample)
		if !site.mixed {
			sample.NumLabel = map[string][]int64{"bytes": {int64(min(site.size, mostBytes))}}
		}
		w.p.Sample = append(w.p.Sample, sample)
	}
}

func (w *profileWriter) location(pc uint64) *profile.Location {
	if l, ok := w.locations[pc]; ok {
		return l
	}
	m := w.symbols.module(pc - 1)
	lines := w.symbols.lines(pc - 1)
	kept := lines[:0:0]
	for _, l := range lines {
		if !l.IsPlumbing() {
			kept = append(kept, l)
		}
	}
	if len(lines) > 0 && len(kept) == 0 || m != nil && m.flags&recordlayout.ModuleShim != 0 {
		w.locations[pc] = nil
		return nil
	}
	l := &profile.Location{ID: uint64(len(w.p.Location) + 1), Address: pc - 1,
		Mapping: w.mappings[m]}
	for _, line := range kept {
		l.Line = append(l.Line, profile.Line{Function: w.function(line), Line: line.Line})
	}
	w.p.Location = append(w.p.Location, l)
	w.locations[pc] = l
	return l
}

func (w *profileWriter) function(l symbolize.Line) *profile.Function {
	l.Line = 0
	f := w.functions[l]
	if f == nil {
		f = &profile.Function{ID: uint64(len(w.p.Function) + 1), Name: l.Function,
			SystemName: l.Function, Filename: l.File, StartLine: l.Start}
		w.functions[l] = f
		w.p.Function = append(w.p.Function, f)
	}
	return f
}
