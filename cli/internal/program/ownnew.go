package program

import (
	"debug/elf"
	"path/filepath"
	"slices"
	"strings"

	"cgoheap/cli/internal/attach"
)

// libstdc++'s operator new calls malloc, and so passes the hooks.  jemalloc, tcmalloc and mimalloc have
// one that does not, and what C++ code allocates by it is in the allocator's figures but in no sample.

const operatorNew = "_Znwm"

// OwnNew is the library of a process whose operator new C++ code in it calls; "" none.
func OwnNew(p *attach.Process) string {
	files, _ := p.MappedFiles()
	paths := []string{attach.ProcPath(p.PID, "exe")}
	for _, file := range files {
		if strings.Contains(filepath.Base(file), ".so") && !attach.IsLibrary(file) {
			paths = append(paths, attach.ProcPath(p.PID, "root")+file)
		}
	}
	return ownNew(paths)
}

func ownNew(paths []string) string {
	library, called := "", false
	for _, path := range paths {
		e, err := elf.Open(path)
		if err != nil {
			continue
		}
		symbols, _ := e.DynamicSymbols()
		e.Close()
		switch {
		case !definesDynamic(symbols, operatorNew):
			called = called || slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Name == operatorNew })
		case definesDynamic(symbols, "malloc"):
			library = filepath.Base(path)
		}
	}
	if !called {
		return ""
	}
	return library
}
