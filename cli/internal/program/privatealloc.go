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
	"strings"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/binread"
	"cgoheap.example/cli/internal/termtext"
)

// Private allocators, in the program or in one of its libraries.  They have prefixed names, map
// their memory themselves, and do not call malloc.

type privateAllocator struct {
	kind   string // jemalloc, mimalloc, ...
	prefix string // of its functions; "" where it is not known
	file   string // of the library; "" the program
}

// privateNames are the functions that identify an allocator, whatever its prefix.  jemalloc is
// built with --with-jemalloc-prefix, or renamed as Rust (_rjem_) and DuckDB (duckdb_je_) do.
var privateNames = []struct {
	kind    string
	pattern *regexp.Regexp
}{
	// With mallocx or mallctl beside it.
	{"jemalloc", regexp.MustCompile(`^(\w*?)(?:malloc|mallctl)$`)},
	{"mimalloc", regexp.MustCompile(`^(\w*mi_)malloc$`)},
	{"tcmalloc", regexp.MustCompile(`^(\w*tc_)malloc$`)},
	{"rpmalloc", regexp.MustCompile(`^(\w*rp)malloc$`)},
	{"snmalloc", regexp.MustCompile(`^(\w*sn_)malloc$`)},
	{"tbbmalloc", regexp.MustCompile(`^(\w*scalable_)malloc$`)},
	{"dlmalloc", regexp.MustCompile(`^(\w*dl)malloc$`)},
	{"PartitionAlloc", regexp.MustCompile(`^(_ZNK?)(?:\d+base\d+)?` +
		`(?:15partition_alloc|14PartitionAlloc|13PartitionRoot)`)},
}

// A stripped file still has their messages.  Spelled in two parts, as crossingName is.
var privateTexts = []struct {
	kind string
	text []byte
}{
	{"jemalloc", []byte(strings.Join([]string{"<jema", "lloc>: "}, ""))},
	{"mimalloc", []byte(strings.Join([]string{"mima", "lloc: warning: "}, ""))},
}

// findPrivate takes the names of defined functions.
func findPrivate(names map[string]bool, file string) []privateAllocator {
	found := map[privateAllocator]bool{}
	for name := range names {
		if strings.HasPrefix(name, "_cgo") { // cgo's wrapper of it (_cgo_HASH_Cfunc_je_malloc)
			continue
		}
		for _, p := range privateNames {
			m := p.pattern.FindStringSubmatch(name)
			if m == nil || p.kind == "jemalloc" && !isJemalloc(names, m[1]) {
				continue
			}
			a := privateAllocator{kind: p.kind, prefix: m[1], file: file}
			if p.kind == "PartitionAlloc" {
				a.prefix = ""
			}
			found[a] = true
			break
		}
	}
	all := make([]privateAllocator, 0, len(found))
	for a := range found {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b privateAllocator) int {
		return strings.Compare(a.String(), b.String())
	})
	return all
}

// isJemalloc: without a prefix it is malloc itself, which another check reports.
func isJemalloc(names map[string]bool, prefix string) bool {
	named := strings.HasSuffix(prefix, "je_") || strings.HasPrefix(prefix, "_rjem_")
	return prefix != "" && (names[prefix+"mallocx"] || names[prefix+"mallctl"] ||
		named && names[prefix+"malloc"])
}

func (a privateAllocator) String() string {
	text := a.kind
	if a.prefix != "" {
		text += " as " + a.prefix + "malloc"
	}
	if a.file != "" {
		text += " in " + a.file
	}
	return termtext.Escape(text)
}

// mostSymbolBytes are read of a file's tables: far more than those of the largest programs have.
const mostSymbolBytes = 512 << 20

// opener opens a file: os.Open, or in a process's root, which may not lead us out of it.
type opener func(name string) (*os.File, error)

// elf opens an ELF file; close it by the second.
func (open opener) elf(name string) (*elf.File, io.Closer, error) {
	file, err := open(name)
	if err != nil {
		return nil, nil, err
	}
	e, err := elf.NewFile(binread.Bounded(file, mostSymbolBytes))
	if err != nil {
		file.Close()
	}
	return e, file, err
}

// readLibrary adds the allocators inside one library.
func (f *Facts) readLibrary(open opener, path string) {
	e, file, err := open.elf(path)
	if err != nil {
		return
	}
	defer file.Close()
	names := definedFunctions(e)
	hasStatistics := names["mallctl"] || names["mi_process_info"] ||
		names["MallocExtension_GetNumericProperty"]
	if names["malloc"] && hasStatistics {
		return // it answers malloc, and has statistics: no private one
	}
	dynamic, _ := e.DynamicSymbols()
	if f.answers == "" && definesDynamic(dynamic, "malloc") && !isLibc(path) {
		f.answers = filepath.Base(path)
	}
	f.private = append(f.private, findPrivate(names, filepath.Base(path))...)
}

// isOtherLibrary: a shared library, and not cgoheap's.
func isOtherLibrary(file string) bool {
	return strings.Contains(filepath.Base(file), ".so") && !attach.IsLibrary(file)
}

// isLibc also covers the loader, whose malloc only the loader uses.
func isLibc(path string) bool {
	name := filepath.Base(path)
	return strings.HasPrefix(name, "libc.so") || strings.HasPrefix(name, "libc-2.") ||
		strings.HasPrefix(name, "ld-")
}

func definesDynamic(symbols []elf.Symbol, name string) bool {
	return slices.ContainsFunc(symbols, func(s elf.Symbol) bool {
		return s.Name == name && s.Section != elf.SHN_UNDEF
	})
}

func definedFunctions(e *elf.File) map[string]bool {
	static, _ := e.Symbols()
	dynamic, _ := e.DynamicSymbols()
	names := map[string]bool{}
	for _, s := range slices.Concat(static, dynamic) {
		if s.Section != elf.SHN_UNDEF && elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			names[s.Name] = true
		}
	}
	return names
}

// readNeeded adds those of the libraries that the program needs, as found in the usual directories.
func (f *Facts) readNeeded(e *elf.File) {
	f.needed, _ = e.ImportedLibraries()
	dirs := runPaths(e, filepath.Dir(f.Path))
	dirs = append(dirs, filepath.SplitList(f.libraryPath())...)
	dirs = append(dirs, usualDirs(e.Machine)...)
	for _, name := range f.needed {
		if isLibc(name) {
			continue
		}
		for _, dir := range dirs {
			path := filepath.Join(dir, name)
			if file, err := f.open(path); err == nil {
				file.Close()
				f.readLibrary(f.open, path)
				break
			}
		}
	}
}

// ReadMapped replaces the libraries that the program needs by those that a process has mapped.
func (f *Facts) ReadMapped(p *attach.Process) {
	files, err := p.MappedFiles()
	if err != nil {
		return
	}
	answers := f.answers // a library that was opened later answers only its own malloc calls
	defer func() { f.answers = answers }()
	f.private = slices.DeleteFunc(f.private, func(a privateAllocator) bool { return a.file != "" })
	for _, file := range files {
		if isOtherLibrary(file) && !p.IsLibrary(file) && file != f.Path {
			f.readLibrary(p.OpenMapped, file)
		}
	}
}

// libraryPath is LD_LIBRARY_PATH, of the process or of this command.
func (f *Facts) libraryPath() string {
	if f.process == nil {
		return os.Getenv("LD_LIBRARY_PATH")
	}
	env, _ := f.process.Environ()
	return env["LD_LIBRARY_PATH"]
}

func runPaths(e *elf.File, origin string) []string {
	var dirs []string
	origins := strings.NewReplacer("$ORIGIN", origin, "${ORIGIN}", origin)
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		lists, _ := e.DynString(tag)
		for _, list := range lists {
			for _, dir := range filepath.SplitList(list) {
				dirs = append(dirs, origins.Replace(dir))
			}
		}
	}
	return dirs
}

// scanPrivate finds allocators without symbols by their messages.
func (f *Facts) scanPrivate(buf []byte) {
	for _, p := range privateTexts {
		known := slices.ContainsFunc(f.private, func(a privateAllocator) bool {
			return a.file == "" && a.kind == p.kind
		})
		if !known && f.stripped && bytes.Contains(buf, p.text) {
			f.private = append(f.private, privateAllocator{kind: p.kind})
		}
	}
}

// CheckPrivate is nil if there is no private allocator.
func CheckPrivate(f *Facts) *Check {
	if len(f.private) == 0 || f.definesMalloc() {
		return nil
	}
	var names []string
	figures := false
	for _, a := range f.private {
		names = append(names, a.String())
		figures = figures || a.kind == "jemalloc" && a.prefix != ""
	}
	text := fmt.Sprintf("%s: memory taken from it is not in malloc's samples; "+
		"it is shown as C mmap, by who mapped it", listSome(names, 3))
	if figures {
		text += "; how much of it is in use comes from jemalloc's own statistics, where available"
	}
	c := Warn("private allocator", "", "%s", text)
	return &c
}
