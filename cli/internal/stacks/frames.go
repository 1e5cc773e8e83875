// Package stacks knows what the frames of mixed C and Go stacks are: which Go
// function asked, which C function called the allocator, and how to name both.
package stacks

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
	"github.com/ianlancetaylor/demangle"

	"cgoheap/cli/internal/termtext"
)

// Frame is one source frame; inlined calls are frames of their own.
type Frame struct {
	Name string
	file string
	isGo bool // Go code, not C that cgo compiled
}

// IsGo says that it is Go code, not C that cgo compiled.
func (f Frame) IsGo() bool { return f.isGo }

// FramesOf lists a sample's frames, leaf first.
func FramesOf(s *profile.Sample) []Frame {
	var frames []Frame
	for _, loc := range s.Location {
		if len(loc.Line) == 0 {
			frames = append(frames, Frame{Name: unknownName(loc)})
			continue
		}
		for _, line := range loc.Line {
			if line.Function == nil || line.Function.Name == "" {
				frames = append(frames, Frame{Name: unknownName(loc)})
				continue
			}
			f := Frame{Name: line.Function.Name, file: line.Function.Filename}
			f.isGo = isGoFrame(f)
			if !f.isGo {
				f.Name = demangle.Filter(f.Name, demangle.NoParams, demangle.NoTemplateParams)
			}
			frames = append(frames, f)
		}
	}
	return frames
}

// Named are frames that are known by name only, leaf first: what looks like a Go name is one.
func Named(names []string) []Frame {
	frames := make([]Frame, 0, len(names))
	for _, name := range names {
		f := Frame{Name: name}
		f.isGo = !strings.HasPrefix(name, "_Z") && isGoFrame(f)
		frames = append(frames, f)
	}
	return frames
}

// NamesOf is what Named reads.
func NamesOf(frames []Frame) []string {
	names := make([]string, len(frames))
	for i, f := range frames {
		names[i] = f.Name
	}
	return names
}

// unknownName names code without symbols by its file and offset, as addr2line takes them.
func unknownName(loc *profile.Location) string {
	m := loc.Mapping
	if m == nil || m.File == "" {
		return "(unknown)"
	}
	return Place(m.File, loc.Address-m.Start+m.Offset)
}

// Place names an address of a file that has no symbol there: "libfoo.so+0x1234".
func Place(path string, offset uint64) string {
	return fmt.Sprintf("%s+%#x", path[strings.LastIndexByte(path, '/')+1:], offset)
}

// What compilers add to a C function's name after a dot.
var cSuffix = regexp.MustCompile(`\.(part|cold|constprop|isra|lto_priv|llvm|localalias)(\.\d+)*$`)

// isGoFrame: Go functions have a file, C functions usually do not.  Without files, a name of
// the form "package.function" is Go's.
func isGoFrame(f Frame) bool {
	if hasPrefix(f.Name, "_cgo_", "x_cgo_") || isUnnamed(f.Name) {
		return false
	}
	switch {
	case strings.HasSuffix(f.file, ".go"): // a cgo preamble's C is there too
		return isDotted(f.Name) && !strings.HasPrefix(f.Name, "_Z")
	case strings.HasPrefix(f.Name, "runtime.") || f.Name == "crosscall2":
		return true
	case strings.HasSuffix(f.file, ".s") && strings.Contains(f.Name, "/"): // in Go's assembly
		return true
	case f.file != "" || strings.HasPrefix(f.Name, "_Z"):
		return false
	}
	return isDotted(f.Name)
}

func isDotted(name string) bool {
	return strings.Contains(cSuffix.ReplaceAllString(name, ""), ".")
}

// splitGoName: "example.com/a/b.(*T).f" is package "example.com/a/b", function "(*T).f".
func splitGoName(name string) (pkg, function string) {
	slash := strings.LastIndexByte(name, '/')
	// A slash may stand in a type parameter: "main.f[example.com/a.T]".
	if bracket := strings.IndexByte(name, '['); bracket >= 0 && bracket < slash {
		slash = strings.LastIndexByte(name[:bracket], '/')
	}
	dot := strings.IndexByte(name[slash+1:], '.')
	if dot < 0 {
		return "", name
	}
	return name[:slash+1+dot], name[slash+1+dot+1:]
}

// isCrossing: functions by which the runtime enters C.
func isCrossing(name string) bool {
	switch name {
	case "runtime.asmcgocall", "runtime.asmcgocall_no_g", "runtime.cgocall", "runtime.systemstack",
		"runtime.mcall", "runtime.libcCall", "runtime.callCgoMmap", "runtime.callCgoMunmap":
		return true
	}
	return strings.HasSuffix(name, ".abi0")
}

// threadRoot is the function that a C thread was started with.
func threadRoot(frames []Frame) string {
	for i := len(frames) - 1; i >= 0; i-- {
		switch frames[i].Name {
		case "clone", "clone3", "__clone", "__clone3", "start_thread",
			"_start", "__libc_start_main", "__libc_start_call_main", "__libc_start_main_impl":
			continue
		}
		if i > 0 && !isUnnamed(frames[i].Name) {
			return frames[i].Name
		}
	}
	return "(unknown)"
}

// CLeaf is the C function that called the allocator.  Where Go called it with
// nothing between, or what is between was not kept, the leaf is the allocator itself,
// or the cgo helper that a person would know: C.CString, C.CBytes.
func CLeaf(frames []Frame) string {
	if len(frames) == 0 {
		return "(unknown)"
	}
	unnamed := "" // code without symbols; the first function above it that has a name says more
	for _, f := range frames[1:] {
		switch {
		case isNew(f.Name) || f.Name == frames[0].Name,
			strings.HasPrefix(f.Name, "_cgo_") || f.Name == "[frames omitted]":
			continue
		case unnamed != "" && callsOthers[f.Name]:
			continue
		case f.isGo:
			_, function := splitGoName(f.Name)
			switch function {
			case "_Cfunc_CString", "_Cfunc_CBytes":
				return "C." + strings.TrimPrefix(function, "_Cfunc_")
			case "_Cfunc__CMalloc", "_Cfunc__Cmalloc", "_cgo_cmalloc":
				continue // a helper may have called it
			}
			if isCrossing(f.Name) {
				continue
			}
			return cmp.Or(unnamed, frames[0].Name)
		case isUnnamed(f.Name):
			unnamed = cmp.Or(unnamed, f.Name)
			continue
		}
		return f.Name
	}
	return cmp.Or(unnamed, frames[0].Name)
}

// isUnnamed: a file and offset, as unknownName and the account write it, a mark, or an address.
func isUnnamed(name string) bool {
	return hasPrefix(name, "(", "[", "0x") || unnamedPlace.MatchString(name)
}

var unnamedPlace = regexp.MustCompile(`\+0x[0-9a-f]+$`)

// isNew: the C++ operators allocate for their caller.
func isNew(name string) bool {
	return strings.HasPrefix(name, "operator new")
}

// callsOthers: where libc and the loader call other code.  Their names say nothing of that code.
var callsOthers = map[string]bool{
	"pthread_once": true, "__pthread_once": true, "__pthread_once_slow": true,
	"call_init": true, "_dl_init": true, "dl_iterate_phdr": true,
	"_dl_catch_exception": true, "_dl_catch_error": true,
	"__GI__dl_catch_exception": true, "__GI__dl_catch_error": true,
	"qsort": true, "qsort_r": true, "bsearch": true,
}

func hasPrefix(name string, prefixes ...string) bool {
	starts := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
	return slices.ContainsFunc(prefixes, starts)
}

// ReadableName is a function's, demangled and safe for a terminal.
func ReadableName(name string) string {
	return termtext.Escape(demangle.Filter(name, demangle.NoParams, demangle.NoTemplateParams))
}

// ShortGoName keeps the last element of the import path.
func ShortGoName(name string) string {
	pkg, function := splitGoName(name)
	if pkg == "" {
		return name
	}
	for i := len(pkg) - 1; i >= 0; i-- {
		if pkg[i] == '/' {
			return pkg[i+1:] + "." + function
		}
	}
	return name
}
