package symbolize

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Source frames of a file's C code: places from DWARF, linker names from the symbol table.

// ReadSources reads the frames of these addresses; the notes say what could not be read.
func (f *Binary) ReadSources(path string, addresses []uint64) (notes []string) {
	defer func() {
		if r := recover(); r != nil {
			panicSeen()
			notes = append(notes, fmt.Sprintf("%s: damaged: %v", path, r))
		}
	}()
	debug := findDebugFile(f.elf, path)
	defer debug.close()
	if debug.elf == nil {
		if debug.note != "" {
			notes = append(notes, debug.note)
		}
		return notes
	}
	if debug.elf != f.elf {
		f.addDebugSymbols(&debug)
	}
	d, err := readDwarf(debug.elf, debug.path)
	if err != nil {
		return append(notes, debug.path+": "+err.Error())
	}
	slices.Sort(addresses)
	f.sources = map[uint64][]Line{}
	for address, frames := range d.resolve(slices.Compact(addresses)) {
		f.sources[address] = f.sourceLines(address, frames)
	}
	if d.failed != nil {
		notes = append(notes, debug.path+": "+d.failed.Error())
	}
	return notes
}

// addDebugSymbols: the symbols of a stripped binary are in its debug file.
func (f *Binary) addDebugSymbols(debug *debugFile) {
	defer func() { _ = recover() }() // then there are just fewer symbols
	if list, err := debug.elf.Symbols(); err == nil {
		f.addSymbols(list)
	}
}

// sourceLines is nil if a frame has no name.
func (f *Binary) sourceLines(address uint64, frames []dwarfFrame) (lines []Line) {
	for i := range frames {
		s := &frames[i]
		name := cmp.Or(s.linkage, s.name)
		if s.entry != 0 && !isMangled(s.linkage) {
			// As the live profile has it: the compiler made "f.constprop.0" of "f", and "malloc" is
			// "__GI___libc_malloc" to libc itself.
			name = cmp.Or(f.nameAt(s.entry), name)
		}
		if name == "" && i == len(frames)-1 {
			name = f.name(address)
		}
		if name == "" {
			return nil
		}
		lines = append(lines, Line{Function: name, File: s.file, Line: s.line, Start: s.start})
	}
	return lines
}

// isMangled: a C++ or Rust name.
func isMangled(name string) bool {
	return strings.HasPrefix(name, "_Z") || strings.HasPrefix(name, "_R")
}
