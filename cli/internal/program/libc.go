package program

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/binread"
)

// Libc is the C library of a program: what it is, and what a library that is loaded with it finds.
type Libc struct {
	kind    libcKind
	name    string
	machine elf.Machine
	symbols map[string]bool // NAME@VERSION of each function, NAME where it has no versions
	// The file of that name is where this loader looks for it.
	hasFile func(name string) bool
}

// libcKind is told by what the file has in it, whatever its name.
type libcKind int

const (
	unknownLibc libcKind = iota
	glibc
	musl
	uClibc
)

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

// startMain is what every libc has, and no other library.
const startMain = "__libc_start_main"

// readLibc reads a C library; nil: it is none that can be read.
func readLibc(file io.ReaderAt, hasFile func(name string) bool) *Libc {
	e, err := elf.NewFile(binread.Bounded(file, mostSymbolBytes))
	if err != nil {
		return nil
	}
	symbols, err := e.DynamicSymbols()
	if err != nil {
		return nil
	}
	l := &Libc{machine: e.Machine, symbols: map[string]bool{}, hasFile: hasFile}
	newest, defined := -1, map[string]bool{}
	for _, s := range symbols {
		if s.Section == elf.SHN_UNDEF {
			continue
		}
		l.symbols[symbolName(s)] = true
		defined[s.Name] = true
		newest = max(newest, glibcMinor(s.Version))
	}
	switch {
	case !defined[startMain] && !defined[uClibcMain]:
		return nil
	case newest >= 0:
		l.kind, l.name = glibc, glibcName(e, newest)
	case defined[uClibcMain]:
		l.kind, l.name = uClibc, "uClibc"
	default:
		l.name = "a C library that cgoheap does not know"
		if text := constants(e); bytes.Contains(text, muslName) {
			l.kind, l.name = musl, strings.TrimSpace("musl "+firstMatch(muslRelease, text))
			l.hasFile = isPartOfMusl
		}
	}
	return l
}

const uClibcMain = "__uClibc_main"

// Both introduce themselves. musl's loader, which is its libc, has its version as a text beside
// that.
var (
	glibcRelease = regexp.MustCompile(`GNU C Library [^\x00]*release version ([0-9]+\.[0-9]+)`)
	muslName     = []byte("musl libc (")
	muslRelease  = regexp.MustCompile(`\x00([0-9]+\.[0-9]+\.[0-9]+)\x00`)
)

// glibcName goes by what the file says: not every release has symbols of its version (2.31 has
// none newer than GLIBC_2.30).
func glibcName(e *elf.File, newestMinor int) string {
	if release := firstMatch(glibcRelease, constants(e)); release != "" {
		return "glibc " + release
	}
	return fmt.Sprintf("glibc 2.%d or later", newestMinor)
}

// mostConstants is far more than a libc has of them.
const mostConstants = 16 << 20

func constants(e *elf.File) []byte {
	section := e.Section(".rodata")
	if section == nil {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(section.Open(), mostConstants))
	return text
}

// firstMatch is the first group of it; empty: there is none.
func firstMatch(pattern *regexp.Regexp, text []byte) string {
	if found := pattern.FindSubmatch(text); found != nil {
		return string(found[1])
	}
	return ""
}

// isPartOfMusl: its loader answers these names itself (ldso/dynlink.c, load_library).
func isPartOfMusl(name string) bool {
	part, _, _ := strings.Cut(strings.TrimPrefix(name, "lib"), ".")
	return slices.Contains([]string{"c", "pthread", "rt", "m", "dl", "util", "xnet"}, part)
}

// isBefore compares the version; false where it is not known.
func (l *Libc) isBefore(version string) bool {
	_, own, ok := strings.Cut(l.name, " ")
	return ok && slices.Compare(numbers(own), numbers(version)) < 0
}

func numbers(version string) (all []int) {
	for _, part := range strings.Split(version, ".") {
		n, _ := strconv.Atoi(part)
		all = append(all, n)
	}
	return all
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
		name := symbolName(s)
		if l.kind == musl { // which has no versions, and looks at none
			name = s.Name
		}
		if isAsked && (s.Library == "" || s.Library == libcFile) && !l.symbols[name] {
			missing = append(missing, name)
		}
	}
	return missing, nil
}

const libcFile = "libc.so.6"

// Libc is the C library that the program's loader finds; nil: it is not known which.
func (f *Facts) Libc() *Libc {
	if f.Loader == "" || f.libc != nil {
		return f.libc
	}
	if f.process != nil {
		f.libc = processLibc(f.process)
	} else {
		f.libc = f.findLibc()
	}
	return f.libc
}

// findLibc looks where the loader does.
func (f *Facts) findLibc() *Libc {
	loader, err := filepath.EvalSymlinks(f.Loader)
	if err != nil {
		return nil // a program of another system
	}
	dirs := append([]string{filepath.Dir(loader)}, usualDirs(f.machine)...)
	has := func(name string) bool {
		return slices.ContainsFunc(dirs, func(dir string) bool {
			_, err := os.Stat(filepath.Join(dir, name))
			return err == nil
		})
	}
	paths := []string{loader} // musl's is its libc
	for _, dir := range dirs {
		for _, name := range append(f.libcNames(), libcFile) {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	for _, path := range paths {
		if l := openLibc(os.Open, path, has); l != nil && l.machine == f.machine {
			return l
		}
	}
	return nil
}

// libcNames are the names under which the program asks for a libc.
func (f *Facts) libcNames() []string {
	return slices.DeleteFunc(slices.Clone(f.needed), func(name string) bool {
		return !strings.HasPrefix(name, "libc.")
	})
}

// usualDirs are where distributions keep the libraries of a machine.
func usualDirs(machine elf.Machine) []string {
	triple := "x86_64-linux-gnu"
	if machine == elf.EM_AARCH64 {
		triple = "aarch64-linux-gnu"
	}
	return []string{"/lib/" + triple, "/usr/lib/" + triple,
		"/lib64", "/usr/lib64", "/usr/local/lib", "/usr/lib", "/lib"}
}

func openLibc(open opener, path string, has func(name string) bool) *Libc {
	file, err := open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	return readLibc(file, has)
}

// processLibc is the one that a process has mapped; nil: none.
func processLibc(p *attach.Process) *Libc {
	files, _ := p.MappedFiles()
	// Names only say where to look first.
	slices.SortStableFunc(files, func(a, b string) int { return likelihood(b) - likelihood(a) })
	for _, f := range files {
		has := func(name string) bool { return hasBeside(p, f, name) }
		if l := openLibc(p.OpenMapped, f, has); l != nil {
			return l
		}
	}
	return nil
}

// likelihood is higher for libc.so.6, libc-2.17.so, ld-musl-x86_64.so.1.
func likelihood(path string) int {
	name := filepath.Base(path)
	switch {
	case strings.HasPrefix(name, "libc.") || strings.HasPrefix(name, "libc-"):
		return 2
	case strings.HasPrefix(name, "ld"):
		return 1
	}
	return 0
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
