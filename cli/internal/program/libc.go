package program

import (
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"cgoheap.example/cli/internal/attach"
)

// Libc is the C library of a program: what it is, and what a library that is loaded with it finds.
type Libc struct {
	name    string
	symbols map[string]bool // NAME@VERSION of each function, NAME where it has no versions
	// The file of that name is where this loader looks for it.
	hasFile func(name string) bool
}

// String is its name, such as "glibc 2.31".
func (l *Libc) String() string { return l.name }

// glibcMinor is N of GLIBC_2.N; -1: another name.
func glibcMinor(symbolVersion string) int {
	rest, ok := strings.CutPrefix(symbolVersion, "GLIBC_2.")
	if !ok {
		return -1
	}
	minor, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(minor)
	if err != nil {
		return -1
	}
	return n
}

// readLibc reads libc.so.6; nil: it is no libc that can be read.
func readLibc(file io.ReaderAt, hasFile func(name string) bool) *Libc {
	e, err := elf.NewFile(file)
	if err != nil {
		return nil
	}
	symbols, err := e.DynamicSymbols()
	if err != nil {
		return nil
	}
	l := &Libc{symbols: map[string]bool{}, hasFile: hasFile}
	newest := -1
	for _, s := range symbols {
		if s.Section == elf.SHN_UNDEF {
			continue
		}
		l.symbols[symbolName(s)] = true
		newest = max(newest, glibcMinor(s.Version))
	}
	if newest < 0 {
		return nil
	}
	l.name = fmt.Sprintf("glibc 2.%d", newest)
	return l
}

func symbolName(s elf.Symbol) string {
	if s.Version == "" {
		return s.Name
	}
	return s.Name + "@" + s.Version
}

// lacks is what a library asks for and the loader would not find: the service would not start.
func (l *Libc) lacks(library string) ([]string, error) {
	e, err := elf.Open(library)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	var missing []string
	files, _ := e.ImportedLibraries()
	for _, name := range files {
		if !l.hasFile(name) {
			missing = append(missing, name)
		}
	}
	symbols, _ := e.DynamicSymbols()
	for _, s := range symbols {
		isAsked := s.Section == elf.SHN_UNDEF && elf.ST_BIND(s.Info) == elf.STB_GLOBAL
		// Those of other libraries are not looked at.
		if isAsked && (s.Library == "" || s.Library == libcFile) && !l.symbols[symbolName(s)] {
			missing = append(missing, symbolName(s))
		}
	}
	return missing, nil
}

const libcFile = "libc.so.6"

// SystemLibc finds the glibc that belongs to a program's loader; nil: it is not found.
func SystemLibc(loader string) *Libc {
	if real, err := filepath.EvalSymlinks(loader); err == nil {
		loader = real
	}
	dirs := []string{
		filepath.Dir(loader), "/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/usr/lib",
	}
	has := func(name string) bool {
		for _, dir := range dirs {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				return true
			}
		}
		return false
	}
	for _, dir := range dirs {
		file, err := os.Open(filepath.Join(dir, libcFile))
		if err != nil {
			continue
		}
		l := readLibc(file, has)
		file.Close()
		if l != nil {
			return l
		}
	}
	return nil
}

// ProcessLibc is the glibc that a process has mapped; nil: none.
func ProcessLibc(p *attach.Process) *Libc {
	files, _ := p.MappedFiles()
	for _, f := range files {
		base := filepath.Base(f)
		if base != libcFile && !strings.HasPrefix(base, "libc-2.") {
			continue
		}
		file, err := p.OpenFile(f)
		if err != nil {
			return nil
		}
		defer file.Close()
		return readLibc(file, func(name string) bool { return hasBeside(p, f, name) })
	}
	return nil
}

// hasBeside: in the folder of this library, or mapped from another.
func hasBeside(p *attach.Process, library, name string) bool {
	file, err := p.OpenFile(filepath.Join(filepath.Dir(library), name))
	if err == nil {
		file.Close()
		return true
	}
	files, _ := p.MappedFiles()
	for _, f := range files {
		if filepath.Base(f) == name {
			return true
		}
	}
	return false
}
