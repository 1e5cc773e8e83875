// Package symbolize finds the names and source lines of addresses in binaries:
// from symbol tables, DWARF and Go's tables.  A file may be damaged or hostile: work and
// memory are bounded, and a panic of the standard library's readers becomes a note.
package symbolize

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"

	"cgoheap.example/cli/internal/termtext"
)

// Line is a source frame; a C function without DWARF has no file.
type Line struct {
	Function, File string
	Line, Start    int64 // start: of the function; 0 unknown
	isGo           bool
}

// IsPlumbing says that it is a frame of cgo's mechanism, as the library decides too.
func (l Line) IsPlumbing() bool {
	switch l.Function {
	case "runtime.cgocall", "runtime.asmcgocall", "runtime.asmcgocall_landingpad",
		"runtime.cgocallback", "runtime.cgocallbackg", "runtime.cgocallbackg1",
		"crosscall2", "runtime.goexit":
		return true
	}
	name := l.Function[strings.LastIndexByte(l.Function, '.')+1:]
	return strings.HasPrefix(name, "_cgoexp_") || strings.HasPrefix(name, "_cgoexpwrap_") ||
		name == "_cgo_cmalloc" ||
		!l.isGo && strings.HasPrefix(name, "_cgo_") && strings.Contains(name, "_Cfunc_")
}

type symbol struct {
	start, size uint64
	name        string
}

// Binary is an executable or library.
type Binary struct {
	elf     *elf.File // nil: it could not be opened
	symbols []symbol  // ascending
	Missing string    // why there are no names
	sources map[uint64][]Line
}

// Open opens the file if it has that build ID; if not, Missing says why.
func Open(path, buildID string) *Binary {
	f := &Binary{}
	if err := f.open(path, buildID); err != nil {
		f.Missing = fmt.Sprintf("%s: %s", termtext.Escape(path), err)
	}
	return f
}

// IsOpen says whether the file could be opened.
func (f *Binary) IsOpen() bool { return f.elf != nil }

func (f *Binary) open(path, buildID string) (err error) {
	// debug/elf expects valid files, and may panic on others.
	defer func() {
		if recover() != nil {
			f.elf, f.symbols, err = nil, nil, errors.New("damaged ELF file")
		}
	}()
	info, err := os.Stat(path)
	if err != nil {
		return errors.New("not there")
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a file")
	}
	e, err := elf.Open(path)
	if err != nil {
		return errors.New("not a readable ELF file")
	}
	id := elfBuildID(e)
	if id != buildID && !(buildID == "" && id == "") {
		return fmt.Errorf("has build ID %s, not %s",
			cmp.Or(id, "none"), cmp.Or(termtext.Escape(buildID), "none"))
	}
	f.elf = e
	f.readSymbols()
	return nil
}

func (f *Binary) readSymbols() {
	static, _ := f.elf.Symbols()
	dynamic, _ := f.elf.DynamicSymbols()
	f.addSymbols(append(static, dynamic...))
}

func (f *Binary) addSymbols(list []elf.Symbol) {
	for _, s := range list {
		kind := elf.ST_TYPE(s.Info)
		isCode := kind == elf.STT_FUNC || kind == 10 /* GNU_IFUNC */
		if isCode && s.Section != elf.SHN_UNDEF && s.Name != "" {
			f.symbols = append(f.symbols, symbol{s.Value, s.Size, s.Name})
		}
	}
	sort.SliceStable(f.symbols, func(i, j int) bool {
		return f.symbols[i].start < f.symbols[j].start
	})
}

// Lines of an address, innermost first; none: it has no name.
func (f *Binary) Lines(address uint64) []Line {
	if lines := f.sources[address]; lines != nil {
		return lines
	}
	if name := f.name(address); name != "" {
		return []Line{{Function: name}}
	}
	return nil
}

// name of the function that holds an address of the file; "" unknown.
func (f *Binary) name(address uint64) string {
	i := sort.Search(len(f.symbols), func(i int) bool { return f.symbols[i].start > address }) - 1
	if i < 0 {
		return ""
	}
	start := f.symbols[i].start
	for ; i >= 0 && f.symbols[i].start == start; i-- {
		if s := f.symbols[i]; s.size == 0 || address-s.start < s.size {
			best := s.name
			// The plainest of aliases: "malloc", not "__libc_malloc".
			for ; i >= 0 && f.symbols[i].start == start; i-- {
				if plainer(f.symbols[i].name, best) {
					best = f.symbols[i].name
				}
			}
			return best
		}
	}
	return ""
}

// nameAt is the function that starts there; "": none does.
func (f *Binary) nameAt(start uint64) string {
	i := sort.Search(len(f.symbols), func(i int) bool { return f.symbols[i].start >= start })
	if i == len(f.symbols) || f.symbols[i].start != start {
		return ""
	}
	return f.name(start)
}

func plainer(a, b string) bool {
	ua, ub := len(a)-len(strings.TrimLeft(a, "_")), len(b)-len(strings.TrimLeft(b, "_"))
	if ua != ub {
		return ua < ub
	}
	return len(a) < len(b)
}
