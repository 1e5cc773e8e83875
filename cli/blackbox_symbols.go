package main

import (
	"path/filepath"
	"sort"
	"strings"

	"cgoheap/cli/internal/symbolize"
)

// Names of a recorded process's addresses, from the files that it had mapped:
// the same file when its build ID is the recorded one.

type boxSymbols struct {
	box   *blackbox
	files map[string]*symbolize.Binary // by path and build ID
	gos   *symbolize.GoTables          // nil: no Go tables
	// The program's file where it is not at its path any more; "" it may be.
	binary string
}

func newBoxSymbols(b *blackbox, binary string) *boxSymbols {
	s := &boxSymbols{box: b, files: map[string]*symbolize.Binary{}, binary: binary}
	for i := range b.modules {
		m := &b.modules[i]
		f := s.file(m)
		// The program, or the first library that has Go in it.
		if b.goText >= m.start && b.goText < m.end && s.gos == nil && f.IsOpen() && b.goEnd > b.goText {
			s.gos = f.ReadGoTables(b.goText, b.goIs120, b.goTables, m.loadBias)
		}
	}
	s.readSources()
	return s
}

// readSources of all frames, file by file: DWARF is large, and of one at a time.
func (s *boxSymbols) readSources() {
	asked, paths := map[*symbolize.Binary][]uint64{}, map[*symbolize.Binary]string{}
	var order []*symbolize.Binary
	for i := range s.box.stacks {
		for _, pc := range s.box.stacks[i].frames {
			f, address, m := s.place(pc - 1)
			if f == nil || s.goLines(pc-1) != nil {
				continue
			}
			if asked[f] == nil {
				order = append(order, f)
			}
			asked[f], paths[f] = append(asked[f], address), m.path
		}
	}
	for _, f := range order {
		for _, why := range f.ReadSources(paths[f], asked[f]) {
			s.box.note("no lines of C code from %s", why)
		}
	}
}

// place of an address in its file; nil: there is no file.
func (s *boxSymbols) place(pc uint64) (*symbolize.Binary, uint64, *boxModule) {
	m := s.module(pc)
	if m == nil || m.flags&boxModuleHasELF == 0 {
		return nil, 0, nil
	}
	f := s.file(m)
	if !f.IsOpen() {
		return nil, 0, nil
	}
	return f, pc - m.loadBias, m
}

// binaryProblem is why the program's file cannot be read; "" it can.
func (s *boxSymbols) binaryProblem() string {
	for i := range s.box.modules {
		if m := &s.box.modules[i]; m.flags&boxModuleMain != 0 && s.file(m).Missing != "" {
			return s.file(m).Missing
		}
	}
	return ""
}

// nameless are the base names of those files.
func (s *boxSymbols) nameless() (names []string) {
	for i := range s.box.modules {
		m := &s.box.modules[i]
		if s.file(m).Missing != "" {
			names = append(names, filepath.Base(m.path))
		}
	}
	return names
}

// missing lists the files without which there are addresses only.
func (s *boxSymbols) missing() (list []string) {
	for _, f := range s.files {
		if f.Missing != "" {
			list = append(list, f.Missing)
		}
	}
	sort.Strings(list)
	return list
}

func (s *boxSymbols) file(m *boxModule) *symbolize.Binary {
	key := m.path + "\x00" + m.buildID
	f := s.files[key]
	if f == nil {
		f = &symbolize.Binary{}
		if strings.HasPrefix(m.path, "/") && m.flags&boxModuleShim == 0 {
			path := m.path
			if m.flags&boxModuleMain != 0 && s.binary != "" {
				path = s.binary
			}
			f = symbolize.Open(path, m.buildID)
		}
		s.files[key] = f
	}
	return f
}

func (s *boxSymbols) module(pc uint64) *boxModule {
	// The newest of those that were ever there.
	for i := len(s.box.modules) - 1; i >= 0; i-- {
		if m := &s.box.modules[i]; pc >= m.start && pc < m.end {
			return m
		}
	}
	return nil
}

// lines of one call, innermost first; none: no name is known.
func (s *boxSymbols) lines(pc uint64) []symbolize.Line {
	if lines := s.goLines(pc); lines != nil {
		return lines
	}
	f, address, _ := s.place(pc)
	if f == nil {
		return nil
	}
	return f.Lines(address)
}

func (s *boxSymbols) goLines(pc uint64) []symbolize.Line {
	if s.gos != nil && pc >= s.box.goText && pc < s.box.goEnd {
		return s.gos.Lines(pc)
	}
	return nil
}
