package recorder

import (
	"path/filepath"
	"sort"
	"strings"

	"cgoheap.example/cli/internal/recordlayout"
	"cgoheap.example/cli/internal/symbolize"
)

// Names of a recorded process's addresses, from the files that it had mapped.  A file counts
// only if it has the recorded build ID.

// Names answers what is at an address of the recorded process.
type Names struct {
	recording *Recording
	files     map[string]*symbolize.Binary // by path and build ID
	gos       *symbolize.GoTables          // nil: no Go tables
	// The program's file, if it is no longer at its path; else "".
	binary string
}

// FindNames opens the files that the process had mapped.  binary is the program's file, if it
// is no longer at its path, else "".
func FindNames(b *Recording, binary string) *Names {
	s := &Names{recording: b, files: map[string]*symbolize.Binary{}, binary: binary}
	for i := range b.Modules {
		m := &b.Modules[i]
		f := s.file(m)
		// The program, or the first library that has Go in it.
		hasGo := b.goText >= m.start && b.goText < m.end && b.goEnd > b.goText
		if hasGo && s.gos == nil && f.IsOpen() {
			s.gos = f.ReadGoTables(b.goText, b.goIs120, b.goTables, m.loadBias)
		}
	}
	s.readSources()
	return s
}

// readSources of all frames, file by file, so that only one file's DWARF is in memory.
func (s *Names) readSources() {
	asked, paths := map[*symbolize.Binary][]uint64{}, map[*symbolize.Binary]string{}
	var order []*symbolize.Binary
	for i := range s.recording.stacks {
		for _, pc := range s.recording.stacks[i].frames {
			f, address, m := s.place(pc - 1)
			if f == nil || s.goLines(pc-1) != nil {
				continue
			}
			if asked[f] == nil {
				order = append(order, f)
			}
			asked[f], paths[f] = append(asked[f], address), m.Path
		}
	}
	for _, f := range order {
		for _, why := range f.ReadSources(paths[f], asked[f]) {
			s.recording.note("no lines of C code from %s", why)
		}
	}
}

// place of an address in its file; nil: no file can be read.
func (s *Names) place(pc uint64) (*symbolize.Binary, uint64, *Module) {
	m := s.module(pc)
	if m == nil || m.flags&recordlayout.ModuleHasELF == 0 {
		return nil, 0, nil
	}
	f := s.file(m)
	if !f.IsOpen() {
		return nil, 0, nil
	}
	return f, pc - m.loadBias, m
}

// BinaryProblem is why the program's file cannot be read; "": it can.
func (s *Names) BinaryProblem() string {
	for i := range s.recording.Modules {
		m := &s.recording.Modules[i]
		if m.flags&recordlayout.ModuleMain != 0 && s.file(m).Missing != "" {
			return s.file(m).Missing
		}
	}
	return ""
}

// Nameless are the base names of those files.
func (s *Names) Nameless() (names []string) {
	for i := range s.recording.Modules {
		m := &s.recording.Modules[i]
		if s.file(m).Missing != "" {
			names = append(names, filepath.Base(m.Path))
		}
	}
	return names
}

// Missing lists the files that could not be read, and why: their functions have no names.
func (s *Names) Missing() (list []string) {
	for _, f := range s.files {
		if f.Missing != "" {
			list = append(list, f.Missing)
		}
	}
	sort.Strings(list)
	return list
}

func (s *Names) file(m *Module) *symbolize.Binary {
	key := m.Path + "\x00" + m.buildID
	f := s.files[key]
	if f == nil {
		f = &symbolize.Binary{}
		if strings.HasPrefix(m.Path, "/") && m.flags&recordlayout.ModuleShim == 0 {
			path := m.Path
			if m.flags&recordlayout.ModuleMain != 0 && s.binary != "" {
				path = s.binary
			}
			f = symbolize.Open(path, m.buildID)
		}
		s.files[key] = f
	}
	return f
}

func (s *Names) module(pc uint64) *Module {
	// The newest module that was mapped there.
	for i := len(s.recording.Modules) - 1; i >= 0; i-- {
		if m := &s.recording.Modules[i]; pc >= m.start && pc < m.end {
			return m
		}
	}
	return nil
}

// lines of one call, innermost first; none: it has no name.
func (s *Names) lines(pc uint64) []symbolize.Line {
	if lines := s.goLines(pc); lines != nil {
		return lines
	}
	f, address, _ := s.place(pc)
	if f == nil {
		return nil
	}
	return f.Lines(address)
}

func (s *Names) goLines(pc uint64) []symbolize.Line {
	if s.gos != nil && pc >= s.recording.goText && pc < s.recording.goEnd {
		return s.gos.Lines(pc)
	}
	return nil
}
