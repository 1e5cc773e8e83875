package attach

import (
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cgoheap.example/cli/internal/binread"
	"cgoheap.example/cli/internal/termtext"
)

// FindLibrary returns libcgoheap.so's absolute path: as given, else
// $CGOHEAP_LIBRARY, else beside the command or where `make install` puts it.
func FindLibrary(given string) (string, error) {
	if given == "" {
		given = os.Getenv("CGOHEAP_LIBRARY")
	}
	if given != "" {
		path, err := filepath.Abs(given)
		if err != nil {
			return "", err
		}
		if !isFile(path) {
			return "", fmt.Errorf("library %s (from --library or CGOHEAP_LIBRARY) does not exist",
				termtext.Quote(path))
		}
		return path, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	dir := filepath.Dir(self)
	for _, place := range []string{".", "../lib/cgoheap", "../lib"} {
		if path := filepath.Join(dir, place, LibraryName); isFile(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not beside this command in %s, nor in ../lib/cgoheap or ../lib: "+
		"put it there, or name it with --library PATH or CGOHEAP_LIBRARY",
		LibraryName, termtext.Quote(dir))
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// Preloads splits LD_PRELOAD as the loader does.
func Preloads(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ':' || r == ' ' })
}

// IsLibrary says whether a path is the library's by its name, whatever version follows it.
func IsLibrary(path string) bool {
	return strings.HasPrefix(filepath.Base(path), LibraryName)
}

// IsLibraryHere goes by what is in the file where another name was given to it.
func IsLibraryHere(path string) bool {
	if IsLibrary(path) {
		return true
	}
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	return exportsBridge(file)
}

// bridgeSymbol is what the library alone defines, for the Go package.
const bridgeSymbol = "cgoheap_bridge_v1"

// mostLibraryBytes are read of a file to see whether it is the library, which has 3 MB.
const mostLibraryBytes = 64 << 20

func exportsBridge(file io.ReaderAt) bool {
	e, err := elf.NewFile(binread.Bounded(file, mostLibraryBytes))
	if err != nil || e.Type != elf.ET_DYN {
		return false
	}
	symbols, _ := e.DynamicSymbols()
	return slices.ContainsFunc(symbols, func(s elf.Symbol) bool {
		return s.Name == bridgeSymbol && s.Section != elf.SHN_UNDEF
	})
}

// IsLibrary is the same in the process's root.
func (p *Process) IsLibrary(path string) bool {
	if IsLibrary(path) {
		return true
	}
	file, err := p.OpenFile(path)
	if err != nil {
		return false
	}
	defer file.Close()
	return exportsBridge(file)
}

// OtherPreloads are those of LD_PRELOAD that are not the library.
func OtherPreloads(value string, isLibrary func(path string) bool) []string {
	var others []string
	for _, p := range Preloads(value) {
		if !isLibrary(p) {
			others = append(others, p)
		}
	}
	return others
}
