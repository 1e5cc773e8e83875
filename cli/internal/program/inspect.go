package program

import (
	"bufio"
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/binread"
	"cgoheap.example/cli/internal/termtext"
)

// Facts is what a program's file says about whether a preloaded library can
// see the C allocations of the process that runs it.
type Facts struct {
	Path        string
	process     *attach.Process // whose program it is; nil: none's
	open        opener          // in the root of that process
	libc        *Libc
	mode        os.FileMode
	owner       uint32
	group       uint32
	fileCaps    bool   // has the security.capability attribute
	interpreter string // of a script: what follows #!
	isScript    bool

	isELF       bool
	class       elf.Class
	machine     elf.Machine
	isShared    bool // a library, not a program
	IsGoLibrary bool // that has Go in it: a plugin, c-shared, or a c-archive in a library
	Loader      string
	needed      []string // libraries that it names
	stripped    bool
	external    bool // linked by the C linker: some package beyond std's uses cgo
	lacksTables bool // has unwind tables, and nothing that leads to them

	goInfo       *debug.BuildInfo // nil: not a Go program
	HasCgo       bool             // runtime/cgo is in it
	cgoPackages  []string         // packages that call C
	opensPlugins bool             // plugin.Open is in it

	allocator     []string // malloc-family functions defined inside the executable
	private       []privateAllocator
	answers       string // the library that answers malloc in libc's place, and has no statistics
	importsMalloc bool
}

// Inspect reads the facts of a file.
func Inspect(path string) (*Facts, error) {
	f := &Facts{Path: path, open: os.Open}
	return f, f.read(path)
}

// InspectProcess reads the facts of the program that a process runs, and finds its libraries where
// the process does; shown is the path for people.
func InspectProcess(p *attach.Process, shown string) (*Facts, error) {
	f := &Facts{Path: shown, open: p.OpenMapped, process: p}
	return f, f.read(attach.ProcPath(p.PID, "exe"))
}

func (f *Facts) read(name string) error {
	// Before it is opened: opening a named pipe would block.
	if err := f.readAttributes(name); err != nil || !f.mode.IsRegular() {
		return err
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	magic := make([]byte, 256)
	n, _ := file.ReadAt(magic, 0)
	magic = magic[:n]
	if bytes.HasPrefix(magic, []byte("#!")) {
		line, _, _ := bytes.Cut(magic[2:], []byte("\n"))
		f.isScript, f.interpreter = true, strings.TrimSpace(string(line))
		return nil
	}
	if !bytes.HasPrefix(magic, []byte(elf.ELFMAG)) {
		return nil
	}
	f.isELF = true
	return f.readELF(file)
}

func (f *Facts) readAttributes(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	f.mode = info.Mode()
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		f.owner, f.group = st.Uid, st.Gid
	}
	size, err := unix.Getxattr(name, "security.capability", nil)
	f.fileCaps = err == nil && size > 0
	return nil
}

func (f *Facts) readELF(file *os.File) error {
	e, err := elf.NewFile(binread.Bounded(file, mostSymbolBytes))
	if err != nil {
		return fmt.Errorf("%s is a damaged ELF file: %s",
			termtext.Quote(f.Path), termtext.Escape(err.Error()))
	}
	f.class, f.machine = e.Class, e.Machine
	for _, p := range e.Progs {
		switch p.Type {
		case elf.PT_INTERP:
			text, _ := io.ReadAll(io.LimitReader(p.Open(), 4096))
			f.Loader = strings.TrimRight(string(text), "\x00")
		case elf.PT_GNU_EH_FRAME:
			f.external = true // Go's own linker writes none
		}
	}
	// Go's own linker writes neither.
	f.lacksTables = !f.external && e.Section(".eh_frame") != nil
	f.external = f.external || f.lacksTables
	f.goInfo, _ = buildinfo.Read(file)
	isLibrary := e.Type == elf.ET_DYN && f.Loader == "" && e.Entry == 0
	f.isShared = isLibrary && f.goInfo == nil
	f.IsGoLibrary = isLibrary && f.goInfo != nil && e.Section(".dynamic") != nil
	f.stripped = e.Section(".symtab") == nil
	f.readSymbols(e)
	if f.Loader != "" {
		f.readNeeded(e)
	}
	if f.goInfo != nil {
		return f.scanNames(file)
	}
	return nil
}

var allocatorNames = map[string]bool{
	"malloc": true, "free": true, "calloc": true, "realloc": true, "posix_memalign": true,
	"aligned_alloc": true, "memalign": true,
}

func (f *Facts) readSymbols(e *elf.File) {
	names := definedFunctions(e)
	own := map[string]bool{}
	for name := range allocatorNames {
		if names[name] {
			own[name] = true
		}
	}
	f.allocator = slices.Sorted(maps.Keys(own))
	f.importsMalloc = importsMalloc(e)
	f.private = findPrivate(names, "")
}

func importsMalloc(e *elf.File) bool {
	imported, _ := e.ImportedSymbols()
	isMalloc := func(s elf.ImportedSymbol) bool { return s.Name == "malloc" }
	return slices.ContainsFunc(imported, isMalloc)
}

// definesMalloc says whether calls of malloc stay inside the executable.  Each cgo program
// calls malloc (runtime/cgo does, to start a thread), so one that does not import malloc
// defines it, stripped or not.
func (f *Facts) definesMalloc() bool {
	if f.Loader == "" || !f.isELF {
		return false
	}
	for _, name := range f.allocator {
		if name == "malloc" {
			return true
		}
	}
	return f.goInfo != nil && f.HasCgo && !f.importsMalloc
}

// ExportsMalloc is a quick test for verbs that do not inspect the program: an executable
// exports its malloc to libraries unless the linker was told to hide it.
func ExportsMalloc(path string) bool {
	e, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer e.Close()
	symbols, _ := e.DynamicSymbols()
	return definesDynamic(symbols, "malloc")
}

// allocatorName guesses whose malloc is inside.
func (f *Facts) allocatorName() string {
	if len(f.private) > 0 {
		return f.private[0].kind
	}
	return "an allocator"
}

// Go's function names stand in pclntab between NULs, also in a stripped file.
// Spelled in two parts, so that this command's own file does not hold them.
var (
	crossingName = []byte("\x00" + strings.Join([]string{"cross", "call2"}, "") + "\x00")
	pluginName   = []byte("\x00" + strings.Join([]string{"plugin", "Open"}, ".") + "\x00")
	wrapperName  = []byte(strings.Join([]string{"._C", "func_"}, ""))
)

const (
	scanChunk   = 1 << 20
	scanOverlap = 512 // longer than any name looked for
)

// scanNames finds runtime/cgo, and the packages that call C, by names of functions.  It does
// not use section headers or pclntab, which moved between releases.
func (f *Facts) scanNames(file io.ReadSeeker) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	packages := map[string]bool{}
	reader := bufio.NewReaderSize(file, scanChunk)
	buf := make([]byte, 0, scanChunk+scanOverlap)
	for {
		n, err := io.ReadFull(reader, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		f.HasCgo = f.HasCgo || bytes.Contains(buf, crossingName)
		f.opensPlugins = f.opensPlugins || bytes.Contains(buf, pluginName)
		scanWrappers(buf, packages)
		f.scanPrivate(buf)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return err
		}
		buf = append(buf[:0], buf[len(buf)-scanOverlap:]...)
	}
	f.cgoPackages = slices.Sorted(maps.Keys(packages))
	return nil
}

// scanWrappers collects the packages of Go's cgo wrappers: "example.com/pkg._Cfunc_name".
func scanWrappers(buf []byte, packages map[string]bool) {
	for {
		at := bytes.Index(buf, wrapperName)
		if at < 0 {
			return
		}
		name := buf[max(0, at-scanOverlap/2):at]
		if nul := bytes.LastIndexByte(name, 0); nul >= 0 && isImportPath(name[nul+1:]) {
			// In symbol tables of plugins each function stands twice.
			path := strings.TrimPrefix(string(name[nul+1:]), "local.")
			packages[strings.ReplaceAll(path, "%2e", ".")] = true
		}
		buf = buf[at+len(wrapperName):]
	}
}

func isImportPath(name []byte) bool {
	for _, c := range name {
		if c <= ' ' || c >= 0x7f || bytes.IndexByte([]byte(`"'()*,:;<>[]{}`), c) >= 0 {
			return false
		}
	}
	return len(name) > 0
}

// IsStatic says that it is linked statically, and so ignores LD_PRELOAD.
func (f *Facts) IsStatic() bool { return f.isELF && f.Loader == "" }

// IsGo says whether it was built by Go.
func (f *Facts) IsGo() bool { return f.goInfo != nil }

// setting is one of the build settings that the go command records; "" where it did not.
func (f *Facts) setting(key string) string {
	if f.goInfo == nil {
		return ""
	}
	for _, s := range f.goInfo.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// usesPurego says whether it calls C without cgo, by functions looked up in a library's handle.
func (f *Facts) usesPurego() bool {
	if f.goInfo == nil {
		return false
	}
	for _, d := range f.goInfo.Deps {
		if d.Path == puregoModule {
			return true
		}
	}
	return false
}

// PuregoOf is the module by which a process's program calls C without cgo; "": none.  It reads
// only the program's build info.
func PuregoOf(p *attach.Process) string {
	info, err := buildinfo.ReadFile(attach.ProcPath(p.PID, "exe"))
	if err != nil || !(&Facts{goInfo: info}).usesPurego() {
		return ""
	}
	return puregoModule
}

const puregoModule = "github.com/ebitengine/purego"

// Instrumented names -race, -asan, -msan among the build's settings.
func (f *Facts) Instrumented() []string {
	var found []string
	for _, key := range []string{"-race", "-asan", "-msan"} {
		if f.setting(key) == "true" {
			found = append(found, key)
		}
	}
	return found
}

// secureMode says why the loader would ignore LD_PRELOAD for this user (AT_SECURE); "" it would
// not.
func (f *Facts) secureMode(uid, gid int) string {
	switch {
	case f.mode&os.ModeSetuid != 0 && int(f.owner) != uid:
		return "setuid"
	case f.mode&os.ModeSetgid != 0 && int(f.group) != gid:
		return "setgid"
	case f.fileCaps && uid != 0:
		return "file capabilities"
	}
	return ""
}
