package program

import (
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"cgoheap/cli/internal/attach"
)

// glibcVersion is 2.N as N; -1 unknown.
type glibcVersion int

func (v glibcVersion) String() string { return fmt.Sprintf("glibc 2.%d", int(v)) }

func parseGlibcVersion(symbolVersion string) glibcVersion {
	rest, ok := strings.CutPrefix(symbolVersion, "GLIBC_2.")
	if !ok {
		return -1
	}
	minor, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(minor)
	if err != nil {
		return -1
	}
	return glibcVersion(n)
}

// neededGlibc is the newest glibc that a library asks for.
func neededGlibc(path string) glibcVersion {
	e, err := elf.Open(path)
	if err != nil {
		return -1
	}
	defer e.Close()
	needed := glibcVersion(-1)
	needs, _ := e.DynamicVersionNeeds()
	for _, need := range needs {
		for _, v := range need.Needs {
			needed = max(needed, parseGlibcVersion(v.Dep))
		}
	}
	return needed
}

// providedGlibc is the version that a libc.so.6 defines.
func providedGlibc(file io.ReaderAt) glibcVersion {
	e, err := elf.NewFile(file)
	if err != nil {
		return -1
	}
	provided := glibcVersion(-1)
	versions, _ := e.DynamicVersions()
	for _, v := range versions {
		provided = max(provided, parseGlibcVersion(v.Name))
	}
	return provided
}

// SystemGlibc finds the libc.so.6 that belongs to a program's loader.
func SystemGlibc(loader string) glibcVersion {
	if real, err := filepath.EvalSymlinks(loader); err == nil {
		loader = real
	}
	for _, dir := range []string{
		filepath.Dir(loader), "/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/usr/lib",
	} {
		file, err := os.Open(filepath.Join(dir, "libc.so.6"))
		if err != nil {
			continue
		}
		v := providedGlibc(file)
		file.Close()
		if v >= 0 {
			return v
		}
	}
	return -1
}

// ProcessGlibc is the version of the libc that a process has mapped.
func ProcessGlibc(p *attach.Process) glibcVersion {
	files, _ := p.MappedFiles()
	for _, f := range files {
		base := filepath.Base(f)
		if base == "libc.so.6" || strings.HasPrefix(base, "libc-2.") {
			return glibcIn(p, f)
		}
	}
	return -1
}

func glibcIn(p *attach.Process, name string) glibcVersion {
	file, err := p.OpenFile(name)
	if err != nil {
		return -1
	}
	defer file.Close()
	return providedGlibc(file)
}
