package program

import (
	"debug/elf"
	"path/filepath"
	"slices"

	"cgoheap.example/cli/internal/attach"
)

// libstdc++'s operator new calls malloc, and so passes the hooks.  jemalloc, tcmalloc and mimalloc
// have one that does not, and what C++ code allocates by it is in the allocator's figures but in no
// sample.

const operatorNew = "_Znwm"

// OwnNew is the library of a process whose operator new C++ code in it calls; "" none.
func OwnNew(p *attach.Process) string {
	files, _ := p.MappedFiles()
	paths := []string{""}
	for _, file := range files {
		if isOtherLibrary(file) {
			paths = append(paths, file)
		}
	}
	return ownNew(p.OpenMapped, paths)
}

func ownNew(open opener, paths []string) string {
	isNew := func(s elf.Symbol) bool { return s.Name == operatorNew }
	library, called := "", false
	for _, path := range paths {
		e, file, err := open.elf(path)
		if err != nil {
			continue
		}
		symbols, _ := e.DynamicSymbols()
		file.Close()
		switch {
		case !definesDynamic(symbols, operatorNew):
			called = called || slices.ContainsFunc(symbols, isNew)
		case definesDynamic(symbols, "malloc"):
			library = filepath.Base(path)
		}
	}
	if !called {
		return ""
	}
	return library
}
