package e2e

import (
	"debug/elf"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// symbols is an executable's own table of C functions: the oracle for names.
type symbols struct {
	file     string
	list     []elf.Symbol // functions, by address
	textOff  uint64
	textAddr uint64
}

func readSymbols(t testing.TB, path string) *symbols {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := &symbols{file: filepath.Base(path)}
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 {
			s.textOff, s.textAddr = p.Off&^4095, p.Vaddr&^4095
			break
		}
	}
	all, _ := f.Symbols()
	for _, symbol := range all {
		if elf.ST_TYPE(symbol.Info) == elf.STT_FUNC && symbol.Value != 0 {
			s.list = append(s.list, symbol)
		}
	}
	sort.Slice(s.list, func(i, j int) bool { return s.list[i].Value < s.list[j].Value })
	return s
}

// at is the names of the function that holds the address in a process where m
// maps the executable's text; nil outside of it.
func (s *symbols) at(m *profile.Mapping, address uint64) (names []string) {
	if m == nil || filepath.Base(m.File) != s.file {
		return nil
	}
	value := address - m.Start + m.Offset - s.textOff + s.textAddr
	for _, symbol := range s.list {
		if symbol.Value <= value && value < symbol.Value+symbol.Size {
			names = append(names, symbol.Name)
		}
	}
	return names
}

// sourceLine is the line of a test program's source that has the text.
func sourceLine(t testing.TB, file, text string) int {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(repositoryRoot(), "tests", "programs", file))
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(source), text)
	if !found {
		t.Fatalf("%s has no %q", file, text)
	}
	return strings.Count(before, "\n") + 1
}
